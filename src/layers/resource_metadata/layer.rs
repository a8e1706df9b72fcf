use tower_layer::Layer;

use super::ResourceMetadataService;
use crate::oauth::ResourceMetadata;

/// Serves the protected resource metadata. See the
/// [module docs](crate::layers::resource_metadata).
#[derive(Clone, Debug)]
#[must_use]
pub struct ResourceMetadataLayer {
    metadata: ResourceMetadata,
}

impl ResourceMetadataLayer {
    /// Serves `metadata` where its URL says.
    pub fn new(metadata: &ResourceMetadata) -> Self {
        Self {
            metadata: metadata.clone(),
        }
    }
}

impl<S> Layer<S> for ResourceMetadataLayer {
    type Service = ResourceMetadataService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ResourceMetadataService::new(inner, &self.metadata)
    }
}
