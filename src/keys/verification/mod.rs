//! The keys that verify a token's signature.

mod algorithm;
mod jwk;
mod set;
mod signature;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub use self::algorithm::Algorithm;
pub(crate) use self::set::KeySet;
use self::{jwk::Material, signature::Verifier};
use crate::{clock::UnixTime, error::ConfigError};

/// Which key is asked for. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerificationKeyId {
    issuer: Arc<str>,
    kid: Option<Arc<str>>,
    algorithm: Algorithm,
}

impl VerificationKeyId {
    /// The key of `issuer` named `kid`, for `algorithm`; without a `kid`, the only one that fits.
    #[must_use]
    pub const fn new(issuer: Arc<str>, kid: Option<Arc<str>>, algorithm: Algorithm) -> Self {
        Self {
            issuer,
            kid,
            algorithm,
        }
    }

    /// The issuer, one that the validator trusts.
    #[must_use]
    pub const fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// The `kid` of the token's header: anybody can have written it.
    #[must_use]
    pub const fn kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }

    /// The `alg` of the token's header, one that the validator allows.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A public key that verifies signatures, parsed once. Cheap to clone.
#[derive(Clone)]
pub struct VerificationKey(Arc<Key>);

struct Key {
    kid: Option<Box<str>>,
    material: Material,
    /// One parsed key for each algorithm that the key may verify.
    verifiers: Vec<(Algorithm, Verifier)>,
    /// Nanoseconds since the epoch.
    in_force_until: AtomicU64,
}

impl VerificationKey {
    /// Reads one JWK (RFC 7517): RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519, whose `use`,
    /// `key_ops` and `alg`, where present, say that it verifies signatures.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the key is not one that may verify signatures here.
    pub fn from_jwk(json: &[u8]) -> Result<Self, ConfigError> {
        let jwk = serde_json::from_slice(json)
            .map_err(|_| ConfigError::new("the key is not a JWK (RFC 7517)"))?;
        Self::from_value(jwk).map_err(ConfigError::new)
    }

    pub(super) fn from_value(jwk: serde_json::Value) -> Result<Self, &'static str> {
        let (kid, material, algorithms) = jwk::read(jwk)?;
        let verifiers = algorithms
            .into_iter()
            .map(|algorithm| Ok((algorithm, Verifier::new(algorithm, &material)?)))
            .collect::<Result<_, &'static str>>()?;
        Ok(Self(Arc::new(Key {
            kid,
            material,
            verifiers,
            in_force_until: AtomicU64::new(u64::MAX),
        })))
    }

    /// The name of the key.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// Whether the key may verify signatures of `algorithm`.
    #[must_use]
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.0.verifiers.iter().any(|(own, _)| *own == algorithm)
    }

    /// Whether `signature` over `message` is the key's own, by an algorithm that it allows.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.0
            .verifiers
            .iter()
            .find(|(own, _)| *own == algorithm)
            .is_some_and(|(_, verifier)| verifier.verifies(message, signature))
    }

    fn is_same_key(&self, other: &Self) -> bool {
        self.0.kid == other.0.kid && self.0.material == other.0.material
    }

    /// The key is in force until this instant, unless a later call says otherwise. A new key is in
    /// force for ever. Shared by all clones: tokens that were verified with the key and are cached
    /// are verified anew after it.
    pub fn set_in_force_until(&self, until: UnixTime) {
        self.0
            .in_force_until
            .store(until.as_nanos(), Ordering::Release);
    }

    /// Whether the key is in force.
    #[must_use]
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        now.as_nanos() < self.0.in_force_until.load(Ordering::Acquire)
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("kid", &self.0.kid)
            .finish_non_exhaustive()
    }
}
