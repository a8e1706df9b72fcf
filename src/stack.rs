//! All layers in the one right order.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    UnixTime,
    audit::AuditSink,
    clock::Clock,
    error::StoreError,
    keys::{KeyStore, UpstreamKey, UpstreamKeyId, VerificationKey, VerificationKeyId},
    layers::{
        audit_log::{AuditLogLayer, AuditLogService},
        jwt_validate::{JwtValidateLayer, JwtValidateService},
        key_map::{KeyHeader, KeyMapBody, KeyMapLayer, KeyMapService},
        list_filter::{ListFilterBody, ListFilterLayer, ListFilterService},
        mcp_request::{McpBody, McpRequestLayer, McpRequestService},
        origin_guard::{OriginGuardLayer, OriginGuardService, Origins},
        rate_limit::{RateLimitLayer, RateLimitService},
        resource_metadata::{ResourceMetadataLayer, ResourceMetadataService},
        revocation::{RevocationLayer, RevocationService},
        scope_guard::{ScopeGuardLayer, ScopeGuardService},
        session_guard::{SessionGuardLayer, SessionGuardService},
        shared::FailMode,
        stream_guard::{StreamGuardBody, StreamGuardLayer, StreamGuardService},
    },
    oauth::ResourceMetadata,
    policy::Policy,
    rate::{Quota, RateKey, RateLimitStore, Verdict},
    reject::{Reject, RejectBody},
    revocation::{Revocation, RevocationStore},
    session::{MemorySessionStore, SessionStore},
    token::{JwtValidator, VerifiedToken},
};

/// All layers in the one right order: what stands outside of what is not left to the user.
///
/// The guard of hosts and origins, token check, message reading, policy, the filter of lists and the
/// guard of streams are always there; the rest is added. The inner service
/// takes requests with an [`McpBody`](crate::McpBody) and sees the caller as
/// [`VerifiedToken`](crate::VerifiedToken) in their extensions, never the token.
///
/// ```
/// use mcp_auth::{AuthStack, Decision, JwtValidator, ResourceMetadata, StaticJwks, policy_fn};
///
/// let (issuer, resource) = ("https://idp.example.com", "https://mcp.example.com/mcp");
/// # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// let auth = AuthStack::new(
///     JwtValidator::new(issuer, resource)?,
///     StaticJwks::from_json(issuer, jwks)?,
///     ResourceMetadata::new(resource, [issuer])?,
///     policy_fn(|_| Decision::allow()),
/// );
/// # let _ = auth;
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct AuthStack<K, V = Off, L = Off, U = Off, T = MemorySessionStore> {
    validate: JwtValidateLayer<K>,
    origins: Option<Origins>,
    metadata: ResourceMetadata,
    policy: Arc<dyn Policy>,
    read: McpRequestLayer,
    sessions: SessionGuardLayer<T>,
    revocation: Option<RevocationLayer<V>>,
    rate_limit: Option<RateLimitLayer<L>>,
    keys: KeyMapLayer<U>,
    shows_all: bool,
    streams: StreamGuardLayer<Off>,
    audit: Option<AuditLogLayer>,
    clock: Option<Arc<dyn Clock>>,
    reject: Option<Arc<dyn Reject>>,
}

impl<K> AuthStack<K> {
    /// Verifies tokens with `validator` and the keys of `keys`, tells clients the `metadata`, and
    /// lets through what `policy` allows.
    pub fn new(
        validator: JwtValidator,
        keys: K,
        metadata: ResourceMetadata,
        policy: impl Policy + 'static,
    ) -> Self {
        Self {
            validate: JwtValidateLayer::new(validator, keys),
            origins: None,
            metadata,
            policy: Arc::new(policy),
            read: McpRequestLayer::new(),
            sessions: SessionGuardLayer::new(MemorySessionStore::new()),
            revocation: None,
            rate_limit: None,
            keys: KeyMapLayer::of(None),
            shows_all: false,
            streams: StreamGuardLayer::of(None),
            audit: None,
            clock: None,
            reject: None,
        }
    }
}

impl<K, V, L, U, T> AuthStack<K, V, L, U, T> {
    /// Refuses tokens that `store` says were revoked.
    pub fn with_revocation<V2>(self, store: V2) -> AuthStack<K, V2, L, U, T> {
        self.with_revocation_layer(RevocationLayer::new(store))
    }

    /// The same with the layer as you set it up.
    pub fn with_revocation_layer<V2>(
        self,
        layer: RevocationLayer<V2>,
    ) -> AuthStack<K, V2, L, U, T> {
        AuthStack {
            validate: self.validate,
            origins: self.origins,
            metadata: self.metadata,
            policy: self.policy,
            read: self.read,
            sessions: self.sessions,
            revocation: Some(layer),
            rate_limit: self.rate_limit,
            keys: self.keys,
            shows_all: self.shows_all,
            streams: self.streams,
            audit: self.audit,
            clock: self.clock,
            reject: self.reject,
        }
    }

