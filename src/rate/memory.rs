//! Counts in memory, for one instance.

use std::{
    collections::HashMap,
    fmt,
    future::{Ready, ready},
    hash::BuildHasherDefault,
    num::{NonZeroU32, NonZeroUsize},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    clock::UnixTime,
    error::StoreError,
    hash::{AsItIs, Hash128},
    rate::{Quota, RateKey, RateLimitStore, Verdict, gcra},
};

/// Counts in memory, for one instance. Clones share them.
///
/// It keeps at most so many keys, at 40 to 76 bytes each, and keeps no key's text: a randomly keyed
/// 128-bit hash of all its parts stands for it, so that the length of a name costs nothing and
/// nobody can aim at another's count. Keys are spread over shards, each with a lock of its own that
/// is held for some ten nanoseconds.
///
/// When a new key finds its shard full, those go whose count is whole again: they lose nothing. Where
/// there are none, an eighth of those who have units left goes, drawn by lot, so that new keys do not
/// forget each other in turn. A caller who is limited is forgotten only where all in the shard are
/// (then the one whose wait ends soonest): filling the table with fresh names gives no one who is
/// limited a new burst.
///
/// ```
/// use std::num::NonZeroU32;
/// use mcp_auth::{MemoryRateLimitStore, Quota, RateKey, RateLimitStore, UnixTime, Verdict};
///
/// let one = NonZeroU32::MIN;
/// let store = MemoryRateLimitStore::new();
/// let (key, quota) = (RateKey::new("calls"), Quota::per_minute(one));
/// let now = UnixTime::from_secs(1_700_000_000);
/// let first = store.take(&key, &quota, one, now).into_inner()?;
/// assert_eq!(first, Verdict::allowed(0));
/// let second = store.take(&key, &quota, one, now).into_inner()?;
/// assert!(matches!(second, Verdict::Limited { retry_after, .. } if retry_after.as_secs() == 60));
/// # Ok::<(), mcp_auth::StoreError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct MemoryRateLimitStore {
    shards: Arc<[Mutex<Shard>]>,
}

impl MemoryRateLimitStore {
    /// A store of at most 100,000 keys.
    pub fn new() -> Self {
        const KEYS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99_999);
        Self::with_capacity(KEYS)
    }

    /// A store of at most `keys` keys, rounded up to a multiple of the shards (one for each 1024
    /// keys, at most 64).
    pub fn with_capacity(keys: NonZeroUsize) -> Self {
        let shards = (keys.get() / 1024).clamp(1, 64);
        let capacity = keys.get().div_ceil(shards);
        Self {
            shards: (0..shards)
                .map(|_| Mutex::new(Shard::new(capacity)))
                .collect(),
        }
    }

    /// Takes from a count. One that is not kept is whole again at `unknown`.
    pub(crate) fn take_from(
        &self,
        key: &RateKey,
        quota: &Quota,
        cost: u32,
        now: UnixTime,
        unknown: UnixTime,
    ) -> Option<Verdict> {
        self.with(key, |shard, key| shard.take(key, quota, cost, now, unknown))
    }

    fn with<T>(&self, key: &RateKey, ask: impl FnOnce(&mut Shard, Hash128) -> T) -> Option<T> {
        let key = key.hash128();
        let shard = self.shards.get(key.pick(self.shards.len()))?;
        // No code that can panic runs under the lock: the counts are whole even if it is poisoned.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        Some(ask(&mut shard, key))
    }
}

/// For counts that stand in for those of Redis.
#[cfg(feature = "redis")]
impl MemoryRateLimitStore {
    /// When a count that is kept is whole again.
    pub(crate) fn whole_at(&self, key: &RateKey) -> Option<UnixTime> {
        self.with(key, |shard, key| {
            shard.buckets.get(&key).map(|bucket| bucket.whole_at)
        })?
    }

    /// Keeps a count as it is elsewhere.
    pub(crate) fn keep(&self, key: &RateKey, quota: &Quota, whole_at: UnixTime, now: UnixTime) {
        self.with(key, |shard, key| shard.keep(key, quota, whole_at, now));
    }

    pub(crate) fn forget(&self, key: &RateKey) {
        self.with(key, |shard, key| {
            shard.buckets.remove(&key);
        });
    }
}

