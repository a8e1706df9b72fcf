//! What HTTP says when a request is refused.

mod body;
mod json;
mod rejecter;
mod rejection;

pub use self::{
    body::RejectBody,
    rejecter::{JsonReject, Reject, RejectFn, reject_fn},
    rejection::Rejection,
};

/// The JSON-RPC codes of refusals. Our own lie outside of the range that JSON-RPC and MCP reserve.
pub(crate) mod code {
    pub(crate) const FORBIDDEN: i32 = -31403;
    pub(crate) const NO_SESSION: i32 = -31404;
    pub(crate) const LIMITED: i32 = -31429;
    pub(crate) const UNAVAILABLE: i32 = -31503;
    pub(crate) const UPSTREAM: i32 = -31502;
    pub(crate) const HEADER_MISMATCH: i32 = -32020;
    pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
}
