use tower_layer::Layer;

use super::SessionGuardService;
use crate::layers::shared::{Common, common_settings};

/// Keeps every session to the principal that opened it. See the
/// [module docs](crate::layers::session_guard).
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionGuardLayer<T> {
    pub(crate) config: Config<T>,
}

#[derive(Clone, Debug)]
pub(crate) struct Config<T> {
    pub(crate) common: Common,
    pub(crate) store: T,
}

impl<T> SessionGuardLayer<T> {
    /// Remembers in `store` whose a session is.
    pub fn new(store: T) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                store,
            },
        }
    }

    common_settings!();
}

impl<S, T: Clone> Layer<S> for SessionGuardLayer<T> {
    type Service = SessionGuardService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionGuardService::new(inner, self.config.clone())
    }
}
