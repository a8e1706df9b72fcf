//! Production authentication in front of any MCP service.

mod audit;
mod clock;
mod error;
mod json;
mod keys;
mod mcp;
mod oauth;
mod policy;
mod rate;
mod revocation;
mod secret;
mod token;

pub use self::{
    clock::{Clock, SystemClock, UnixTime},
    error::{ConfigError, Reason, StoreError},
    keys::{BoxKeyStore, KeyStore, KeyStoreFn, UpstreamKey, UpstreamKeyId, key_store_fn},
    mcp::{McpRequest, Message, MessageKind, Operation, ProtocolVersion, RequestId, Target},
    policy::{Access, Decision, Denial, DenialKind, Grant, Policy, PolicyFn, policy_fn},
    rate::{BoxRateLimitStore, Quota, RateKey, RateLimitStore, Verdict},
    revocation::{
        BoxRevocationStore, Revocation, RevocationStore, RevocationStoreFn, revocation_store_fn,
    },
    secret::Secret,
    token::{Claims, Principal, Scope, ScopeToken, VerifiedToken},
};

#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub use self::keys::{Algorithm, VerificationKey, VerificationKeyId};
