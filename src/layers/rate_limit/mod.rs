//! Counts what callers ask for, and tells them when to come back.
//!
//! # Example
//!
//! ```
//! use std::num::NonZeroU32;
//! use mcp_auth::{MemoryRateLimitStore, Quota, RateLimit, RateLimitLayer};
//!
//! let sixty = NonZeroU32::new(60).expect("not zero");
//! let layer = RateLimitLayer::new(
//!     MemoryRateLimitStore::new(),
//!     RateLimit::new("calls", Quota::per_minute(sixty)).with_cost("search_*", 5),
//! );
//! # let _ = layer;
//! ```
//!
//! # Rules
//!
//! 1. Each message whose method a limit names counts, in a batch each for itself; a limit names
//!    `tools/call` unless told otherwise.
//! 2. A count belongs to a principal, client, tool, session or peer address, or to any combination.
//!    What a count belongs to must be known: a missing layer is 500.
//! 3. Over the limit is 429 with `Retry-After`, rounded up, at least 1 s. `initialize` and
//!    `server/discover` get 503 instead, because clients take a 429 there for an older server.
//! 4. A store that cannot answer is 503.
//! 5. What costs more than the quota's burst, a call or all that a batch asks for, never passes: no
//!    wait is long enough.

mod gate;
mod layer;
mod limit;
mod service;
mod takes;

pub(crate) use self::{gate::judge, layer::Config, limit::Known, takes::Takes};
pub use self::{
    layer::RateLimitLayer,
    limit::{PeerAddr, RateLimit},
    service::RateLimitService,
};
