//! Tower middleware that puts production authentication in front of any MCP (Model Context
//! Protocol) service over HTTP.
//!
//! [`AuthStack`] is all of it in the one right order:
//!
//! ```
//! # #[cfg(feature = "fetch")] {
//! use mcp_auth::{AuthStack, Jwks, JwtValidator, ResourceMetadata, ScopePolicy};
//!
//! let (issuer, resource) = ("https://idp.example.com", "https://mcp.example.com/mcp");
//! let auth = AuthStack::new(
//!     JwtValidator::new(issuer, resource)?,
//!     Jwks::discover(issuer)?,
//!     ResourceMetadata::new(resource, [issuer])?,
//!     ScopePolicy::from_json(
//!         r#"{"base": ["read:data"], "tools": {"get_*": [], "put_*": ["write:data"]}}"#,
//!     )?,
//! );
//! // With feature `axum`: `Router::new().route_service("/mcp", service).layer(auth)`
//! # let _ = auth;
//! # }
//! # Ok::<(), mcp_auth::ConfigError>(())
//! ```
//!
//! Clients look for the resource metadata at a path that no route of yours has. `layer` on the router
//! that is served answers there; `route_layer`, or a router that `nest` or `merge` put into another,
//! may not be asked: then mount it as a [`ResourceMetadataEndpoint`], as [below](#several-servers-behind-one-router).
//!
//! # The order, outermost first
//!
//! | layer | says no with |
//! |---|---|
//! | [`AuditLogLayer`]: one event for every request | never |
//! | [`OriginGuardLayer`]: hosts, origins, CORS | 403 |
//! | [`ResourceMetadataLayer`]: the RFC 9728 document | 405 for what would write it |
//! | [`JwtValidateLayer`]: the bearer token | 401, 400, 503 |
//! | [`RevocationLayer`]: tokens that were revoked | 401, 503 |
//! | [`McpRequestLayer`]: the message | 400, 405, 408, 413, 415 |
//! | [`SessionGuardLayer`]: sessions, each its principal's own | 404, 400, 502, 503 |
//! | [`ScopeGuardLayer`]: the policy | 403, -32601 |
//! | [`RateLimitLayer`]: the limits | 429, 503 |
//! | [`KeyMapLayer`]: the upstream key | 403, 502, 503 |
//! | [`ListFilterLayer`]: what lists show | 502 for what cannot be read |
//! | [`StreamGuardLayer`]: streams that outlive their token | 429 for too many; ends them |
//!
//! # Several servers behind one router
//!
//! Each has a stack of its own, and with it a resource, a policy and sessions: a token for one is
//! refused by the others. Clones of one [`RateLimitStore`], one [`RevocationStore`] and one
//! [`AuditSink`] make limits, revocations and the audit trail those of all. No server speaks for the
//! whole host ([`ResourceMetadata::without_root_alias`]), and because the documents stand outside of
//! the paths that the router strips, each is mounted as a [`ResourceMetadataEndpoint`]:
//!
//! ```
//! use axum::{Router, routing::any};
//! use mcp_auth::{
//!     AuthStack, ConfigError, JwtValidator, ResourceMetadata, ResourceMetadataEndpoint,
//!     ScopePolicy, StaticJwks,
//! };
//!
//! /// One server under a path. Keys may be shared: the issuer is the same.
//! fn server(path: &str, keys: StaticJwks, policy: &str) -> Result<Router, ConfigError> {
//!     let issuer = "https://idp.example.com";
//!     let resource = format!("https://mcp.example.com{path}");
//!     let auth = AuthStack::new(
//!         JwtValidator::new(issuer, &resource)?,
//!         keys,
//!         ResourceMetadata::new(&resource, [issuer])?.without_root_alias(),
//!         ScopePolicy::from_json(policy)?,
//!     );
//!     let document = auth.metadata();
//!     let service = any(async || "your MCP server");
//!     Ok(Router::new()
//!         .nest(path, Router::new().route("/", service).layer(auth))
//!         .route_service(document.path(), ResourceMetadataEndpoint::new(&document)))
//! }
//!
//! # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
//! let keys = StaticJwks::from_json("https://idp.example.com", jwks)?;
//! let notes = server("/notes", keys.clone(), r#"{"base": ["notes"], "tools": {"*": []}}"#)?;
//! let files = server("/files", keys, r#"{"base": ["files"], "tools": {"get_*": []}}"#)?;
//! let app = notes.merge(files);
//! # let _: Router = app;
//! # Ok::<(), ConfigError>(())
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `aws-lc-rs` | yes | signature checks by AWS-LC |
//! | `rust-crypto` | no | signature checks in pure Rust, where `aws-lc-rs` is off (TLS, with `fetch` or `redis`, is AWS-LC all the same) |
//! | `fetch` | yes | [`Jwks`]: keys from an issuer, over HTTP |
//! | `redis` | no | [`Redis`] and stores on it: revocations, limits and sessions that several instances share |
//! | `axum` | no | [`RejectBody`] for axum's body; [`VerifiedToken`], [`McpRequest`] and [`Granted`] as extractors |
//! | `test-util` | no | an issuer, a claims builder, a clock and `RecordingSink`, for tests |
//!
//! Without `aws-lc-rs` and `rust-crypto` there are policies, messages, stores and the layers that work
//! on them, and neither [`AuthStack`] nor [`JwtValidator`].

