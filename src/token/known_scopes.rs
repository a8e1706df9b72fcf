//! Sets of scopes that were read before.

use std::fmt;

use quick_cache::sync::Cache;

use crate::token::Scope;

/// How many are remembered.
const REMEMBERED: usize = 1000;
/// The longest text that is remembered, in bytes.
const MAX_TEXT: usize = 1024;

/// Sets of scopes by their text. Nearly all tokens of an issuer have one of a few, and share it: a
/// set of six would be half of what a token costs in allocations.
pub(super) struct KnownScopes(Cache<Box<str>, Scope>);

impl Default for KnownScopes {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl KnownScopes {
    /// As [`Scope::from_claim`].
    pub(super) fn read(&self, text: &str) -> Scope {
        if let Some(scope) = self.0.get(text) {
            return scope;
        }
        let scope = Scope::from_claim(text);
        if text.len() <= MAX_TEXT {
            self.0.insert(text.into(), scope.clone());
        }
        scope
    }
}

impl fmt::Debug for KnownScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownScopes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_would_be_read() {
        let known = KnownScopes::default();
        let long = "s ".repeat(MAX_TEXT);
        for text in ["", "a", "a b", "b a", "a  b", "a\tb c", &long] {
            for _ in 0..2 {
                assert_eq!(known.read(text), Scope::from_claim(text), "{text:?}");
            }
        }
        assert_eq!(known.0.len(), 6, "all but the long one");
        for n in 0..2 * REMEMBERED {
            known.read(&format!("scope-{n}"));
        }
        assert!(known.0.len() <= REMEMBERED);
    }
}
