//! The layers, one around the other.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{AuthBody, AuthFuture, AuthStack, Off};
use crate::{
    keys::{KeyStore, UpstreamKey, UpstreamKeyId, VerificationKey, VerificationKeyId},
    layers::{
        audit_log::AuditLogService,
        jwt_validate::JwtValidateService,
        key_map::KeyMapService,
        list_filter::{ListFilterLayer, ListFilterService},
        mcp_request::{McpBody, McpRequestService},
        origin_guard::{OriginGuardLayer, OriginGuardService},
        rate_limit::RateLimitService,
        resource_metadata::{ResourceMetadataLayer, ResourceMetadataService},
        revocation::RevocationService,
        scope_guard::{ScopeGuardLayer, ScopeGuardService},
        session_guard::SessionGuardService,
        shared::FailMode,
        stream_guard::StreamGuardService,
    },
    rate::RateLimitStore,
    reject::RejectBody,
    revocation::RevocationStore,
    session::{MemorySessionStore, SessionStore},
};

/// Settings that all refusing layers of the stack share.
macro_rules! shared {
    ($stack:ident, $layer:expr) => {{
        let mut layer = $layer;
        if let Some(clock) = &$stack.settings.clock {
            layer = layer.with_clock(Arc::clone(clock));
        }
        if let Some(reject) = &$stack.settings.reject {
            layer = layer.with_reject(Arc::clone(reject));
        }
        layer
    }};
}

impl<S, K, V, L, U, T> Layer<S> for AuthStack<K, V, L, U, T>
where
    K: Clone,
    V: Clone,
    L: Clone,
    U: Clone,
    T: Clone,
{
    type Service = Auth<S, K, V, L, U, T>;

    fn layer(&self, inner: S) -> Self::Service {
        let base = self.settings.policy.base();
        let metadata = self.metadata();

        // Innermost first.
        let watch = match &self.revocation {
            Some(layer) => self
                .settings
                .streams
                .asking(Some(layer.store().clone()), layer.fail_mode().clone()),
            None => self.settings.streams.asking(None, FailMode::default()),
        };
        let watched = shared!(self, watch.with_leeway(self.validate.leeway())).layer(inner);
        let filtered = if self.settings.shows_all {
            ListFilterService::pass_through(watched)
        } else {
            shared!(
                self,
                ListFilterLayer::new(Arc::clone(&self.settings.policy))
            )
            .layer(watched)
        };
        let keyed = shared!(self, self.keys.clone()).layer(filtered);
        let limited = match &self.rate_limit {
            Some(layer) => shared!(self, layer.clone()).layer(keyed),
            None => RateLimitService::pass_through(keyed),
        };
        let guarded = shared!(
            self,
            ScopeGuardLayer::new(Arc::clone(&self.settings.policy))
        )
        .with_metadata(&metadata)
        .layer(limited);
        let sessions = shared!(self, self.sessions.clone()).layer(guarded);
        let read = shared!(self, self.settings.read.clone()).layer(sessions);
        let unrevoked = match &self.revocation {
            Some(layer) => shared!(self, layer.clone())
                .with_base(base.clone())
                .with_metadata(&metadata)
                .layer(read),
            None => RevocationService::pass_through(read),
        };
        let validated = shared!(self, self.validate.clone())
            .with_base(base)
            .with_metadata(&metadata)
            .layer(unrevoked);
        let described = ResourceMetadataLayer::new(&metadata).layer(validated);
        let mut origin_guard = OriginGuardLayer::new(&metadata);
        if let Some(origins) = &self.settings.origins {
            origin_guard = origin_guard.with_origins(origins.clone());
        }
        if let Some(reject) = &self.settings.reject {
            origin_guard = origin_guard.with_reject(Arc::clone(reject));
        }
        let reached = origin_guard.layer(described);
        let tower = match &self.settings.audit {
            Some(layer) => match &self.settings.clock {
                Some(clock) => layer.clone().with_clock(Arc::clone(clock)).layer(reached),
                None => layer.layer(reached),
            },
            None => AuditLogService::pass_through(reached),
        };
        Auth { tower }
    }
}

/// Extensions with room for all that the layers leave in them.
static ROOMY: LazyLock<Extensions> = LazyLock::new(|| {
    let mut extensions = Extensions::new();
    extensions.insert(0_u8);
    extensions.insert(0_u16);
    extensions.insert(0_u32);
    extensions.insert(0_u64);
    extensions.clear();
    extensions
});

/// A table of extensions that grows while it is filled costs more than to copy an empty one of the
/// right size.
fn make_room(extensions: &mut Extensions) {
    if extensions.is_empty() {
        extensions.clone_from(&ROOMY);
    }
}

/// The layers around `S`, outermost first.
//
// Two ways to make a request cheaper were dropped. The time is read by each layer that decides by it:
// handed inward it would be old after a wait, and a limit that counts with an old time gives units
// back. And what layers tell each other stays in extensions of the types that users know, not in one
// of ours: a layer of theirs in between may replace a token by one that can do less.
type Tower<S, K, V, L, U, T> = AuditLogService<
    OriginGuardService<
        ResourceMetadataService<
            JwtValidateService<
                RevocationService<
                    McpRequestService<
                        SessionGuardService<
                            ScopeGuardService<
                                RateLimitService<
                                    KeyMapService<ListFilterService<StreamGuardService<S, V>>, U>,
                                    L,
                                >,
                            >,
                            T,
                        >,
                    >,
                    V,
                >,
                K,
            >,
        >,
    >,
>;

/// The service of [`AuthStack`].
#[derive(Clone)]
pub struct Auth<S, K, V = Off, L = Off, U = Off, T = MemorySessionStore> {
    tower: Tower<S, K, V, L, U, T>,
}

impl<S, K, V, L, U, T> fmt::Debug for Auth<S, K, V, L, U, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

impl<S, K, V, L, U, T, B, ResB> Service<Request<B>> for Auth<S, K, V, L, U, T>
where
    S: Service<Request<McpBody>, Response = Response<ResB>> + Clone,
    K: KeyStore<VerificationKeyId, Key = VerificationKey>,
    V: RevocationStore,
    L: RateLimitStore,
    U: KeyStore<UpstreamKeyId, Key = UpstreamKey>,
    T: SessionStore,
    B: Body<Data = Bytes> + Unpin,
    ResB: RejectBody,
{
    type Response = Response<AuthBody<ResB>>;
    type Error = S::Error;
    type Future = AuthFuture<<Tower<S, K, V, L, U, T> as Service<Request<B>>>::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        <Tower<S, K, V, L, U, T> as Service<Request<B>>>::poll_ready(&mut self.tower, context)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        make_room(request.extensions_mut());
        AuthFuture::new(self.tower.call(request))
    }
}
