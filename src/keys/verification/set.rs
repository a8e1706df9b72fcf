//! A JWK Set, and which of its keys is meant.

use std::{collections::HashMap, sync::Arc};

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
        Self::from_keys(keys)
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
        let mut first = HashMap::<Arc<str>, (VerificationKey, bool)>::new();
        for key in &usable {
            if let Some(kid) = key.kid() {
                let (other, is_ambiguous) = first
                    .entry(Arc::clone(kid))
                    .or_insert_with(|| (key.clone(), false));
                *is_ambiguous |= !other.has_same_material(key);
            }
        }
        usable.retain(|key| {
            let is_ambiguous = key
                .kid()
                .and_then(|kid| first.get(kid))
                .is_some_and(|(_, is_ambiguous)| *is_ambiguous);
            if is_ambiguous {
                tracing::warn!("two keys of the JWK Set share a kid: neither is used");
            }
            !is_ambiguous
        });
        if usable.is_empty() {
            return Err(ConfigError::new("no key of the JWK Set can be used"));
        }
        Ok(Self { keys: usable })
    }

    /// The key named `kid` that may verify `algorithm`; without a `kid` the only one that may.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&VerificationKey> {
        let mut fitting = self.keys.iter().filter(|key| key.may_verify(algorithm));
        match kid {
            Some(kid) => fitting.find(|key| key.kid().is_some_and(|own| **own == *kid)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
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
