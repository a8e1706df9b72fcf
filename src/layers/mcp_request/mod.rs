//! Reads the message of every request, once, and passes on the very bytes that it judged.
//!
//! # Example
//!
//! ```
//! use mcp_auth::McpRequestLayer;
//!
//! let layer = McpRequestLayer::new();
//! # let _ = layer;
//! ```
//!
//! # Rules
//!
//! 1. A POST is one JSON-RPC message in `application/json` (UTF-8, not encoded), or an array of
//!    them in revision 2025-03-26: else 415 or 400.
//! 2. The body is at most 4 MiB (413), with at most 10 s between its pieces and 60 s in all (408).
//! 3. Headers that mirror the body agree with it, and stand there once: else 400 -32020.
//! 4. GET (as which HEAD counts) and DELETE are operations of their own and carry no body; other
//!    methods are 405. No `Upgrade` passes: what is said after it would be judged by nobody.
//! 5. Inside, the request carries an [`McpRequest`](crate::McpRequest) in its extensions, and its
//!    body is an [`McpBody`].

mod body;
mod future;
mod gate;
mod headers;
mod layer;
mod reading;
mod service;

pub use self::{body::McpBody, layer::McpRequestLayer, service::McpRequestService};
pub(crate) use self::{
    gate::{expects_message, message, no_message},
    layer::Config,
    reading::Reading,
};
