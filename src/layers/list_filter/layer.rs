use std::sync::Arc;

use tower_layer::Layer;

use super::ListFilterService;
use crate::{
    layers::shared::{Common, common_settings},
    policy::Policy,
};

/// Shows of each list what a policy grants. See the [module docs](crate::layers::list_filter).
#[derive(Clone, Debug)]
#[must_use]
pub struct ListFilterLayer {
    pub(crate) config: Config,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) common: Common,
    pub(super) policy: Arc<dyn Policy>,
}

impl ListFilterLayer {
    /// Shows what `policy` allows: the policy of the [`ScopeGuardLayer`](crate::ScopeGuardLayer).
    pub fn new(policy: impl Policy + 'static) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                policy: Arc::new(policy),
            },
        }
    }

    common_settings!();
}

impl<S> Layer<S> for ListFilterLayer {
    type Service = ListFilterService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ListFilterService::new(inner, self.config.clone())
    }
}
