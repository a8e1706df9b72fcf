//! What all requests of a stack share: one gate a layer.

use std::sync::Arc;

use super::AuthStack;
use crate::{
    clock::UnixTime,
    layers::{
        audit_log, jwt_validate, key_map,
        list_filter::{self, ListFilterLayer},
        mcp_request,
        origin_guard::{self, OriginGuardLayer},
        rate_limit,
        resource_metadata::Document,
        revocation,
        scope_guard::{self, ScopeGuardLayer},
        session_guard,
        shared::FailMode,
        stream_guard,
    },
};

/// The gates, in the order in which a request passes them. Those of a part that is left out are
/// `None`, and everything passes.
pub(super) struct Gates<K, V, L, U, T> {
    pub(super) audit: Option<Arc<audit_log::Config>>,
    pub(super) origins: origin_guard::Config,
    pub(super) document: Arc<Document>,
    pub(super) tokens: jwt_validate::Gate<K>,
    pub(super) revocation: Option<revocation::Config<V>>,
    pub(super) messages: mcp_request::Config,
    pub(super) sessions: Arc<session_guard::Config<T>>,
    pub(super) scopes: scope_guard::Config,
    pub(super) limits: Option<Arc<rate_limit::Config<L>>>,
    pub(super) keys: key_map::Config<U>,
    pub(super) lists: Option<Arc<list_filter::Config>>,
    pub(super) streams: Arc<stream_guard::Config<V>>,
}

impl<K, V, L, U, T> Gates<K, V, L, U, T> {
    #[inline]
    pub(super) fn now(&self) -> UnixTime {
        self.tokens.common().now()
    }
}

/// Sets what all refusing layers of the stack share, and takes the layer's settings.
macro_rules! shared {
    ($settings:ident, $layer:expr) => {{
        let mut layer = $layer;
        if let Some(clock) = &$settings.clock {
            layer = layer.with_clock(Arc::clone(clock));
        }
        if let Some(reject) = &$settings.reject {
            layer = layer.with_reject(Arc::clone(reject));
        }
        layer.config
    }};
}

impl<K, V, L, U, T> Gates<K, V, L, U, T>
where
    K: Clone,
    V: Clone,
    L: Clone,
    U: Clone,
    T: Clone,
{
    pub(super) fn of(stack: &AuthStack<K, V, L, U, T>) -> Self {
        let settings = &stack.settings;
        let base = settings.policy.base();
        let metadata = stack.metadata();

        let audit = settings.audit.clone().map(|layer| match &settings.clock {
            Some(clock) => layer.with_clock(Arc::clone(clock)),
            None => layer,
        });
        let mut origins = OriginGuardLayer::new(&metadata);
        if let Some(allowed) = &settings.origins {
            origins = origins.with_origins(allowed.clone());
        }
        if let Some(reject) = &settings.reject {
            origins = origins.with_reject(Arc::clone(reject));
        }
        let validate = stack.validate.clone().with_base(base.clone());
        let streams = match &stack.revocation {
            Some(layer) => settings
                .streams
                .asking(Some(layer.store().clone()), layer.fail_mode().clone()),
            None => settings.streams.asking(None, FailMode::default()),
        };
        let streams = streams.with_leeway(stack.validate.leeway());
        let scopes = ScopeGuardLayer::new(Arc::clone(&settings.policy)).with_metadata(&metadata);
        let lists = (!settings.shows_all).then(|| {
            let layer = ListFilterLayer::new(Arc::clone(&settings.policy));
            Arc::new(shared!(settings, layer))
        });
        Self {
            audit: audit.map(|layer| Arc::new(layer.config)),
            origins: origins.config,
            document: Document::new(&metadata),
            tokens: jwt_validate::Gate::new(shared!(settings, validate.with_metadata(&metadata))),
            revocation: stack.revocation.clone().map(|layer| {
                let layer = layer.with_base(base).with_metadata(&metadata);
                shared!(settings, layer)
            }),
            messages: shared!(settings, settings.read.clone()),
            sessions: Arc::new(shared!(settings, stack.sessions.clone())),
            scopes: shared!(settings, scopes),
            limits: (stack.rate_limit.clone()).map(|layer| Arc::new(shared!(settings, layer))),
            keys: shared!(settings, stack.keys.clone()),
            lists,
            streams: Arc::new(shared!(settings, streams)),
        }
    }
}
