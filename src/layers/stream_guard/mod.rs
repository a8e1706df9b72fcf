//! Ends streams that would outlive the token by which they were opened.
//!
//! # Example
//!
//! ```
//! use mcp_auth::{MemoryRevocationStore, StreamGuardLayer};
//!
//! let revocations = MemoryRevocationStore::new();
//! let layer = StreamGuardLayer::new(revocations.clone());
//! # let _ = layer;
//! ```
//!
//! # Rules
//!
//! 1. Needs a `VerifiedToken` and an `McpRequest` in the request's extensions.
//! 2. The event streams that a GET and `subscriptions/listen` open end when the token expires (plus
//!    the leeway), and within 5 s of its revocation. The store is asked every 3 s; one that cannot
//!    answer ends the stream, unless it is set to
//!    [`dangerous_fail_open`](StreamGuardLayer::dangerous_fail_open).
//! 3. A `subscriptions/listen` ends with its result (MCP 2026-07-28, Subscriptions, "Graceful
//!    Closure"), where the last event before it is complete.
//! 4. The answer of a running call is not cut, unless
//!    [`cut_answers`](StreamGuardLayer::cut_answers) is set.
//! 5. A principal has at most 32 such streams at once, here: one more is 429, and never reaches the
//!    service inside.
//! 6. A stream that is ended, or dropped, drops the response of the service inside, and with it the
//!    work behind. A client that does not read is noticed when it reads on: it then gets no more.
//! 7. The end of a guarded stream is one more audit event, `stream_end`: `expired`, `revoked`,
//!    `store_unavailable`, `upstream_error`, or `ok` where either side ended it.

mod body;
mod future;
mod gate;
mod layer;
mod open;
mod service;
mod watch;

pub use self::{body::StreamGuardBody, layer::StreamGuardLayer, service::StreamGuardService};
pub(crate) use self::{
    gate::{Guarded, guard, guarded},
    layer::Config,
};
