//! Keys at both ends of the pipeline: those that verify a token's signature, and those that the
//! service behind understands.

mod key_map;
mod store;
mod upstream;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod verification;

#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub use self::verification::{Algorithm, VerificationKey, VerificationKeyId};
pub use self::{
    key_map::{KeyMap, KeyRule, KeyScopePolicy},
    store::{BoxKeyStore, KeyStore, KeyStoreFn, key_store_fn},
    upstream::{UpstreamKey, UpstreamKeyId},
};
