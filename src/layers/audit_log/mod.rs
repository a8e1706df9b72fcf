//! Tells a sink what happened to every request: exactly one event each.
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
//! 2. What the layers inside found out reaches it through the [`AuthTrail`](crate::AuthTrail) that
//!    this layer puts into the request's extensions.
//! 3. No token, key, argument or query stands in it.

mod future;
mod layer;
mod recorder;
mod service;

pub use self::{future::AuditFuture, layer::AuditLogLayer, service::AuditLogService};
