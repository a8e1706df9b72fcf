use std::sync::Arc;

use tower_layer::Layer;

use super::{OriginGuardService, Origins};
use crate::{layers::shared::Common, oauth::ResourceMetadata, reject::Reject};

/// Refuses foreign hosts and origins, and speaks CORS. See the
/// [module docs](crate::layers::origin_guard).
#[derive(Clone, Debug)]
#[must_use]
pub struct OriginGuardLayer {
    pub(crate) config: Config,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) common: Common,
    pub(super) origins: Origins,
    /// Its document is open to every origin.
    pub(super) metadata: ResourceMetadata,
}

impl OriginGuardLayer {
    /// Allows what [`Origins::new`] takes from the resource.
    pub fn new(metadata: &ResourceMetadata) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                origins: Origins::new(metadata),
                metadata: metadata.clone(),
            },
        }
    }

    /// Allows `origins` instead.
    pub fn with_origins(mut self, origins: Origins) -> Self {
        self.config.origins = origins;
        self
    }

    /// Shapes the bodies of refusals.
    pub fn with_reject(mut self, reject: impl Reject + 'static) -> Self {
        self.config.common.set_reject(Arc::new(reject));
        self
    }
}

impl<S> Layer<S> for OriginGuardLayer {
    type Service = OriginGuardService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OriginGuardService::new(inner, self.config.clone())
    }
}
