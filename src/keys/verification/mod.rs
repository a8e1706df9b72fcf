//! The keys that verify a token's signature.

use std::{fmt, sync::Arc};

use crate::{clock::UnixTime, error::ConfigError};

/// A signature algorithm of RFC 7518 and RFC 8037 that is accepted here: asymmetric ones only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

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
pub struct VerificationKey(Arc<()>);

impl VerificationKey {
    /// Reads one JWK (RFC 7517).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the key is not one that may verify signatures here.
    pub fn from_jwk(json: &[u8]) -> Result<Self, ConfigError> {
        let _ = json;
        todo!()
    }

    /// The key is in force until this instant, unless a later call says otherwise. A new key is in
    /// force for ever. Shared by all clones: tokens that were verified with the key and are cached
    /// are verified anew after it.
    pub fn set_in_force_until(&self, until: UnixTime) {
        let _ = until;
        todo!()
    }

    /// Whether the key is in force.
    #[must_use]
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        let _ = now;
        todo!()
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey").finish_non_exhaustive()
    }
}

/// The usable keys of a JWK Set (RFC 7517 section 5).
#[derive(Clone, Debug)]
pub(crate) struct KeySet {}

impl KeySet {
    /// Reads a JWK Set: keys that cannot be used are skipped one by one.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no JWK Set, holds more than 100 keys, or none that can be used.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let _ = json;
        todo!()
    }

    /// The key named `kid` that may verify `algorithm`; without a `kid` the only one that may.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&VerificationKey> {
        let _ = (kid, algorithm);
        todo!()
    }

    /// All keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &VerificationKey> {
        std::iter::empty()
    }

    /// Whether the very key (kid and key material) is in the set.
    pub(crate) fn holds(&self, key: &VerificationKey) -> bool {
        let _ = key;
        todo!()
    }
}