    /// Counts what callers ask for.
    pub fn with_rate_limit<L2>(self, layer: RateLimitLayer<L2>) -> AuthStack<K, V, L2, U, T> {
        AuthStack {
            validate: self.validate,
            origins: self.origins,
            metadata: self.metadata,
            policy: self.policy,
            read: self.read,
            sessions: self.sessions,
            revocation: self.revocation,
            rate_limit: Some(layer),
            keys: self.keys,
            shows_all: self.shows_all,
            streams: self.streams,
            audit: self.audit,
            clock: self.clock,
            reject: self.reject,
        }
    }

    /// Swaps the caller's identity for a key of `store`, under `header`.
    pub fn with_upstream_keys<U2>(self, store: U2, header: KeyHeader) -> AuthStack<K, V, L, U2, T> {
        self.with_upstream_keys_layer(KeyMapLayer::new(store).with_header(header))
    }

    /// The same with the layer as you set it up.
    pub fn with_upstream_keys_layer<U2>(self, layer: KeyMapLayer<U2>) -> AuthStack<K, V, L, U2, T> {
        AuthStack {
            validate: self.validate,
            origins: self.origins,
            metadata: self.metadata,
            policy: self.policy,
            read: self.read,
            sessions: self.sessions,
            revocation: self.revocation,
            rate_limit: self.rate_limit,
            keys: layer,
            shows_all: self.shows_all,
            streams: self.streams,
            audit: self.audit,
            clock: self.clock,
            reject: self.reject,
        }
    }

    /// Answers under the hosts, and to pages of the origins, of `origins` (default: those of the
    /// resource, by [`Origins::new`]).
    pub fn with_origins(mut self, origins: Origins) -> Self {
        self.origins = Some(origins);
        self
    }

    /// The metadata as the stack tells it, with the scopes that the policy asks of everybody: for a
    /// [`ResourceMetadataEndpoint`](crate::ResourceMetadataEndpoint), where a router strips a prefix
    /// in front of the stack or hands the document's path to nobody.
    #[must_use]
    pub fn metadata(&self) -> ResourceMetadata {
        let base = self.policy.base();
        self.metadata.clone().with_scopes_supported(&base)
    }

    /// Shows every list in full, also what the caller lacks the scopes for: for clients that then
    /// ask for more scopes.
    pub const fn show_all(mut self) -> Self {
        self.shows_all = true;
        self
    }

    /// Remembers in `store` whose a session is, instead of in a
    /// [`MemorySessionStore`](crate::MemorySessionStore) of its own: where there are several
    /// instances, or several stacks in front of one server.
    pub fn with_sessions<T2>(self, store: T2) -> AuthStack<K, V, L, U, T2> {
        AuthStack {
            validate: self.validate,
            origins: self.origins,
            metadata: self.metadata,
            policy: self.policy,
            read: self.read,
            sessions: SessionGuardLayer::new(store),
            revocation: self.revocation,
            rate_limit: self.rate_limit,
            keys: self.keys,
            shows_all: self.shows_all,
            streams: self.streams,
            audit: self.audit,
            clock: self.clock,
            reject: self.reject,
        }
    }

    /// Lets a principal have so many streams at once (default 32), on this instance.
    pub fn with_max_streams(mut self, streams: usize) -> Self {
        self.streams = self.streams.with_max_streams(streams);
        self
    }

    /// Cuts event streams that answer a call, too, when the token expires or is revoked; by default
    /// only those are ended that a GET and `subscriptions/listen` open.
    pub fn cut_answers(mut self) -> Self {
        self.streams = self.streams.cut_answers();
        self
    }

    /// Tells `sink` what happened to every request.
    pub fn with_audit(mut self, sink: impl AuditSink + 'static) -> Self {
        self.audit = Some(AuditLogLayer::new(sink));
        self
    }

    /// Remembers at most `tokens` verified tokens (default 10,000).
    pub fn with_token_cache(mut self, tokens: usize) -> Self {
        self.validate = self.validate.with_cache(tokens);
        self
    }

    /// Reads bodies of at most `bytes` (default 4 MiB).
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.read = self.read.with_max_body(bytes);
        self
    }

    /// Reads the time from `clock` instead of the system's, in all layers.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Shapes the bodies of refusals, in all layers.
    pub fn with_reject(mut self, reject: impl Reject + 'static) -> Self {
        self.reject = Some(Arc::new(reject));
        self
    }
}

