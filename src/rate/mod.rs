//! How often they may: quotas, the algorithm, and where the counts live.

mod key;
mod quota;
mod store;

pub use self::{
    key::RateKey,
    quota::Quota,
    store::{BoxRateLimitStore, RateLimitStore, Verdict},
};