// On docs.rs each item names the feature that it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Without a crypto backend there is no token check and no stack; what only they call lies idle.
#![cfg_attr(
    not(any(feature = "aws-lc-rs", feature = "rust-crypto")),
    allow(dead_code, unused_imports)
)]

mod audit;
mod clock;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod hash;
mod json;
mod keys;
pub mod layers;
mod mcp;
mod oauth;
mod outage;
mod policy;
mod rate;
#[cfg(feature = "redis")]
mod redis;
mod reject;
mod revocation;
mod secret;
mod session;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod stack;
#[cfg(feature = "test-util")]
pub mod testing;
mod token;
mod trail;

#[cfg(feature = "test-util")]
pub use self::audit::RecordingSink;
#[cfg(all(feature = "fetch", any(feature = "aws-lc-rs", feature = "rust-crypto")))]
pub use self::keys::{Jwks, JwksFuture};
#[cfg(feature = "redis")]
pub use self::redis::{Redis, RedisRateLimitStore, RedisRevocationStore, RedisSessionStore};
pub use self::{
    audit::{
        AuditDecision, AuditEvent, AuditOperation, AuditRateLimit, AuditRevocation, AuditSink,
        AuditSinkFn, JsonLinesSink, RequestName, TracingSink, audit_sink_fn,
    },
    clock::{Clock, SystemClock, UnixTime},
    error::{ConfigError, Reason, StoreError},
    keys::{
        BoxKeyStore, KeyMap, KeyRule, KeyScopePolicy, KeyStore, KeyStoreFn, UpstreamKey,
        UpstreamKeyId, key_store_fn,
    },
    layers::{
        audit_log::AuditLogLayer,
        key_map::{KeyHeader, KeyMapLayer},
        list_filter::ListFilterLayer,
        mcp_request::{McpBody, McpRequestLayer},
        origin_guard::{OriginGuardLayer, Origins},
        rate_limit::{PeerAddr, RateLimit, RateLimitLayer},
        resource_metadata::{ResourceMetadataEndpoint, ResourceMetadataLayer},
        revocation::RevocationLayer,
        scope_guard::ScopeGuardLayer,
        session_guard::SessionGuardLayer,
        stream_guard::StreamGuardLayer,
    },
    mcp::{
        McpRequest, Message, MessageError, MessageKind, Operation, ProtocolVersion, RequestId,
        Target, TargetName,
    },
    oauth::ResourceMetadata,
    policy::{
        Access, Decision, Denial, DenialKind, Explanation, Grant, Granted, Policy, PolicyFn,
        Requirement, ScopeHierarchy, ScopePolicy, policy_fn,
    },
    rate::{BoxRateLimitStore, MemoryRateLimitStore, Quota, RateKey, RateLimitStore, Verdict},
    reject::{JsonReject, Reject, RejectBody, RejectFn, Rejection, reject_fn},
    revocation::{
        BoxRevocationStore, MemoryRevocationStore, Revocation, RevocationStore, RevocationStoreFn,
        revocation_store_fn,
    },
    secret::Secret,
    session::{BoxSessionStore, MemorySessionStore, SessionHash, SessionOwner, SessionStore},
    token::{Claims, Principal, Scope, ScopeToken, TokenError, VerifiedToken},
    trail::AuthTrail,
};
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub use self::{
    keys::{Algorithm, StaticJwks, VerificationKey, VerificationKeyId},
    layers::jwt_validate::JwtValidateLayer,
    stack::{Auth, AuthBody, AuthFuture, AuthStack, Off},
    token::{JwtValidator, UnverifiedToken},
};
