use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tower_layer::Layer;

use super::RevocationService;
use crate::{
    layers::shared::{Common, common_settings},
    token::Scope,
};

/// Refuses tokens that were revoked. See the [module docs](crate::layers::revocation).
#[derive(Clone, Debug)]
#[must_use]
pub struct RevocationLayer<V> {
    config: Config<V>,
}

#[derive(Clone, Debug)]
pub(super) struct Config<V> {
    pub(super) common: Common,
    pub(super) store: V,
    fails_open: bool,
    is_down: Arc<AtomicBool>,
}

impl<V> RevocationLayer<V> {
    /// Asks `store` about every request's token.
    pub fn new(store: V) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                store,
                fails_open: false,
                is_down: Arc::default(),
            },
        }
    }

    /// Lets requests pass while the store cannot answer: a revoked token is honoured then.
    pub fn dangerous_fail_open(mut self) -> Self {
        self.config.fails_open = true;
        self
    }

    /// The scopes that the challenge of a 401 asks for.
    pub fn with_base(mut self, base: Scope) -> Self {
        self.config.common.challenger.set_base(base);
        self
    }

    common_settings!(with metadata);
}

impl<V> Config<V> {
    /// Whether a request may pass that could not be checked. Each change is logged once.
    pub(super) fn passes_unchecked(&self, error: &crate::StoreError) -> bool {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                fails_open = self.fails_open,
                "revocations cannot be checked"
            );
        }
        self.fails_open
    }

    pub(super) fn answered(&self) {
        // A load first: the line is shared by all threads and hardly ever changes.
        if self.is_down.load(Ordering::Relaxed) && self.is_down.swap(false, Ordering::Relaxed) {
            tracing::info!("revocations are checked again");
        }
    }
}

impl<S, V: Clone> Layer<S> for RevocationLayer<V> {
    type Service = RevocationService<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        RevocationService::new(inner, Some(self.config.clone()))
    }
}
