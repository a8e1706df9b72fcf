//! How often they may: quotas, the algorithm, and where the counts live.

pub(crate) mod gcra;
mod key;
mod memory;
mod quota;
mod store;

#[cfg(feature = "redis")]
pub(crate) use self::key::Parts;
pub use self::{
    key::RateKey,
    memory::MemoryRateLimitStore,
    quota::Quota,
    store::{BoxRateLimitStore, RateLimitStore, Verdict},
};
