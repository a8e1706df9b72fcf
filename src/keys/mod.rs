//! Keys at both ends of the pipeline: those that verify a token's signature, and those that the
//! service behind understands.

#[cfg(all(feature = "fetch", any(feature = "aws-lc-rs", feature = "rust-crypto")))]
mod jwks;
mod key_map;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod static_jwks;
mod store;
mod upstream;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod verification;

#[cfg(all(feature = "fetch", any(feature = "aws-lc-rs", feature = "rust-crypto")))]
pub use self::jwks::{Jwks, JwksFuture};
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) use self::verification::MAX_KID;
pub use self::{
    key_map::{KeyMap, KeyRule, KeyScopePolicy},
    store::{BoxKeyStore, KeyStore, KeyStoreFn, key_store_fn},
    upstream::{UpstreamKey, UpstreamKeyId},
};
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub use self::{
    static_jwks::StaticJwks,
    verification::{Algorithm, VerificationKey, VerificationKeyId},
};
