use tower_layer::Layer;

use super::{KeyHeader, KeyMapService};
use crate::layers::shared::{Common, common_settings};

/// Swaps the caller's identity for an upstream key. See the
/// [module docs](crate::layers::key_map).
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyMapLayer<U> {
    pub(crate) config: Config<U>,
}

#[derive(Clone, Debug)]
pub(crate) struct Config<U> {
    pub(crate) common: Common,
    /// `None`: nothing is injected, and only the client's own credentials are removed.
    pub(crate) store: Option<U>,
    pub(super) header: KeyHeader,
    pub(super) passes_challenges: bool,
}

impl<U> KeyMapLayer<U> {
    /// Injects the keys of `store` as `x-api-key`.
    pub fn new(store: U) -> Self {
        Self::of(Some(store))
    }

    /// Injects nothing, and lets what clients send in the place of a key pass as little as ever: for
    /// a service that needs no key, and may know the header all the same. `U` is
    /// [`Off`](crate::Off).
    pub fn without_keys() -> Self {
        Self::of(None)
    }

    fn of(store: Option<U>) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                store,
                header: KeyHeader::default(),
                passes_challenges: false,
            },
        }
    }

    /// Injects them under another header.
    pub fn with_header(mut self, header: KeyHeader) -> Self {
        self.config.header = header;
        self
    }

    /// Lets a 401 and `WWW-Authenticate` of the service behind reach the client.
    pub const fn with_upstream_challenges(mut self) -> Self {
        self.config.passes_challenges = true;
        self
    }

    common_settings!();
}

impl<S, U: Clone> Layer<S> for KeyMapLayer<U> {
    type Service = KeyMapService<S, U>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyMapService::new(inner, self.config.clone())
    }
}
