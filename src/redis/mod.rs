//! Revocations, limits and sessions that several instances share, on Redis or Valkey.
//!
//! [`Redis`] is the connection, made from one URL; the three stores share it. It is kept up in the
//! background: every question has a timeout, and while Redis does not answer a circuit breaker
//! answers at once in its place.

mod breaker;
mod client;
mod connection;
mod keeper;
mod keys;
mod patience;
mod question;
mod rate;
mod revocation;
mod script;
mod session;
mod url;

pub use self::{
    client::Redis, rate::RedisRateLimitStore, revocation::RedisRevocationStore,
    session::RedisSessionStore,
};
