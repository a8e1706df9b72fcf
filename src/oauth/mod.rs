//! How we say no, and how clients find the authorization server.