/// Settings that all refusing layers of the stack share.
macro_rules! shared {
    ($stack:ident, $layer:expr) => {{
        let mut layer = $layer;
        if let Some(clock) = &$stack.clock {
            layer = layer.with_clock(Arc::clone(clock));
        }
        if let Some(reject) = &$stack.reject {
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
        let base = self.policy.base();
        let metadata = self.metadata();

        // Innermost first.
        let watch = match &self.revocation {
            Some(layer) => self
                .streams
                .asking(Some(layer.store().clone()), layer.fail_mode().clone()),
            None => self.streams.asking(None, FailMode::default()),
        };
        let watched = shared!(self, watch.with_leeway(self.validate.leeway())).layer(inner);
        let filtered = if self.shows_all {
            ListFilterService::pass_through(watched)
        } else {
            shared!(self, ListFilterLayer::new(Arc::clone(&self.policy))).layer(watched)
        };
        let keyed = shared!(self, self.keys.clone()).layer(filtered);
        let limited = match &self.rate_limit {
            Some(layer) => shared!(self, layer.clone()).layer(keyed),
            None => RateLimitService::pass_through(keyed),
        };
        let guarded = shared!(self, ScopeGuardLayer::new(Arc::clone(&self.policy)))
            .with_metadata(&metadata)
            .layer(limited);
        let sessions = shared!(self, self.sessions.clone()).layer(guarded);
        let read = shared!(self, self.read.clone()).layer(sessions);
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
        if let Some(origins) = &self.origins {
            origin_guard = origin_guard.with_origins(origins.clone());
        }
        if let Some(reject) = &self.reject {
            origin_guard = origin_guard.with_reject(Arc::clone(reject));
        }
        let reached = origin_guard.layer(described);
        let tower = match &self.audit {
            Some(layer) => match &self.clock {
                Some(clock) => layer.clone().with_clock(Arc::clone(clock)).layer(reached),
                None => layer.layer(reached),
            },
            None => AuditLogService::pass_through(reached),
        };
        Auth { tower }
    }
}

impl<K, V, L, U, T> fmt::Debug for AuthStack<K, V, L, U, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthStack")
            .field("resource", self.metadata.resource())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// The layers around `S`, outermost first.
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
    B: Body<Data = Bytes>,
    ResB: RejectBody,
{
    type Response = Response<AuthBody<ResB>>;
    type Error = S::Error;
    type Future = AuthFuture<<Tower<S, K, V, L, U, T> as Service<Request<B>>>::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        <Tower<S, K, V, L, U, T> as Service<Request<B>>>::poll_ready(&mut self.tower, context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        AuthFuture {
            inner: self.tower.call(request),
        }
    }
}

pin_project! {
    /// The response of [`Auth`].
    pub struct AuthFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, B, E> Future for AuthFuture<F>
where
    F: Future<Output = Result<Response<KeyMapBody<ListFilterBody<StreamGuardBody<B>>>>, E>>,
{
    type Output = Result<Response<AuthBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().inner.poll(context));
        Poll::Ready(response.map(|response| response.map(|inner| AuthBody { inner })))
    }
}

impl<F> fmt::Debug for AuthFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// The response body of [`Auth`]: a refusal, or the inner service's own body, passed on piece
    /// by piece.
    #[derive(Debug)]
    pub struct AuthBody<B> {
        #[pin]
        inner: KeyMapBody<ListFilterBody<StreamGuardBody<B>>>,
    }
}

impl<B: Body<Data = Bytes>> Body for AuthBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().inner.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: RejectBody> RejectBody for AuthBody<B> {
    fn from_bytes(bytes: Bytes) -> Self {
        Self {
            inner: KeyMapBody::from_bytes(bytes),
        }
    }
}

/// A part of [`AuthStack`] that is left out, for those who write its type down. It has no value, so
/// that nobody can put a store that never answers into a layer.
///
/// ```
/// use mcp_auth::{AuthStack, MemoryRateLimitStore, Off, StaticJwks};
///
/// struct Gateway {
///     // No revocation, a limit, no upstream keys.
///     auth: AuthStack<StaticJwks, Off, MemoryRateLimitStore>,
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums)]
pub enum Off {}

/// The answer of a store that cannot exist.
type Never<T> = std::future::Ready<Result<T, StoreError>>;

impl RevocationStore for Off {
    type Future = Never<Revocation>;

    fn status(&self, _: &VerifiedToken) -> Self::Future {
        match *self {}
    }
}

impl RateLimitStore for Off {
    type Future = Never<Verdict>;

    fn take(&self, _: &RateKey, _: &Quota, _: std::num::NonZeroU32, _: UnixTime) -> Self::Future {
        match *self {}
    }
}

impl KeyStore<UpstreamKeyId> for Off {
    type Key = UpstreamKey;
    type Future = Never<Option<UpstreamKey>>;

    fn key(&self, _: &UpstreamKeyId) -> Self::Future {
        match *self {}
    }
}
