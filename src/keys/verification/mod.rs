//! The keys that verify a token's signature.

mod algorithm;
#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
mod jwk;
mod material;
#[cfg(all(feature = "rust-crypto", any(test, not(feature = "aws-lc-rs"))))]
mod rust_crypto;
mod set;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub use self::algorithm::Algorithm;
#[cfg(feature = "aws-lc-rs")]
use self::aws_lc as backend;
#[cfg(not(feature = "aws-lc-rs"))]
use self::rust_crypto as backend;
pub(crate) use self::set::KeySet;
use self::{jwk::Parsed, material::Material};
use crate::{clock::UnixTime, error::ConfigError};

/// The longest `kid`, in bytes: no set holds a longer one, and none is looked for.
pub(crate) const MAX_KID: usize = 512;

/// Which key is asked for. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerificationKeyId {
    pub(crate) issuer: Arc<str>,
    pub(crate) kid: Option<Arc<str>>,
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
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `kid` of the token's header: anybody can have written it.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The `alg` of the token's header, one that the validator allows.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A public key that verifies signatures, parsed once. Cheap to clone.
///
/// The key decides which algorithms it verifies: its `kty`, `crv`, `alg`, `use` and `key_ops` must
/// all agree. RSA keys have 2048 to 8192 bits (with the feature `rust-crypto` alone, at most 4096),
/// the curves are P-256, P-384 and Ed25519.
///
/// ```
/// use mcp_auth::{Algorithm, VerificationKey};
///
/// let key = VerificationKey::from_jwk(
///     br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
/// )?;
/// assert!(key.allows(Algorithm::EdDSA));
/// assert!(!key.allows(Algorithm::ES256));
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct VerificationKey(Arc<Key>);

struct Key {
    kid: Option<Arc<str>>,
    material: Material,
    verifiers: Vec<(Algorithm, backend::Verifier)>,
    in_force_until: AtomicU64,
}

impl VerificationKey {
    /// Reads one JWK (RFC 7517): a public key, and nothing private.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the key is not one that may verify signatures here. The message
    /// repeats nothing of the key.
    pub fn from_jwk(json: &[u8]) -> Result<Self, ConfigError> {
        Parsed::from_jwk(json)
            .and_then(Self::new)
            .map_err(ConfigError::new)
    }

    /// Reads one PEM block, `PUBLIC KEY` or `RSA PUBLIC KEY`: a key without a `kid`, for one
    /// algorithm.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no such block, or the key is not one for this algorithm.
    pub fn from_pem(pem: &[u8], algorithm: Algorithm) -> Result<Self, ConfigError> {
        Self::from_named_pem(pem, None, algorithm)
    }

    pub(crate) fn from_named_pem(
        pem: &[u8],
        kid: Option<Arc<str>>,
        algorithm: Algorithm,
    ) -> Result<Self, ConfigError> {
        Parsed::from_pem(pem, kid, algorithm)
            .and_then(Self::new)
            .map_err(ConfigError::new)
    }

    fn new(parsed: Parsed) -> Result<Self, &'static str> {
        let Parsed {
            kid,
            material,
            algorithms,
        } = parsed;
        let verifiers = algorithms
            .into_iter()
            .map(|algorithm| Some((algorithm, backend::Verifier::new(&material, algorithm)?)))
            .collect::<Option<_>>()
            .ok_or("the numbers of the key make no key")?;
        Ok(Self(Arc::new(Key {
            kid,
            material,
            verifiers,
            in_force_until: AtomicU64::new(u64::MAX),
        })))
    }

    /// The key's `kid`, its name among the keys of an issuer.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// Whether the key may verify signatures of this algorithm.
    #[must_use]
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.verifier(algorithm).is_some()
    }

    /// The key is in force until this instant, unless a later call says otherwise. A new key is in
    /// force for ever. Shared by all clones: tokens that were verified with the key and are cached
    /// are verified anew after it.
    pub fn set_in_force_until(&self, until: UnixTime) {
        // The one value stands for itself: nothing else is published with it.
        self.0
            .in_force_until
            .store(until.as_nanos(), Ordering::Relaxed);
    }

    /// Whether the key is in force: `now` is before the instant, or no end was set.
    #[must_use]
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        let until = self.0.in_force_until.load(Ordering::Relaxed);
        until == u64::MAX || now.as_nanos() < until
    }

    /// Whether `signature` is one over `message`; false for an algorithm that the key may not
    /// verify.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == self.0.material.signature_length()
            && self
                .verifier(algorithm)
                .is_some_and(|verifier| verifier.verify(message, signature))
    }

    /// The same by the backend that another one stands in front of.
    #[cfg(all(test, feature = "rust-crypto"))]
    pub(crate) fn verifies_in_pure_rust(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.allows(algorithm)
            && signature.len() == self.0.material.signature_length()
            && rust_crypto::Verifier::new(&self.0.material, algorithm)
                .is_some_and(|verifier| verifier.verify(message, signature))
    }

    fn verifier(&self, algorithm: Algorithm) -> Option<&backend::Verifier> {
        self.algorithms_and_verifiers()
            .find_map(|(own, verifier)| (own == algorithm).then_some(verifier))
    }

    fn algorithms_and_verifiers(&self) -> impl Iterator<Item = (Algorithm, &backend::Verifier)> {
        self.0.verifiers.iter().map(|(alg, ready)| (*alg, ready))
    }

    fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.algorithms_and_verifiers().map(|(alg, _)| alg)
    }

    /// Whether both are the same public key, under whatever name.
    fn has_same_material(&self, other: &Self) -> bool {
        self.0.material == other.0.material
    }

    /// Whether both are the same key with the same name for the same algorithms.
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || self.0.kid == other.0.kid
                && self.has_same_material(other)
                && self.algorithms().eq(other.algorithms())
    }
}

/// Shows the `kid` and the algorithms.
impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("kid", &self.0.kid)
            .field("algorithms", &self.algorithms().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
