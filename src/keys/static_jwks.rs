//! Verification keys that do not change.

use std::{
    collections::HashMap,
    future::{Ready, ready},
    sync::Arc,
};

use foldhash::fast::RandomState;

use super::{Algorithm, KeyStore, VerificationKey, VerificationKeyId, verification::KeySet};
use crate::error::{ConfigError, StoreError};

/// Verification keys that do not change, each issuer's own. Cheap to clone; it answers at once.
///
/// ```
/// use mcp_auth::{Algorithm, KeyStore, StaticJwks, VerificationKeyId};
///
/// let keys = StaticJwks::from_json(
///     "https://idp.example.com",
///     br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026",
///         "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
/// )?;
/// let id = |issuer: &str| {
///     VerificationKeyId::new(issuer.into(), Some("2026".into()), Algorithm::EdDSA)
/// };
/// assert!(keys.key(&id("https://idp.example.com")).into_inner()?.is_some());
/// assert!(keys.key(&id("https://evil.example.com")).into_inner()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StaticJwks {
    issuers: Arc<HashMap<Arc<str>, KeySet, RandomState>>,
}

impl StaticJwks {
    /// The keys of `issuer`, from a JWK Set (RFC 7517 section 5) of at most 100 keys. Those that
    /// cannot be used are skipped; where two different keys share a `kid`, both are.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no JWK Set or holds no key that can be used.
    pub fn from_json(issuer: impl Into<Arc<str>>, jwks: &[u8]) -> Result<Self, ConfigError> {
        KeySet::from_json(jwks).map(|keys| Self::of(issuer.into(), keys))
    }

    /// One key of `issuer` for one algorithm, from a PEM block `PUBLIC KEY` or `RSA PUBLIC KEY`.
    /// A token must name it by `kid`, or name none.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no such block, or the key is not one for this algorithm.
    pub fn from_pem(
        issuer: impl Into<Arc<str>>,
        kid: impl Into<Arc<str>>,
        pem: &[u8],
        algorithm: Algorithm,
    ) -> Result<Self, ConfigError> {
        let key = VerificationKey::from_named_pem(pem, Some(kid.into()), algorithm)?;
        KeySet::from_keys([key]).map(|keys| Self::of(issuer.into(), keys))
    }

    fn of(issuer: Arc<str>, keys: KeySet) -> Self {
        Self {
            issuers: Arc::new([(issuer, keys)].into_iter().collect()),
        }
    }

    /// Adds the keys of another issuer, or more of the same. Two issuers may use one `kid`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where two different keys of one issuer share a `kid`.
    pub fn and(mut self, other: Self) -> Result<Self, ConfigError> {
        let issuers = Arc::make_mut(&mut self.issuers);
        for (issuer, more) in other.issuers.iter() {
            let keys = match issuers.get(issuer) {
                None => more.clone(),
                Some(own) => {
                    let both = KeySet::from_keys(own.keys().chain(more.keys()).cloned())?;
                    if !own.keys().chain(more.keys()).all(|key| both.holds(key)) {
                        return Err(ConfigError::new(format!(
                            "two different keys of the issuer {issuer:?} share a kid"
                        )));
                    }
                    both
                }
            };
            issuers.insert(Arc::clone(issuer), keys);
        }
        Ok(self)
    }
}

impl KeyStore<VerificationKeyId> for StaticJwks {
    type Key = VerificationKey;
    type Future = Ready<Result<Option<VerificationKey>, StoreError>>;

    fn key(&self, id: &VerificationKeyId) -> Self::Future {
        let keys = self.issuers.get(id.issuer());
        let key = keys.and_then(|keys| keys.find(id.kid(), id.algorithm()));
        ready(Ok(key.cloned()))
    }
}
