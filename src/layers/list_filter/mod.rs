//! Shows of each list what the policy grants to the caller.
//!
//! # Example
//!
//! ```
//! use mcp_auth::{ListFilterLayer, ScopePolicy};
//!
//! let policy = ScopePolicy::from_json(r#"{"tools": {"get_*": ["read:data"]}}"#)?;
//! let layer = ListFilterLayer::new(policy);
//! # let _ = layer;
//! # Ok::<(), mcp_auth::ConfigError>(())
//! ```
//!
//! # Rules
//!
//! 1. Needs a `VerifiedToken` and an `McpRequest` in the request's extensions.
//! 2. The answers to `tools/list`, `prompts/list`, `resources/list`, `resources/templates/list` and
//!    `resources/directory/read` keep those elements that the policy would let the caller call, get
//!    or read, in JSON and in event streams, page by page, in batches too. Elements are dropped,
//!    never edited: every other byte stays. `Content-Length` is that of what is left.
//! 3. `cacheScope` becomes `private`, for the list is this caller's (MCP 2026-07-28, Caching).
//! 4. The service behind is asked for an answer that is not encoded: `Accept-Encoding` is removed.
//!    A list that comes encoded, is longer than 4 MiB, or can be read in more ways than one is 502;
//!    in an event stream it is a JSON-RPC error, with which the stream ends.
//! 5. The stream that a GET opens may carry lists too, and is read event by event: what stands in
//!    one event is at most 4 MiB. All other answers pass untouched.
//! 6. It hides, and does not guard: that is the [`ScopeGuardLayer`](crate::ScopeGuardLayer)'s. A server
//!    that mixes up two requests of a session which are under way with one `id` may answer the one
//!    that is no list with the list, and that is not looked at.

mod answer;
mod body;
mod collect;
mod filter;
mod future;
mod layer;
mod service;

pub(crate) use self::{
    answer::{Begun, begin, end},
    collect::Collect,
    filter::{Filter, Unfiltered, ask_for_plain},
    layer::Config,
};
pub use self::{body::ListFilterBody, layer::ListFilterLayer, service::ListFilterService};
