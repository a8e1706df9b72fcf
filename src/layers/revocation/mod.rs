//! Refuses tokens that were revoked, on the very next request.
//!
//! # Example
//!
//! ```
//! use mcp_auth::{MemoryRevocationStore, RevocationLayer};
//!
//! let revocations = MemoryRevocationStore::new();
//! let layer = RevocationLayer::new(revocations.clone());
//! # let _ = layer;
//! ```
//!
//! # Rules
//!
//! 1. Needs a `VerifiedToken` in the request's extensions.
//! 2. A revoked token is 401 `invalid_token`.
//! 3. A store that cannot answer is 503, and the request is refused; with
//!    [`dangerous_fail_open`](RevocationLayer::dangerous_fail_open) it passes, is marked
//!    `unchecked` in the audit log, and the change is logged.
//! 4. The store is asked before the body is read, which may take a minute. Where a body was late,
//!    [`AuthStack`](crate::AuthStack) asks again; of single layers, a second one inside of the
//!    [`McpRequestLayer`](crate::McpRequestLayer) does.

mod gate;
mod layer;
mod service;

pub(crate) use self::layer::Config;
pub use self::{layer::RevocationLayer, service::RevocationService};
