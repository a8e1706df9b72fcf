use tower_layer::Layer;

use super::{RateLimit, RateLimitService};
use crate::layers::shared::{Common, common_settings};

/// Counts what callers ask for. See the [module docs](crate::layers::rate_limit).
#[derive(Clone, Debug)]
#[must_use]
pub struct RateLimitLayer<L> {
    pub(crate) config: Config<L>,
}

#[derive(Clone, Debug)]
pub(crate) struct Config<L> {
    pub(crate) common: Common,
    pub(super) store: L,
    pub(super) limits: Vec<RateLimit>,
}

impl<L> RateLimitLayer<L> {
    /// Keeps the counts of `limit` in `store`.
    pub fn new(store: L, limit: RateLimit) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                store,
                limits: vec![limit],
            },
        }
    }

    /// Adds a limit: all must have enough left. They are asked in order, and what the first ones
    /// took stays taken.
    pub fn with_limit(mut self, limit: RateLimit) -> Self {
        self.config.limits.push(limit);
        self
    }

    common_settings!();
}

impl<S, L: Clone> Layer<S> for RateLimitLayer<L> {
    type Service = RateLimitService<S, L>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService::new(inner, self.config.clone())
    }
}
