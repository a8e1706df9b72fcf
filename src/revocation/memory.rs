//! Revocations in memory, for one instance.

use std::{
    fmt,
    future::{Ready, ready},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    clock::{Clock, SystemClock, UnixTime},
    error::{ConfigError, StoreError},
    revocation::{
        Revocation, RevocationStore,
        entries::Entries,
        follow::{self, Follower},
    },
    token::{Name, VerifiedToken},
};

/// Revocations in memory, for one instance. Clones share them.
///
/// `until` is when an entry may be forgotten: no token that it names may be accepted after it. That
/// is the token's `exp` plus the leeway of the validator (30 s unless set otherwise), or more; where
/// you do not know the tokens, the present plus the longest life that the issuer gives one.
/// [`UnixTime::MAX`] is never. Instants are kept in whole seconds. What is said twice holds for the
/// longer time.
///
/// A check asks four small questions and takes no lock that another check waits for. A token that
/// none of the entries names remembers that: until another entry is added, its check is one
/// comparison. An entry takes 29 to 58 bytes, however long its id is: a randomly keyed 128-bit hash
/// stands for it (two of a million share one by chance once in 10^26 processes, and that would refuse
/// a token, not let one through). Entries whose time is over are removed, and their room is given
/// back, while new ones are added, never while a request waits.
///
/// ```
/// use std::time::Duration;
/// use mcp_auth::{Clock, MemoryRevocationStore, SystemClock, UnixTime};
///
/// let store = MemoryRevocationStore::new();
/// let now = SystemClock::default().now();
/// let in_an_hour = now.saturating_add(Duration::from_secs(3600));
/// // This one token; all that Alice holds by now; everything of a client that leaked its secret.
/// store.revoke_token("https://idp.example.com", "5f2c…", in_an_hour);
/// store.revoke_subject("https://idp.example.com", "alice", now, in_an_hour);
/// store.revoke_client("https://idp.example.com", "leaky-app", UnixTime::MAX);
/// ```
#[derive(Clone)]
#[must_use]
pub struct MemoryRevocationStore {
    entries: Arc<Entries>,
    clock: Arc<dyn Clock>,
    followers: Arc<Mutex<Vec<Follower>>>,
}

impl MemoryRevocationStore {
    /// An empty store that reads the operating system's clock.
    pub fn new() -> Self {
        Self {
            entries: Arc::new(Entries::new()),
            clock: Arc::new(SystemClock),
            followers: Arc::default(),
        }
    }

    /// The same with a clock of yours. Files followed before keep the clock they were given.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Revokes one token, by its `iss` and `jti` (RFC 7519 sections 4.1.1, 4.1.7). A token without
    /// `jti` cannot be revoked this way.
    pub fn revoke_token(&self, iss: &str, jti: &str, until: UnixTime) {
        self.revoke(Name::Token, iss, jti, UnixTime::MAX, until);
    }

    /// Revokes every token of a session at the issuer, by its `iss` and `sid` (OpenID Connect
    /// Back-Channel Logout 1.0 section 2.1).
    pub fn revoke_session(&self, iss: &str, sid: &str, until: UnixTime) {
        self.revoke(Name::Session, iss, sid, UnixTime::MAX, until);
    }

    /// Revokes every token of a client, by its `iss` and `client_id` (else `azp`), whoever uses it.
    pub fn revoke_client(&self, iss: &str, client_id: &str, until: UnixTime) {
        self.revoke(Name::Client, iss, client_id, UnixTime::MAX, until);
    }

    /// Revokes every token of a subject, by its `iss` and `sub`, with an `iat` up to the second of
    /// `issued_up_to`. A token without `iat` counts as older. Tokens made later are honoured: the
    /// subject may log in again.
    pub fn revoke_subject(&self, iss: &str, sub: &str, issued_up_to: UnixTime, until: UnixTime) {
        self.revoke(Name::Subject, iss, sub, issued_up_to, until);
    }

    /// Reads revocations from a file, and goes on reading it while it grows.
    ///
    /// The file holds JSON lines: `{"jti":"…"}`, `{"sid":"…"}`, `{"client_id":"…"}` or
    /// `{"sub":"…","until":<unix seconds>}`, each with an `"iss"`, which may be left out where there
    /// is one issuer. Here `until` is the instant up to which tokens were issued; without it, it is
    /// when the line is read. When this returns, what the file holds is in force; what is appended
    /// later is within half a second. A last line without a newline is in force as soon as it is a
    /// whole object, and waits until it is. A line that says nothing that can be understood, or is
    /// longer than 16 KiB, is logged by its number, and the others hold.
    ///
    /// A line holds until the process ends, whatever becomes of the file. A file that was cut,
    /// rewritten, replaced or rotated is read anew from its start and adds to what was read before:
    /// give a `sub` its `until` there, else it is read as of now each time. (Rename a new list over
    /// the old one: one that is rewritten in place, grows and yet has the same 64 bytes where the
    /// old one ended is taken for one that was appended to.) To take a revocation back, remove its
    /// line and restart. A file that does not exist is created.
    ///
    /// The file is read by a thread of its own, that ends with the last clone of the store.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where no issuer is given, or the file can be neither read nor created, or is
    /// no regular file.
    pub fn follow_file<I>(&self, path: impl AsRef<Path>, issuers: I) -> Result<(), ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<Arc<str>>,
    {
        let issuers = issuers.into_iter().map(Into::into).collect();
        let follower = follow::start(
            path.as_ref(),
            issuers,
            Arc::clone(&self.entries),
            Arc::clone(&self.clock),
        )?;
        let mut followers = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        followers.push(follower);
        Ok(())
    }

