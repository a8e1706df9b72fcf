//! What was read before.

use std::fmt;

use quick_cache::sync::Cache;

/// How many texts are remembered.
const REMEMBERED: usize = 1000;
/// The longest text that is remembered, in bytes.
const MAX_TEXT: usize = 1024;

/// What parts of tokens say, by their text. Nearly all tokens of an issuer have one of a few headers
/// and one of a few sets of scopes: that is read once, and shared.
///
/// Only what a good signature stands for is to be remembered, so that nobody else can fill it.
pub(super) struct Known<T>(Cache<Box<[u8]>, T>);

impl<T: Clone> Default for Known<T> {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl<T: Clone> Known<T> {
    pub(super) fn get(&self, text: &[u8]) -> Option<T> {
        self.0.get(text)
    }

    pub(super) fn remember(&self, text: &[u8], read: T) {
        if text.len() <= MAX_TEXT {
            self.0.insert(text.into(), read);
        }
    }
}

impl<T> fmt::Debug for Known<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_very_text_is_known_and_no_other() {
        let known = Known::default();
        let long = "s".repeat(MAX_TEXT + 1);
        for text in ["", "a", "a b", "b a", "a  b", "a\tb c"] {
            assert_eq!(known.get(text.as_bytes()), None, "{text:?}");
            known.remember(text.as_bytes(), text.to_owned());
        }
        for text in ["", "a", "a b", "b a", "a  b", "a\tb c"] {
            assert_eq!(known.get(text.as_bytes()).as_deref(), Some(text));
        }
        known.remember(long.as_bytes(), long.clone());
        assert_eq!(known.get(long.as_bytes()), None, "too long");
        for n in 0..2 * REMEMBERED {
            known.remember(format!("scope-{n}").as_bytes(), String::new());
        }
        assert!(known.0.len() <= REMEMBERED);
    }
}
