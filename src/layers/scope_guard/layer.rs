use std::sync::Arc;

use tower_layer::Layer;

use super::ScopeGuardService;
use crate::{
    layers::shared::{Common, common_settings},
    policy::Policy,
};

/// Asks a policy about every message. See the [module docs](crate::layers::scope_guard).
#[derive(Clone, Debug)]
#[must_use]
pub struct ScopeGuardLayer {
    pub(crate) config: Config,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) common: Common,
    pub(super) policy: Arc<dyn Policy>,
}

impl ScopeGuardLayer {
    /// Lets through what `policy` allows.
    pub fn new(policy: impl Policy + 'static) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                policy: Arc::new(policy),
            },
        }
    }

    common_settings!(with metadata);
}

impl<S> Layer<S> for ScopeGuardLayer {
    type Service = ScopeGuardService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ScopeGuardService::new(inner, self.config.clone())
    }
}