impl Default for MemoryRateLimitStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRateLimitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRateLimitStore")
            .finish_non_exhaustive()
    }
}

impl RateLimitStore for MemoryRateLimitStore {
    type Future = Ready<Result<Verdict, StoreError>>;

    fn take(&self, key: &RateKey, quota: &Quota, cost: NonZeroU32, now: UnixTime) -> Self::Future {
        ready(
            self.take_from(key, quota, cost.get(), now, UnixTime::EPOCH)
                .ok_or_else(|| StoreError::new("the store of limits has no shard")),
        )
    }
}

/// The golden ratio in 64 bits: multiplied by it, each bit moves those above it.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// What is kept of a key.
#[derive(Clone, Copy)]
struct Bucket {
    /// When it is whole again.
    whole_at: UnixTime,
    /// When there is a unit again; in the past where there is one.
    unit_at: UnixTime,
}

impl Bucket {
    fn is_limited(self, now: UnixTime) -> bool {
        self.unit_at > now
    }
}

struct Shard {
    buckets: HashMap<Hash128, Bucket, BuildHasherDefault<AsItIs>>,
    capacity: usize,
}

impl Shard {
    fn new(capacity: usize) -> Self {
        Self {
            buckets: HashMap::default(),
            capacity,
        }
    }

    fn take(
        &mut self,
        key: Hash128,
        quota: &Quota,
        cost: u32,
        now: UnixTime,
        unknown: UnixTime,
    ) -> Verdict {
        let tat = self.buckets.get(&key).map_or(unknown, |it| it.whole_at);
        let (verdict, whole_at) = gcra::take(tat, quota, cost, now);
        self.keep(key, quota, whole_at, now);
        verdict
    }

    fn keep(&mut self, key: Hash128, quota: &Quota, whole_at: UnixTime, now: UnixTime) {
        let but_one = quota.interval().saturating_mul(quota.burst().get() - 1);
        let bucket = Bucket {
            whole_at,
            unit_at: whole_at.saturating_sub(but_one),
        };
        if let Some(known) = self.buckets.get_mut(&key) {
            *known = bucket;
        } else if whole_at > now {
            if self.buckets.len() >= self.capacity {
                self.make_room(key, now);
            }
            self.buckets.insert(key, bucket);
        }
    }

