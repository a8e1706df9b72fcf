use std::time::Duration;

use tower_layer::Layer;

use super::McpRequestService;
use crate::layers::shared::{Common, common_settings};

/// Reads the message of every request. See the [module docs](crate::layers::mcp_request).
#[derive(Clone, Debug)]
#[must_use]
pub struct McpRequestLayer {
    pub(crate) config: Config,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) common: Common,
    pub(super) max_body: usize,
    /// How long the next piece of a body may take.
    pub(super) between_pieces: Duration,
    /// How long a whole body may take.
    pub(super) whole_body: Duration,
}

impl McpRequestLayer {
    /// Reads bodies of at most 4 MiB.
    pub fn new() -> Self {
        Self {
            config: Config {
                common: Common::default(),
                max_body: 4 * 1024 * 1024,
                between_pieces: Duration::from_secs(10),
                whole_body: Duration::from_secs(60),
            },
        }
    }

    /// Reads bodies of at most `bytes`.
    pub const fn with_max_body(mut self, bytes: usize) -> Self {
        self.config.max_body = bytes;
        self
    }

    common_settings!();
}

impl Default for McpRequestLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for McpRequestLayer {
    type Service = McpRequestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        McpRequestService::new(inner, self.config.clone())
    }
}
