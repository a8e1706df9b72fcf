use std::sync::Arc;

use tower_layer::Layer;

use super::JwtValidateService;
use crate::{
    layers::shared::{Common, common_settings},
    token::{JwtValidator, Scope, TokenCache},
};

/// How many verified tokens are remembered, unless said otherwise.
const REMEMBERED: usize = 10_000;

/// Verifies the bearer token of every request. See the
/// [module docs](crate::layers::jwt_validate).
#[derive(Clone, Debug)]
#[must_use]
pub struct JwtValidateLayer<K> {
    pub(crate) config: Config<K>,
}

#[derive(Clone, Debug)]
pub(crate) struct Config<K> {
    pub(super) common: Common,
    pub(super) validator: JwtValidator,
    pub(super) keys: K,
    pub(super) cache: Arc<TokenCache>,
}

impl<K> JwtValidateLayer<K> {
    /// Checks tokens with `validator`, and their signatures with the keys of `keys`.
    pub fn new(validator: JwtValidator, keys: K) -> Self {
        Self {
            config: Config {
                common: Common::default(),
                validator,
                keys,
                cache: Arc::new(TokenCache::new(REMEMBERED)),
            },
        }
    }

    /// Remembers at most `tokens` verified tokens (default 10,000); 0 verifies each one each time.
    /// One costs its own length, that of its claims and some 700 bytes: 1.7 KiB for a token of 780
    /// bytes, 2 KiB for one of 960.
    pub fn with_cache(mut self, tokens: usize) -> Self {
        self.config.cache = Arc::new(TokenCache::new(tokens));
        self
    }

    /// The scopes that the challenge of a 401 asks for.
    pub fn with_base(mut self, base: Scope) -> Self {
        self.config.common.challenger.set_base(base);
        self
    }

    common_settings!(with metadata);

    /// For how long after its `exp` a token is honoured.
    pub(crate) fn leeway(&self) -> std::time::Duration {
        self.config.validator.leeway()
    }
}

impl<S, K: Clone> Layer<S> for JwtValidateLayer<K> {
    type Service = JwtValidateService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        JwtValidateService::new(inner, self.config.clone())
    }
}