    fn revoke(&self, name: Name, iss: &str, id: &str, issued_up_to: UnixTime, until: UnixTime) {
        let now = self.clock.now();
        self.entries.add(name, iss, id, issued_up_to, until, now);
    }
}

impl Default for MemoryRevocationStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRevocationStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRevocationStore")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl RevocationStore for MemoryRevocationStore {
    type Future = Ready<Result<Revocation, StoreError>>;

    fn status(&self, token: &VerifiedToken) -> Self::Future {
        let revoked = self.entries.hold(token, || self.clock.now());
        ready(Ok(if revoked {
            Revocation::Revoked
        } else {
            Revocation::Active
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::token::Claims;

    #[derive(Debug)]
    struct At(Mutex<UnixTime>);

    impl Clock for At {
        fn now(&self) -> UnixTime {
            *self.0.lock().unwrap()
        }
    }

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn after(secs: u64) -> UnixTime {
        NOW.saturating_add(Duration::from_secs(secs))
    }

    fn token(more: &str) -> VerifiedToken {
        let json =
            format!(r#"{{"iss":"https://i","sub":"alice","aud":"a","exp":1800000000{more}}}"#);
        VerifiedToken::assertion(Claims::from_json(&json).unwrap())
    }

    fn is_revoked(store: &MemoryRevocationStore, token: &VerifiedToken) -> bool {
        store.status(token).into_inner().unwrap() == Revocation::Revoked
    }

    fn store() -> (MemoryRevocationStore, Arc<At>) {
        let clock = Arc::new(At(Mutex::new(NOW)));
        let store = MemoryRevocationStore::new().with_clock(Arc::clone(&clock));
        (store, clock)
    }

    #[test]
    fn each_kind_of_entry_revokes_what_it_names_and_nothing_else() {
        type Revoke = fn(&MemoryRevocationStore, &str, &str);
        let cases: [(Revoke, &str, &str); 4] = [
            (|it, iss, id| it.revoke_token(iss, id, after(9)), "jti", "x"),
            (
                |it, iss, id| it.revoke_session(iss, id, after(9)),
                "sid",
                "x",
            ),
            (
                |it, iss, id| it.revoke_client(iss, id, after(9)),
                "client_id",
                "x",
            ),
            (
                |it, iss, id| it.revoke_client(iss, id, after(9)),
                "azp",
                "x",
            ),
        ];
        for (revoke, claim, id) in cases {
            let named = token(&format!(r#","{claim}":"{id}""#));
            let (store, _) = store();
            assert!(!is_revoked(&store, &named), "{claim}");
            for (revoke, ..) in cases {
                revoke(&store, "https://other", id);
                revoke(&store, "https://i", "y");
            }
            assert!(!is_revoked(&store, &named), "{claim}");
            revoke(&store.clone(), "https://i", id);
            assert!(is_revoked(&store, &named), "{claim}");
            // The same text as another claim, or no such claim, is another matter.
            for other in ["jti", "sid", "client_id"] {
                if other != claim && claim != "azp" {
                    let other = token(&format!(r#","{other}":"{id}""#));
                    assert!(!is_revoked(&store, &other), "{claim}");
                }
            }
            assert!(!is_revoked(&store, &token("")), "{claim}");
        }
    }

    #[test]
    fn a_subject_is_revoked_up_to_an_instant() {
        let (store, _) = store();
        store.revoke_subject("https://i", "alice", NOW, after(9));
        for (iat, revoked) in [
            ("", true),
            (r#","iat":1699999999"#, true),
            (r#","iat":1700000000"#, true),
            (r#","iat":1700000001"#, false),
        ] {
            assert_eq!(is_revoked(&store, &token(iat)), revoked, "{iat}");
        }
        // A later word that says less takes nothing back.
        store.revoke_subject("https://i", "alice", UnixTime::EPOCH, after(1));
        assert!(is_revoked(&store, &token(r#","iat":1700000000"#)));
        store.revoke_subject("https://i", "bob", UnixTime::MAX, after(1));
        assert!(!is_revoked(&store, &token(r#","iat":1700000001"#)));
    }

    #[test]
    fn an_entry_is_in_force_through_its_last_second_and_the_longer_time_holds() {
        let (store, clock) = store();
        let named = token(r#","jti":"x""#);
        store.revoke_token("https://i", "x", after(60));
        store.revoke_token("https://i", "x", after(5));
        for (secs, revoked) in [(0, true), (60, true), (61, false)] {
            *clock.0.lock().unwrap() = after(secs);
            assert_eq!(is_revoked(&store, &named), revoked, "{secs}");
        }
        store.revoke_token("https://i", "x", UnixTime::MAX);
        *clock.0.lock().unwrap() = UnixTime::MAX;
        assert!(is_revoked(&store, &named));
    }

    #[test]
    fn entries_whose_time_is_over_make_room() {
        let (store, clock) = store();
        store.revoke_token("https://i", "kept", UnixTime::MAX);
        for round in 0..50 {
            *clock.0.lock().unwrap() = after(round * 100);
            for i in 0..1000 {
                store.revoke_token(
                    "https://i",
                    &format!("{round}-{i}"),
                    after(round * 100 + 50),
                );
            }
        }
        assert!(store.entries.len() < 5_000, "{}", store.entries.len());
        assert!(is_revoked(&store, &token(r#","jti":"kept""#)));
    }
}
