//! Tokens that were verified, so that they are not verified again.

use std::{
    fmt,
    hash::{Hash, Hasher},
    time::Duration,
};

use quick_cache::{Equivalent, sync::Cache};
use zeroize::Zeroize;

use crate::{clock::UnixTime, keys::VerificationKey, token::VerifiedToken};

/// How long a token is remembered at the most.
const CAP: Duration = Duration::from_secs(300);

/// Verified tokens, bounded in number. An entry costs the text of the token and of its claims, the
/// parts that were picked out of them, and the rest, some 700 bytes together. Scopes, issuer and
/// audience are shared.
///
/// The identity of an entry is the whole text of the token, compared in constant time; a randomly
/// seeded hash only finds its place. A forged token can equal no entry.
pub(crate) struct TokenCache(Option<Cache<TokenText, Entry>>);

#[derive(Clone)]
struct Entry {
    verified: VerifiedToken,
    deadline: UnixTime,
}

/// The text of a token, wiped when it goes.
#[derive(Clone)]
struct TokenText(Box<[u8]>);

// `Zeroizing` wipes a box byte by byte, a slice in one go.
impl Drop for TokenText {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

impl PartialEq for TokenText {
    fn eq(&self, other: &Self) -> bool {
        is_equal(&self.0, &other.0)
    }
}

impl Eq for TokenText {}

impl Hash for TokenText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        end(&self.0).hash(state);
    }
}

/// What is hashed of a token: the end of its signature, which differs wherever anything does. Tokens
/// that are made to end alike are equal to no entry, and none of them comes to be one.
fn end(token: &[u8]) -> &[u8] {
    token.last_chunk::<32>().map_or(token, |end| end)
}

/// A text that is looked for.
struct Wanted<'a>(&'a [u8]);

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        end(self.0).hash(state);
    }
}

impl Equivalent<TokenText> for Wanted<'_> {
    fn equivalent(&self, text: &TokenText) -> bool {
        is_equal(self.0, &text.0)
    }
}

/// Whether both are the same, in a time that depends on their lengths alone.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    #[cfg(feature = "aws-lc-rs")]
    return aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok();
    // All bytes are looked at before anything is decided. Should a compiler see through it, an
    // attacker still learns only about texts that a secret hash put into one place.
    #[cfg(not(feature = "aws-lc-rs"))]
    return one.len() == other.len()
        && std::hint::black_box(
            one.iter()
                .zip(other)
                .fold(0, |difference, (one, other)| difference | (one ^ other)),
        ) == 0;
}

impl TokenCache {
    /// A cache of so many tokens; of none, it remembers nothing.
    pub(crate) fn new(tokens: usize) -> Self {
        Self((tokens > 0).then(|| Cache::new(tokens)))
    }

    /// The proof, while token and key are good. `nbf` and `iat` had passed when it came in.
    pub(crate) fn get(&self, token: &[u8], now: UnixTime) -> Option<VerifiedToken> {
        let cache = self.0.as_ref()?;
        let entry = cache.get(&Wanted(token))?;
        if now < entry.deadline && entry.verified.is_key_in_force(now) {
            return Some(entry.verified);
        }
        cache.remove(&Wanted(token));
        None
    }

    /// Remembers a token until `refused_from`, five minutes at the most.
    pub(crate) fn insert(
        &self,
        token: &[u8],
        verified: VerifiedToken,
        key: VerificationKey,
        now: UnixTime,
        refused_from: UnixTime,
    ) {
        if let Some(cache) = &self.0 {
            let deadline = refused_from.min(now.saturating_add(CAP));
            verified.set_key(key);
            let text = TokenText(token.into());
            cache.insert(text, Entry { verified, deadline });
        }
    }
}

/// Shows no token.
impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::token::Claims;

    const KEY: &[u8] =
        br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    fn remember(cache: &TokenCache, token: &'static str, refused_from: u64) -> VerificationKey {
        let key = VerificationKey::from_jwk(KEY).unwrap();
        let json = format!(r#"{{"iss":"https://i","sub":"{token}","exp":1000}}"#);
        let verified = VerifiedToken::assertion(Claims::from_json(&json).unwrap());
        let until = at(refused_from);
        cache.insert(token.as_bytes(), verified, key.clone(), at(100), until);
        key
    }

    fn found(cache: &TokenCache, token: &str, now: u64) -> Option<String> {
        let verified = cache.get(token.as_bytes(), at(now))?;
        Some(verified.principal().subject().to_string())
    }

    #[test]
    fn only_the_very_token_is_found() {
        let cache = TokenCache::new(10);
        remember(&cache, "a.b.c", 1_000);
        remember(&cache, "a.b.d", 1_000);
        assert_eq!(found(&cache, "a.b.c", 100).as_deref(), Some("a.b.c"));
        assert_eq!(found(&cache, "a.b.d", 100).as_deref(), Some("a.b.d"));
        for other in ["", "a.b.", "a.b.C", "a.b.cc", "a.b.e"] {
            assert_eq!(found(&cache, other, 100), None, "{other}");
        }
    }

    #[test]
    fn a_token_is_forgotten_when_it_is_refused_or_after_five_minutes() {
        let cache = TokenCache::new(10);
        remember(&cache, "short", 200);
        remember(&cache, "long", 1_000);
        assert!(found(&cache, "short", 199).is_some());
        assert!(found(&cache, "short", 200).is_none());
        assert!(found(&cache, "short", 199).is_none(), "removed, not hidden");
        assert!(found(&cache, "long", 399).is_some());
        assert!(found(&cache, "long", 400).is_none());
    }

    #[test]
    fn a_key_out_of_force_takes_its_tokens_with_it() {
        let cache = TokenCache::new(10);
        let key = remember(&cache, "t", 1_000);
        key.set_in_force_until(at(150));
        assert!(found(&cache, "t", 149).is_some());
        assert!(found(&cache, "t", 150).is_none());
    }

    #[test]
    fn it_is_bounded_and_may_be_off() {
        let cache = TokenCache::new(100);
        for n in 0..1_000 {
            remember(&cache, Box::leak(format!("t{n}").into_boxed_str()), 1_000);
        }
        let held = (0..1_000).filter(|n| found(&cache, &format!("t{n}"), 100).is_some());
        assert!(held.count() <= 100);
        let off = TokenCache::new(0);
        remember(&off, "t", 1_000);
        assert!(found(&off, "t", 100).is_none());
    }

    #[test]
    fn nothing_of_a_token_is_shown() {
        let cache = TokenCache::new(10);
        remember(&cache, "s3cr3t", 1_000);
        assert_eq!(format!("{cache:?}"), "TokenCache { .. }");
    }
}
