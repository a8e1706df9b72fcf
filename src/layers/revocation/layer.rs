use tower_layer::Layer;

use super::RevocationService;
use crate::{
    layers::shared::{Common, FailMode, common_settings},
    token::Scope,
};

/// Refuses tokens that were revoked. See the [module docs](crate::layers::revocation).
#[derive(Clone, Debug)]
#[must_use]
pub struct RevocationLayer<V> {
    pub(crate) config: Config<V>,
}

#[derive(Clone, Debug)]
pub(crate) struct Config<V> {
    pub(crate) common: Common,
    pub(crate) store: V,
    pub(super) fail_mode: FailMode,
}

impl<V> RevocationLayer<V> {
    /// Asks `store` about every request's token.
    pub fn new(store: V) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                store,
                fail_mode: FailMode::default(),
            },
        }
    }

    /// Lets requests pass while the store cannot answer: a revoked token is honoured then.
    pub const fn dangerous_fail_open(mut self) -> Self {
        self.config.fail_mode.open();
        self
    }

    /// The scopes that the challenge of a 401 asks for.
    pub fn with_base(mut self, base: Scope) -> Self {
        self.config.common.challenger.set_base(base);
        self
    }

    common_settings!(with metadata);

    /// What is asked, for the stack's watch over streams.
    pub(crate) const fn store(&self) -> &V {
        &self.config.store
    }

    pub(crate) const fn fail_mode(&self) -> &FailMode {
        &self.config.fail_mode
    }
}

impl<S, V: Clone> Layer<S> for RevocationLayer<V> {
    type Service = RevocationService<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        RevocationService::new(inner, self.config.clone())
    }
}
