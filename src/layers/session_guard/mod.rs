//! Keeps every session to the principal that opened it (MCP revisions up to 2025-11-25, "Session
//! Management" and "Security Best Practices: Session Hijacking").
//!
//! # Example
//!
//! ```
//! use mcp_auth::{MemorySessionStore, SessionGuardLayer};
//!
//! let layer = SessionGuardLayer::new(MemorySessionStore::new());
//! # let _ = layer;
//! ```
//!
//! # Rules
//!
//! 1. Needs a `VerifiedToken` and an `McpRequest` in the request's extensions: the latter, because
//!    only the message tells what opens a session.
//! 2. A session belongs to the principal (issuer, subject, client) whose `initialize` was answered,
//!    with a 2xx, with an `Mcp-Session-Id`: alone in its request, neither in a batch nor without an
//!    `id`. A new token of the same principal changes nothing.
//! 3. A request that names a session, whatever its HTTP method, passes if the session is the
//!    caller's. An unknown session and somebody else's are the same 404.
//! 4. An `Mcp-Session-Id` that is empty, longer than 4096 characters or not visible ASCII is 400
//!    (with a message -32020), and so is one that comes twice.
//! 5. `Last-Event-ID` passes with a session alone: without one nothing says whose events it asks for.
//! 6. A request of a revision without sessions (2026-07-28) is passed on without `Mcp-Session-Id` and
//!    `Last-Event-ID`, so that no server behind can honour what the revision ignores.
//! 7. No other answer binds anything. Its `Mcp-Session-Id` is removed, unless it is the one that the
//!    request named.
//! 8. A server that gives out a session which belongs to somebody else, or an id that no client may
//!    send, is broken: 502.
//! 9. A `DELETE` with a 2xx forgets the session.
//! 10. A store that cannot answer is 503, for an `initialize` too, whose session is then nobody's. Only
//!     where it cannot forget, the answer passes: what is left is the caller's own, and ends.
//! 11. The HTTP+SSE transport of 2024-11-05 names its sessions in the query, where nothing is looked
//!     at: such a session is as safe as its id is secret.

mod binder;
mod binding;
mod future;
mod gate;
mod headers;
mod layer;
mod service;

pub(crate) use self::{
    binding::{Binding, unnamed},
    gate::{judge, named_by},
    layer::Config,
};
pub use self::{layer::SessionGuardLayer, service::SessionGuardService};
