//! The keys of one issuer.

use serde_json::Value;

use super::{Algorithm, VerificationKey};
use crate::error::ConfigError;

/// How many keys a set may hold.
const MAX_KEYS: usize = 100;

/// The usable keys of a JWK Set (RFC 7517 section 5).
#[derive(Clone, Debug)]
pub(crate) struct KeySet {
    keys: Vec<VerificationKey>,
}

impl KeySet {
    /// Reads a JWK Set: keys that cannot be used are skipped one by one, and so are different keys
    /// of one name.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no JWK Set, holds more than 100 keys, or none that can be used.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        #[derive(serde::Deserialize)]
        struct JwkSet {
            keys: Vec<Value>,
        }
        let set: JwkSet = serde_json::from_slice(json)
            .map_err(|_| ConfigError::new("this is no JWK Set (RFC 7517 section 5)"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(ConfigError::new("the JWK Set holds more than 100 keys"));
        }
        let mut keys: Vec<VerificationKey> = Vec::new();
        for jwk in set.keys {
            match VerificationKey::from_value(jwk) {
                Ok(key) if keys.iter().any(|other| other.is_same_key(&key)) => {}
                Ok(key) => keys.push(key),
                Err(why) => tracing::debug!(why, "a key of the set is skipped"),
            }
        }
        let all = keys.clone();
        keys.retain(|key| {
            let has_twin = |other: &VerificationKey| {
                key.kid().is_some() && other.kid() == key.kid() && !other.is_same_key(key)
            };
            !all.iter().any(has_twin)
        });
        if keys.is_empty() {
            return Err(ConfigError::new(
                "the JWK Set holds no key that can be used",
            ));
        }
        Ok(Self { keys })
    }

    /// The key named `kid` that may verify `algorithm`; without a `kid` the only one that may.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&VerificationKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.allows(algorithm) && (kid.is_none() || key.kid() == kid));
        let key = fitting.next();
        if fitting.next().is_some() { None } else { key }
    }
}
