//! Verification keys that do not change.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use crate::{
    error::{ConfigError, StoreError},
    keys::{KeyStore, VerificationKey, VerificationKeyId, verification::KeySet},
};

/// Verification keys that do not change, each issuer's own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StaticJwks {
    issuers: Arc<[(Arc<str>, KeySet)]>,
}

impl StaticJwks {
    /// The keys of `issuer`, from a JWK Set (RFC 7517 section 5).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no JWK Set or holds no key that can be used.
    pub fn from_json(issuer: impl Into<Arc<str>>, jwks: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self {
            issuers: [(issuer.into(), KeySet::from_json(jwks)?)].into(),
        })
    }

    /// Adds the keys of another issuer. Two issuers may use one `kid`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let both = self.issuers.iter().chain(other.issuers.iter());
        Self {
            issuers: both.cloned().collect(),
        }
    }
}

impl KeyStore<VerificationKeyId> for StaticJwks {
    type Key = VerificationKey;
    type Future = Ready<Result<Option<VerificationKey>, StoreError>>;

    fn key(&self, id: &VerificationKeyId) -> Self::Future {
        let keys = self
            .issuers
            .iter()
            .find(|(issuer, _)| issuer == id.issuer());
        let kid = id.kid().map(|kid| &**kid);
        let key = keys.and_then(|(_, keys)| keys.find(kid, id.algorithm()));
        ready(Ok(key.cloned()))
    }
}
