//! Asks a policy about every message of a request.
//!
//! # Example
//!
//! ```
//! use mcp_auth::{Decision, ScopeGuardLayer, policy_fn};
//!
//! let policy = policy_fn(|access| match access.operation.method() {
//!     "tools/list" => Decision::allow(),
//!     _ => Decision::forbid(),
//! });
//! let layer = ScopeGuardLayer::new(policy);
//! # let _ = layer;
//! ```
//!
//! # Rules
//!
//! 1. Needs a `VerifiedToken` and an `McpRequest` in the request's extensions.
//! 2. Every message of a batch is judged, and one that is refused refuses the batch.
//! 3. A lack of scopes is 403 `insufficient_scope` with all the scopes that the request needs, then
//!    those that are held and mean something to the policy: clients replace what they had.
//! 4. Any other no is 403 without a challenge, so that no client logs in again in vain.
//! 5. A method that does not exist is JSON-RPC -32601: with 404; where the request carries a session
//!    of a revision that has them, which a 404 would end, with 200, or with 400 where it has no `id`
//!    to be answered by.
//! 6. Inside, the request carries a [`Granted`](crate::Granted): who asked what, by which scopes it
//!    was granted, and the policy, so that a handler can check again.

mod gate;
mod layer;
mod service;

pub(crate) use self::layer::Config;
pub use self::{layer::ScopeGuardLayer, service::ScopeGuardService};
