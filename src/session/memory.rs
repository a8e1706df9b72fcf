//! Sessions in memory, for one instance.

use std::{
    fmt,
    future::{Ready, ready},
    num::NonZeroUsize,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    clock::UnixTime,
    error::StoreError,
    session::{SessionHash, SessionOwner, SessionStore, table::Table},
};

/// Sessions in memory, for one instance. Clones share them.
///
/// A session that nobody used for 24 hours has ended. At most so many sessions are kept, at less
/// than half a kilobyte each. When one more is opened, those that have ended go (they are looked
/// for once a minute); where there are none, it is the principal holding the most sessions that
/// loses one, roughly its least recently used. So nobody can drive out others by opening many:
/// where `k` principals share a store of `n`, whoever holds no more than `n / k` loses none.
///
/// A check takes no lock that another check waits for; only opening and ending a session do.
///
/// ```
/// use std::time::Duration;
/// use mcp_auth::{
///     MemorySessionStore, SessionHash, SessionOwner, SessionStore, UnixTime,
/// };
/// # use mcp_auth::testing::ClaimsBuilder;
///
/// # let (alice, bob) = (ClaimsBuilder::new(), ClaimsBuilder::new().subject("bob"));
/// # let (alice, bob) = (alice.to_verified()?, bob.to_verified()?);
/// let alice = SessionOwner::of(alice.principal());
/// let bob = SessionOwner::of(bob.principal());
/// let session = SessionHash::of(b"1868a90c").ok_or("no session id")?;
///
/// let store = MemorySessionStore::new();
/// let now = UnixTime::from_secs(1_700_000_000);
/// assert_eq!(store.bind(session, alice, now).into_inner()?, Some(alice));
/// // It stays hers, whoever asks for it.
/// assert_eq!(store.bind(session, bob, now).into_inner()?, Some(alice));
/// let days_later = now.saturating_add(Duration::from_secs(200_000));
/// assert_eq!(store.owner(session, days_later).into_inner()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct MemorySessionStore {
    table: Arc<RwLock<Table>>,
}

impl MemorySessionStore {
    /// A store of at most 100,000 sessions.
    pub fn new() -> Self {
        const SESSIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99_999);
        Self::with_capacity(SESSIONS)
    }

    /// A store of at most `sessions` sessions.
    pub fn with_capacity(sessions: NonZeroUsize) -> Self {
        Self {
            table: Arc::new(RwLock::new(Table::new(sessions.get()))),
        }
    }

    fn write<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        // No code that can panic runs under the lock: the table is whole even if it is poisoned.
        change(&mut self.table.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for MemorySessionStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessionStore").finish_non_exhaustive()
    }
}

impl SessionStore for MemorySessionStore {
    type Future = Ready<Result<Option<SessionOwner>, StoreError>>;

    fn owner(&self, session: SessionHash, now: UnixTime) -> Self::Future {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        ready(Ok(table.owner(session, now)))
    }

    fn bind(&self, session: SessionHash, owner: SessionOwner, now: UnixTime) -> Self::Future {
        ready(Ok(Some(
            self.write(|table| table.bind(session, owner, now)),
        )))
    }

