//! All layers in the one right order.

mod body;
mod enter;
mod future;
mod gates;
mod late;
mod leave;
mod off;
mod pass;
mod service;
mod stores;

use std::{fmt, sync::Arc};

pub use self::{body::AuthBody, future::AuthFuture, off::Off, service::Auth};
use crate::{
    audit::AuditSink,
    clock::Clock,
    layers::{
        audit_log::AuditLogLayer,
        jwt_validate::JwtValidateLayer,
        key_map::{KeyHeader, KeyMapLayer},
        mcp_request::McpRequestLayer,
        origin_guard::Origins,
        rate_limit::RateLimitLayer,
        revocation::RevocationLayer,
        session_guard::SessionGuardLayer,
        stream_guard::StreamGuardLayer,
    },
    oauth::ResourceMetadata,
    policy::Policy,
    reject::Reject,
    session::MemorySessionStore,
    token::JwtValidator,
};

/// All layers in the one right order: what stands outside of what is not left to the user.
///
/// The guard of hosts and origins, the resource metadata, token check, message reading, the guard of
/// sessions, policy, the filter of lists and the guard of streams are always there; the rest is
/// added. The inner service takes requests with an [`McpBody`](crate::McpBody) and sees the caller as
/// [`VerifiedToken`](crate::VerifiedToken) in their extensions, never the token.
///
/// A body may come a minute after its head. After more than a second the end of the token and
/// revocations are asked about again, before anything of the message is judged.
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
    settings: Settings,
    validate: JwtValidateLayer<K>,
    sessions: SessionGuardLayer<T>,
    revocation: Option<RevocationLayer<V>>,
    rate_limit: Option<RateLimitLayer<L>>,
    keys: KeyMapLayer<U>,
}

/// What no store is part of.
#[derive(Clone)]
struct Settings {
    origins: Option<Origins>,
    metadata: ResourceMetadata,
    policy: Arc<dyn Policy>,
    read: McpRequestLayer,
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
            settings: Settings {
                origins: None,
                metadata,
                policy: Arc::new(policy),
                read: McpRequestLayer::new(),
                shows_all: false,
                streams: StreamGuardLayer::of(None),
                audit: None,
                clock: None,
                reject: None,
            },
            validate: JwtValidateLayer::new(validator, keys),
            sessions: SessionGuardLayer::new(MemorySessionStore::new()),
            revocation: None,
            rate_limit: None,
            keys: KeyMapLayer::without_keys(),
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
            settings: self.settings,
            validate: self.validate,
            sessions: self.sessions,
            revocation: Some(layer),
            rate_limit: self.rate_limit,
            keys: self.keys,
        }
    }

    /// Counts what callers ask for.
    pub fn with_rate_limit<L2>(self, layer: RateLimitLayer<L2>) -> AuthStack<K, V, L2, U, T> {
        AuthStack {
            settings: self.settings,
            validate: self.validate,
            sessions: self.sessions,
            revocation: self.revocation,
            rate_limit: Some(layer),
            keys: self.keys,
        }
    }

    /// Swaps the caller's identity for a key of `store`, under `header`.
    pub fn with_upstream_keys<U2>(self, store: U2, header: KeyHeader) -> AuthStack<K, V, L, U2, T> {
        self.with_upstream_keys_layer(KeyMapLayer::new(store).with_header(header))
    }

    /// The same with the layer as you set it up.
    pub fn with_upstream_keys_layer<U2>(self, layer: KeyMapLayer<U2>) -> AuthStack<K, V, L, U2, T> {
        AuthStack {
            settings: self.settings,
            validate: self.validate,
            sessions: self.sessions,
            revocation: self.revocation,
            rate_limit: self.rate_limit,
            keys: layer,
        }
    }

    /// Answers under the hosts, and to pages of the origins, of `origins` (default: those of the
    /// resource, by [`Origins::new`]).
    pub fn with_origins(mut self, origins: Origins) -> Self {
        self.settings.origins = Some(origins);
        self
    }

    /// The metadata as the stack tells it, with the scopes that the policy asks of everybody: for a
    /// [`ResourceMetadataEndpoint`](crate::ResourceMetadataEndpoint), where a router strips a prefix
    /// in front of the stack or hands the document's path to nobody.
    #[must_use]
    pub fn metadata(&self) -> ResourceMetadata {
        let base = self.settings.policy.base();
        self.settings.metadata.clone().with_scopes_supported(&base)
    }

    /// Shows every list in full, also what the caller lacks the scopes for: for clients that then
    /// ask for more scopes.
    pub const fn show_all(mut self) -> Self {
        self.settings.shows_all = true;
        self
    }

    /// Remembers in `store` whose a session is, instead of in a
    /// [`MemorySessionStore`](crate::MemorySessionStore) of its own: where there are several
    /// instances, or several stacks in front of one server.
    pub fn with_sessions<T2>(self, store: T2) -> AuthStack<K, V, L, U, T2> {
        AuthStack {
            settings: self.settings,
            validate: self.validate,
            sessions: SessionGuardLayer::new(store),
            revocation: self.revocation,
            rate_limit: self.rate_limit,
            keys: self.keys,
        }
    }

    /// Lets a principal have so many streams at once (default 32), on this instance.
    pub fn with_max_streams(mut self, streams: usize) -> Self {
        self.settings.streams = self.settings.streams.with_max_streams(streams);
        self
    }

    /// Cuts event streams that answer a call, too, when the token expires or is revoked; by default
    /// only those are ended that a GET and `subscriptions/listen` open.
    pub fn cut_answers(mut self) -> Self {
        self.settings.streams = self.settings.streams.cut_answers();
        self
    }

    /// Tells `sink` what happened to every request.
    pub fn with_audit(mut self, sink: impl AuditSink + 'static) -> Self {
        self.settings.audit = Some(AuditLogLayer::new(sink));
        self
    }

    /// Remembers at most `tokens` verified tokens (default 10,000; 0 verifies each one each time).
    /// One costs its own length, that of its claims and some 700 bytes: 1.7 KiB for a token of 780
    /// bytes, 2 KiB for one of 960.
    pub fn with_token_cache(mut self, tokens: usize) -> Self {
        self.validate = self.validate.with_cache(tokens);
        self
    }

    /// Reads bodies of at most `bytes` (default 4 MiB).
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.settings.read = self.settings.read.with_max_body(bytes);
        self
    }

    /// Reads the time from `clock` instead of the system's, in all layers.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.settings.clock = Some(Arc::new(clock));
        self
    }

    /// Shapes the bodies of refusals, in all layers.
    pub fn with_reject(mut self, reject: impl Reject + 'static) -> Self {
        self.settings.reject = Some(Arc::new(reject));
        self
    }
}

impl<K, V, L, U, T> fmt::Debug for AuthStack<K, V, L, U, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthStack")
            .field("resource", &self.settings.metadata.resource())
            .field("policy", &self.settings.policy)
            .finish_non_exhaustive()
    }
}