    /// At most three passes over the shard, and only where a new key finds it full.
    fn make_room(&mut self, key: Hash128, now: UnixTime) {
        self.buckets.retain(|_, bucket| bucket.whole_at > now);
        if self.buckets.len() < self.capacity {
            return;
        }
        // The lot: hashes are random, and mixed with the new key's it is another one each time.
        let is_drawn = |it: &Hash128| (it.low() ^ key.low()).wrapping_mul(MIX) >> 61 == 0;
        self.buckets
            .retain(|it, bucket| bucket.is_limited(now) || !is_drawn(it));
        if self.buckets.len() < self.capacity {
            return;
        }
        let rank = |bucket: &Bucket| (bucket.is_limited(now), bucket.unit_at);
        let first = self.buckets.iter().min_by_key(|(_, bucket)| rank(bucket));
        if let Some((&key, _)) = first {
            self.buckets.remove(&key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn n(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    fn store(keys: usize) -> MemoryRateLimitStore {
        MemoryRateLimitStore::with_capacity(NonZeroUsize::new(keys).unwrap())
    }

    fn take(
        store: &MemoryRateLimitStore,
        name: &str,
        quota: &Quota,
        cost: u32,
        now: UnixTime,
    ) -> Verdict {
        let answer = store.take(&RateKey::new(name.to_owned()), quota, n(cost), now);
        answer.into_inner().unwrap()
    }

    fn limited(secs: u64) -> Verdict {
        Verdict::limited(Duration::from_secs(secs))
    }

    fn kept(store: &MemoryRateLimitStore) -> usize {
        let shards = store.shards.iter();
        shards
            .map(|shard| shard.lock().unwrap().buckets.len())
            .sum()
    }

    #[test]
    fn keys_have_counts_of_their_own_and_clones_share_them() {
        let (store, quota) = (MemoryRateLimitStore::new(), Quota::per_minute(n(1)));
        assert_eq!(take(&store, "a", &quota, 1, NOW), Verdict::allowed(0));
        assert_eq!(take(&store.clone(), "a", &quota, 1, NOW), limited(60));
        assert_eq!(take(&store, "b", &quota, 1, NOW), Verdict::allowed(0));
    }

    #[test]
    fn a_flood_of_fresh_names_does_not_refill_who_is_limited() {
        let store = store(1000);
        // The victim's window is short; those of the flood end an hour later.
        let (short, long) = (
            Quota::new(n(1), Duration::from_secs(5)),
            Quota::per_hour(n(2)),
        );
        assert_eq!(take(&store, "limited", &short, 1, NOW), Verdict::allowed(0));
        for i in 0..20_000 {
            let name = format!("fresh-{i}");
            assert_eq!(take(&store, &name, &long, 1, NOW), Verdict::allowed(1));
        }
        assert!((750..=1000).contains(&kept(&store)), "{}", kept(&store));
        assert_eq!(take(&store, "limited", &short, 1, NOW), limited(5));
    }

    #[test]
    fn whole_counts_go_first() {
        let (store, quota) = (store(3), Quota::new(n(3), Duration::from_secs(1)));
        take(&store, "one", &quota, 1, NOW);
        take(&store, "two", &quota, 2, NOW);
        take(&store, "three", &quota, 3, NOW);
        let later = NOW.saturating_add(Duration::from_secs(1));
        assert_eq!(take(&store, "four", &quota, 1, later), Verdict::allowed(2));
        assert_eq!(kept(&store), 3);
        assert_eq!(take(&store, "two", &quota, 3, later), limited(1));
        assert_eq!(take(&store, "three", &quota, 3, later), limited(2));
    }

    #[test]
    fn who_has_units_left_goes_before_who_is_limited() {
        let (store, quota) = (store(2), Quota::per_minute(n(60)));
        take(&store, "limited", &quota, 60, NOW);
        take(&store, "units left", &quota, 59, NOW);
        take(&store, "new", &quota, 1, NOW);
        assert_eq!(take(&store, "limited", &quota, 1, NOW), limited(1));
        assert_eq!(kept(&store), 2);
    }

    #[test]
    fn new_keys_at_a_full_table_are_limited_like_others() {
        let store = store(1000);
        let quota = Quota::per_hour(n(100));
        for i in 0..1000 {
            take(&store, &format!("old-{i}"), &quota, 50, NOW);
        }
        let mut passed = 0;
        for _ in 0..500 {
            for name in ["one", "two", "three"] {
                let verdict = take(&store, name, &quota, 1, NOW);
                passed += u32::from(matches!(verdict, Verdict::Allowed { .. }));
            }
        }
        assert_eq!(passed, 300);
    }

    #[test]
    fn where_all_are_limited_the_shortest_wait_goes() {
        let store = store(2);
        let (short, long) = (Quota::per_minute(n(1)), Quota::per_hour(n(1)));
        take(&store, "short", &short, 1, NOW);
        take(&store, "long", &long, 1, NOW);
        take(&store, "new", &long, 1, NOW);
        assert_eq!(take(&store, "long", &long, 1, NOW), limited(3600));
        assert_eq!(take(&store, "new", &long, 1, NOW), limited(3600));
        assert_eq!(take(&store, "short", &short, 1, NOW), Verdict::allowed(0));
    }

    #[test]
    fn what_spent_nothing_is_not_kept() {
        let store = store(10);
        assert_eq!(
            take(&store, "a", &Quota::per_second(n(1)), 2, NOW),
            limited(1)
        );
        assert_eq!(kept(&store), 0);
    }

    #[test]
    fn two_threads_share_one_burst() {
        let (store, quota) = (MemoryRateLimitStore::new(), Quota::per_hour(n(1000)));
        let passed: usize = thread::scope(|scope| {
            let worker = || {
                let allowed = |_: &i32| {
                    matches!(
                        take(&store, "shared", &quota, 1, NOW),
                        Verdict::Allowed { .. }
                    )
                };
                (0..900).filter(allowed).count()
            };
            let workers = [scope.spawn(worker), scope.spawn(worker)];
            workers.map(|it| it.join().unwrap()).into_iter().sum()
        });
        assert_eq!(passed, 1000);
    }
}
