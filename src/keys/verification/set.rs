//! A JWK Set, and which of its keys is meant.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Algorithm, VerificationKey};
use crate::error::ConfigError;

/// The most keys that a set may list, usable or not.
const MAX_KEYS: usize = 100;

/// The usable keys of a JWK Set (RFC 7517 section 5).
#[derive(Clone, Debug)]
pub(crate) struct KeySet {
    keys: Vec<VerificationKey>,
    skipped: usize,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl KeySet {
    /// Reads a JWK Set: keys that cannot be used are skipped one by one. Where two different keys
    /// share a `kid`, neither can be used.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no JWK Set, holds more than 100 keys, or none that can be used.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let text = str::from_utf8(json).map_err(|_| ConfigError::new("a JWK Set is UTF-8"))?;
        let document: Document<'_> = Some(text)
            // A derived reader would take an array for the object.
            .filter(|text| text.trim_start().starts_with('{'))
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| ConfigError::new("a JWK Set is a JSON object with an array `keys`"))?;
        if document.keys.len() > MAX_KEYS {
            return Err(ConfigError::new("a JWK Set holds at most 100 keys"));
        }
        let keys = document.keys.iter().filter_map(|jwk| {
            VerificationKey::from_jwk(jwk.get().as_bytes())
                .inspect_err(|error| tracing::debug!(%error, "a key of the JWK Set is skipped"))
                .ok()
        });
        let mut set = Self::from_keys(keys)?;
        set.skipped = document.keys.len().saturating_sub(set.keys.len());
        Ok(set)
    }

    /// Puts keys together, by the same rules.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where no key can be used.
    pub(crate) fn from_keys(
        keys: impl IntoIterator<Item = VerificationKey>,
    ) -> Result<Self, ConfigError> {
        let mut usable: Vec<VerificationKey> = Vec::new();
        for key in keys {
            if !usable.iter().any(|other| other.is_same(&key)) {
                usable.push(key);
            }
        }
        let all = usable.clone();
        usable.retain(|key| {
            let has_twin = key.kid().is_some()
                && all
                    .iter()
                    .any(|other| other.kid() == key.kid() && !other.has_same_material(key));
            if has_twin {
                tracing::warn!("two keys of the JWK Set share a kid: neither is used");
            }
            !has_twin
        });
        if usable.is_empty() {
            return Err(ConfigError::new("no key of the JWK Set can be used"));
        }
        Ok(Self {
            keys: usable,
            skipped: 0,
        })
    }

    /// The key named `kid` that may verify `algorithm`; without a `kid` the only one that may.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&VerificationKey> {
        let mut fitting = self.keys.iter().filter(|key| key.allows(algorithm));
        match kid {
            Some(kid) => fitting.find(|key| key.kid() == Some(kid)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }

    /// How many keys of the document cannot be used, or are there twice.
    #[cfg(feature = "fetch")]
    pub(crate) const fn skipped(&self) -> usize {
        self.skipped
    }

    /// All keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &VerificationKey> {
        self.keys.iter()
    }

    /// Whether the very key (kid, key material and algorithms) is in the set.
    pub(crate) fn holds(&self, key: &VerificationKey) -> bool {
        self.keys.iter().any(|own| own.is_same(key))
    }
}