    fn forget(&self, session: SessionHash) -> Self::Future {
        ready(Ok(self.write(|table| table.remove(session))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{session::IDLE, token::Principal};

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn after(secs: u64) -> UnixTime {
        NOW.saturating_add(Duration::from_secs(secs))
    }

    fn store(sessions: usize) -> MemorySessionStore {
        MemorySessionStore::with_capacity(NonZeroUsize::new(sessions).unwrap())
    }

    fn hash(id: &str) -> SessionHash {
        SessionHash::of(id.as_bytes()).unwrap()
    }

    fn owner(sub: &str) -> SessionOwner {
        SessionOwner::of(&Principal::new("https://i".into(), sub.into(), None))
    }

    impl MemorySessionStore {
        fn open(&self, id: &str, sub: &str, now: UnixTime) -> Option<SessionOwner> {
            let answer = self.bind(hash(id), owner(sub), now);
            answer.into_inner().unwrap()
        }

        fn asked(&self, id: &str, now: UnixTime) -> Option<SessionOwner> {
            self.owner(hash(id), now).into_inner().unwrap()
        }

        fn len(&self) -> usize {
            self.table.read().unwrap().len()
        }
    }

    #[test]
    fn a_session_is_whose_it_was_first_until_it_is_forgotten() {
        let store = MemorySessionStore::new();
        let clone = store.clone();
        assert_eq!(store.asked("1", NOW), None);
        assert_eq!(store.open("1", "alice", NOW), Some(owner("alice")));
        assert_eq!(clone.asked("1", NOW), Some(owner("alice")));
        assert_eq!(clone.open("1", "bob", NOW), Some(owner("alice")));
        assert_eq!(clone.open("1", "alice", NOW), Some(owner("alice")));
        assert_eq!(store.len(), 1);
        let forgotten = clone.forget(hash("1")).into_inner().unwrap();
        assert_eq!(forgotten, Some(owner("alice")));
        assert_eq!(store.forget(hash("1")).into_inner().unwrap(), None);
        assert_eq!(store.asked("1", NOW), None);
        assert_eq!(store.len(), 0);
        assert_eq!(store.open("1", "bob", NOW), Some(owner("bob")));
    }

    #[test]
    fn a_session_ends_a_day_after_its_last_use() {
        let store = MemorySessionStore::new();
        let day = IDLE.as_secs();
        assert_eq!(day, 86_400);
        store.open("1", "alice", NOW);
        assert_eq!(store.asked("1", after(day)), Some(owner("alice")));
        assert_eq!(store.asked("1", after(2 * day)), Some(owner("alice")));
        // A clock that was set back ends nothing.
        assert_eq!(store.asked("1", NOW), Some(owner("alice")));
        assert_eq!(store.asked("1", after(3 * day + 1)), None);
        // The id may be given out anew.
        let later = after(3 * day + 1);
        assert_eq!(store.open("1", "bob", later), Some(owner("bob")));
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn who_opens_many_loses_his_own() {
        let store = store(100);
        for i in 0..50 {
            store.open(&format!("alice-{i}"), "alice", NOW);
        }
        // As much as a fair half for both.
        for i in 0..10_000 {
            let opened = store.open(&format!("mallory-{i}"), "mallory", after(i));
            assert_eq!(opened, Some(owner("mallory")), "{i}");
        }
        assert_eq!(store.len(), 100);
        let end = after(10_000);
        for i in 0..50 {
            let session = format!("alice-{i}");
            assert_eq!(store.asked(&session, end), Some(owner("alice")));
            let session = format!("mallory-{}", 9950 + i);
            assert_eq!(store.asked(&session, end), Some(owner("mallory")));
        }
        assert_eq!(store.asked("mallory-9949", end), None);
    }

    #[test]
    fn many_who_open_many_leave_everybody_a_fair_part() {
        let store = store(100);
        for i in 0..10 {
            store.open(&format!("alice-{i}"), "alice", NOW);
        }
        for i in 0..1000 {
            for mallory in 1..10 {
                store.open(
                    &format!("{mallory}-{i}"),
                    &format!("mallory-{mallory}"),
                    NOW,
                );
            }
        }
        assert_eq!(store.len(), 100);
        for i in 0..10 {
            let session = format!("alice-{i}");
            assert_eq!(store.asked(&session, NOW), Some(owner("alice")));
        }
    }

    #[test]
    fn of_ones_own_the_least_recently_used_goes() {
        let store = store(3);
        for (secs, id) in ["a", "b", "c"].iter().enumerate() {
            store.open(id, "alice", after(secs as u64));
        }
        store.asked("a", after(10));
        store.open("d", "alice", after(11));
        assert_eq!(store.asked("b", after(12)), None);
        for id in ["a", "c", "d"] {
            assert_eq!(store.asked(id, after(12)), Some(owner("alice")), "{id}");
        }
    }

    #[test]
    fn what_has_ended_goes_before_what_is_in_use() {
        let store = store(4);
        let day = IDLE.as_secs();
        store.open("old-1", "bob", NOW);
        store.open("a", "alice", after(day));
        store.open("b", "alice", after(day));
        store.open("c", "alice", after(day));
        store.open("d", "alice", after(day + 1));
        assert_eq!(store.len(), 4);
        for id in ["a", "b", "c", "d"] {
            assert_eq!(
                store.asked(id, after(day + 1)),
                Some(owner("alice")),
                "{id}"
            );
        }
    }

    #[test]
    fn where_everybody_holds_one_the_new_one_stays() {
        let store = store(1);
        for i in 0..20 {
            let (session, sub) = (format!("s-{i}"), format!("user-{i}"));
            assert_eq!(store.open(&session, &sub, NOW), Some(owner(&sub)));
            assert_eq!(store.asked(&session, NOW), Some(owner(&sub)));
            assert_eq!(store.len(), 1);
        }
    }
}
