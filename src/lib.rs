//! Production authentication in front of any MCP service.

mod audit;
mod clock;
mod error;
mod hash;
mod json;
mod keys;
mod layers;
mod mcp;
mod oauth;
mod policy;
mod rate;
mod reject;
mod revocation;
mod secret;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod stack;
mod token;
mod trail;

pub use self::{
    clock::{Clock, SystemClock, UnixTime},
    error::{ConfigError, Reason, StoreError},
    keys::{BoxKeyStore, KeyStore, KeyStoreFn, UpstreamKey, UpstreamKeyId, key_store_fn},
    mcp::{
        McpRequest, Message, MessageError, MessageKind, Operation, ProtocolVersion, RequestId,
        Target,
    },
    oauth::{Challenge, ErrorCode, ResourceMetadata},
    policy::{Access, Decision, Denial, DenialKind, Grant, Policy, PolicyFn, policy_fn},
    rate::{BoxRateLimitStore, MemoryRateLimitStore, Quota, RateKey, RateLimitStore, Verdict},
    reject::{JsonReject, Reject, RejectBody, RejectFn, Rejection, reject_fn},
    revocation::{
        BoxRevocationStore, MemoryRevocationStore, Revocation, RevocationStore, RevocationStoreFn,
        revocation_store_fn,
    },
    secret::Secret,
    token::{Claims, Principal, Scope, ScopeToken, VerifiedToken},
    trail::AuthTrail,
};

#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub use self::keys::{Algorithm, StaticJwks, VerificationKey, VerificationKeyId};
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub use self::token::{JwtValidator, TokenError, UnverifiedToken};

#[cfg(feature = "test-util")]
pub use self::audit::RecordingSink;
pub use self::{
    audit::{
        AuditDecision, AuditEvent, AuditOperation, AuditRateLimit, AuditRevocation, AuditSink,
        AuditSinkFn, TracingSink, audit_sink_fn,
    },
    layers::{
        audit_log::AuditLogLayer,
        key_map::{KeyHeader, KeyMapLayer},
        mcp_request::{McpBody, McpRequestLayer},
        rate_limit::{PeerAddr, RateLimit, RateLimitLayer},
        resource_metadata::{ResourceMetadataEndpoint, ResourceMetadataLayer},
        revocation::RevocationLayer,
        scope_guard::ScopeGuardLayer,
    },
};
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub use self::{
    layers::jwt_validate::JwtValidateLayer,
    stack::{Auth, AuthBody, AuthStack},
};
