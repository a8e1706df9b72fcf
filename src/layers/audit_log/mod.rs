//! Tells a sink what happened to every request: exactly one event each, and one more for the end
//! of a guarded stream.
//!
//! # Example
//!
//! ```
//! use mcp_auth::{AuditLogLayer, TracingSink};
//!
//! let layer = AuditLogLayer::new(TracingSink::default());
//! # let _ = layer;
//! ```
//!
//! # Rules
//!
//! 1. The event is recorded when the head of the response is there; or, marked `cancelled`, when
//!    the request is dropped before; or, with the reason `internal`, when a layer or service inside
//!    panics. A request that is dropped before it was handed in has none.
//! 2. A response that is a guarded stream adds one more at its end: `stream_end`, of the same request
//!    id, with why it ended. See [`StreamGuardLayer`](crate::StreamGuardLayer).
//! 3. What the layers inside found out reaches it through the [`AuthTrail`](crate::AuthTrail) that
//!    this layer puts into the request's extensions.
//! 4. No token, key, argument or query stands in it.
//! 5. What a layer of yours refuses, without a [`Rejection`](crate::Rejection) in the extensions of its
//!    answer, is `allow` and `ok`, with its status.

mod event;
mod future;
mod layer;
mod recorder;
mod service;

pub use self::{layer::AuditLogLayer, service::AuditLogService};
pub(crate) use self::{
    layer::Config,
    recorder::{Recorder, SESSION, Watch},
};
