//! Tokens that were verified, so that they are not verified again.

use std::{
    fmt,
    hash::{Hash, Hasher},
    time::Duration,
};

use bytes::Bytes;
use quick_cache::{Equivalent, sync::Cache};

use crate::{clock::UnixTime, keys::VerificationKey, token::VerifiedToken};

/// How long a token is remembered at the most.
const CAP: Duration = Duration::from_secs(300);

/// Verified tokens, bounded in number. An entry costs about the token's length and its claims'.
///
/// The identity of an entry is the whole text of the token; a randomly seeded hash only finds its
/// place. A forged token can equal no entry, and how long a comparison takes tells an attacker only
/// about texts that fell into one place by a hash that is secret.
pub(crate) struct TokenCache(Option<Cache<TokenText, Entry>>);

#[derive(Clone)]
struct Entry {
    verified: VerifiedToken,
    key: VerificationKey,
    deadline: UnixTime,
}

#[derive(Clone, PartialEq, Eq)]
struct TokenText(Bytes);

impl Hash for TokenText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.0).hash(state);
    }
}

/// A text that is looked for.
struct Wanted<'a>(&'a [u8]);

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<TokenText> for Wanted<'_> {
    fn equivalent(&self, text: &TokenText) -> bool {
        *self.0 == *text.0
    }
}

impl TokenCache {
    /// A cache of so many tokens; of none, it remembers nothing.
    pub(crate) fn new(tokens: usize) -> Self {
        Self((tokens > 0).then(|| Cache::new(tokens)))
    }

    /// The proof, while token and key are good.
    pub(crate) fn get(&self, token: &[u8], now: UnixTime) -> Option<VerifiedToken> {
        let entry = self.0.as_ref()?.get(&Wanted(token))?;
        (now < entry.deadline && entry.key.is_in_force(now)).then_some(entry.verified)
    }

    /// Remembers a token until `refused_from`, five minutes at the most.
    pub(crate) fn insert(
        &self,
        token: Bytes,
        verified: VerifiedToken,
        key: VerificationKey,
        now: UnixTime,
        refused_from: UnixTime,
    ) {
        if let Some(cache) = &self.0 {
            let deadline = refused_from.min(now.saturating_add(CAP));
            cache.insert(
                TokenText(token),
                Entry {
                    verified,
                    key,
                    deadline,
                },
            );
        }
    }
}

/// Shows no token.
impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}
