//! What happened, once per request.
