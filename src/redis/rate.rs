//! Counts that several instances share.

use std::{
    fmt,
    future::{Future, ready},
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use super::{
    client::Redis,
    keys,
    script::{Countable, TAKE},
};
use crate::{
    clock::UnixTime,
    error::{StoreError, in_full},
    outage::Outage,
    rate::{MemoryRateLimitStore, Quota, RateKey, RateLimitStore, Verdict},
};

/// Counts that several instances share, on [`Redis`].
///
/// Each count is one key, `mcp-auth:limit:<name>:<iss>|<sub>|<client_id>`, that expires when it is
/// whole again. One script takes from it, in one step and by Redis' own clock, with the verdict
/// that [`MemoryRateLimitStore`](crate::MemoryRateLimitStore) gives. (Quotas that take more than
/// 104 days to refill are counted in microseconds instead of nanoseconds, and end at 285 years.)
///
/// Limits of one name on one Redis must have one quota. A count is kept as the time that it takes to
/// be whole again, and never as more than the quota of whoever asks refills in: `60/s` cuts what is
/// owed to `2/h` to a second, for both. (So nobody waits for an old quota when it is replaced.)
///
/// While Redis does not answer, a count of this instance stands in: it goes on from what it last
/// saw, and says so ([`Verdict::Allowed`]'s `local`). Whom it never saw it gives one unit and the
/// refill from there on, and no burst. When Redis is back it is told what was taken meanwhile. The
/// change is logged, once each way, but not more than once in 10 s. This instance remembers 100,000
/// counts.
#[derive(Clone)]
#[must_use]
pub struct RedisRateLimitStore {
    redis: Redis,
    local: Arc<Local>,
}

impl RedisRateLimitStore {
    /// The counts on this Redis.
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            local: Arc::default(),
        }
    }
}

impl fmt::Debug for RedisRateLimitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimitStore")
            .field("redis", &self.redis)
            .finish_non_exhaustive()
    }
}

impl RateLimitStore for RedisRateLimitStore {
    type Future = Pin<Box<dyn Future<Output = Result<Verdict, StoreError>> + Send>>;

    fn take(&self, key: &RateKey, quota: &Quota, cost: NonZeroU32, now: UnixTime) -> Self::Future {
        let Some(countable) = Countable::of(quota) else {
            // One unit takes centuries to come back: such a quota allows nothing.
            let verdict = Verdict::limited(Duration::from_nanos(u64::MAX));
            return Box::pin(ready(Ok(verdict)));
        };
        let (redis, local) = (self.redis.clone(), Arc::clone(&self.local));
        let (key, cost) = (key.clone(), cost.get());
        Box::pin(async move {
            let missing = local.missing(&key, now);
            let call = &countable.call(&TAKE, keys::limit(&key), cost, missing);
            let debt: Result<u64, StoreError> = redis
                .ask(|mut connection| async move { call.invoke_async(&mut connection).await })
                .await;
            let quota = &countable.quota;
            Ok(match debt {
                Ok(debt) => {
                    let (verdict, whole_in) = countable.verdict(debt, cost);
                    local.saw(&key, quota, now.saturating_add(whole_in), now);
                    verdict
                }
                Err(error) => local.take(&key, quota, cost, now, &error),
            })
        })
    }
}

/// What this instance knows of the counts.
#[derive(Default)]
struct Local {
    /// As they were in Redis when it last answered.
    seen: MemoryRateLimitStore,
    /// Those that were asked for since, by which this instance judges. A count that was never seen
    /// is taken to be spent but for one unit.
    judged: MemoryRateLimitStore,
    /// The same without what was only assumed: this is what Redis is told.
    taken: MemoryRateLimitStore,
    outage: Outage,
}

impl Local {
    /// What Redis does not know is missing from a count.
    fn missing(&self, key: &RateKey, now: UnixTime) -> Duration {
        let whole_at = self.taken.whole_at(key);
        whole_at.map_or(Duration::ZERO, |at| at.saturating_since(now))
    }

    /// Redis has answered.
    fn saw(&self, key: &RateKey, quota: &Quota, whole_at: UnixTime, now: UnixTime) {
        self.seen.keep(key, quota, whole_at, now);
        self.judged.forget(key);
        self.taken.forget(key);
        if self.outage.ends() {
            tracing::info!("limits are shared again");
        }
    }

    /// Redis has not answered.
    fn take(
        &self,
        key: &RateKey,
        quota: &Quota,
        cost: u32,
        now: UnixTime,
        error: &StoreError,
    ) -> Verdict {
        if self.outage.begins() {
            let error = in_full(error);
            tracing::warn!(error, "limits are counted by this instance alone");
        }
        let but_one = quota.interval().saturating_mul(quota.burst().get() - 1);
        let seen = self.seen.whole_at(key);
        let assumed = seen.unwrap_or_else(|| now.saturating_add(but_one));
        let verdict = self.judged.take_from(key, quota, cost, now, assumed);
        let verdict = verdict.unwrap_or_else(|| Verdict::limited(quota.interval()));
        if matches!(verdict, Verdict::Allowed { .. }) {
            let seen = seen.unwrap_or(UnixTime::EPOCH);
            self.taken.take_from(key, quota, cost, now, seen);
        }
        verdict.by_local_count()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn this_instance_goes_on_from_what_it_saw_and_gives_no_new_burst() {
        let (local, error) = (Local::default(), StoreError::new("down"));
        let quota = Quota::new(NonZeroU32::new(5).unwrap(), Duration::from_secs(1));
        let now = UnixTime::from_secs(1_700_000_000);
        let after = |secs| now.saturating_add(Duration::from_secs(secs));
        let key = RateKey::new("seen");
        local.saw(&key, &quota, after(3), now);
        let take = |key: &RateKey, now| local.take(key, &quota, 1, now, &error);
        let limited = Verdict::limited(Duration::from_secs(1)).by_local_count();
        let allowed = |left| Verdict::allowed(left).by_local_count();
        assert_eq!(local.missing(&key, now), Duration::ZERO);
        assert_eq!(take(&key, now), allowed(1));
        assert_eq!(take(&key, now), allowed(0));
        assert_eq!(take(&key, now), limited);
        assert_eq!(take(&key, after(1)), allowed(0));
        assert_eq!(local.missing(&key, after(2)), Duration::from_secs(4));
        // Redis has been told.
        local.saw(&key, &quota, after(7), after(2));
        assert_eq!(local.missing(&key, after(2)), Duration::ZERO);
        assert_eq!(take(&key, after(2)), limited);

        let stranger = RateKey::new("stranger");
        assert_eq!(take(&stranger, now), allowed(0));
        assert_eq!(take(&stranger, now), limited);
        assert_eq!(take(&stranger, after(1)), allowed(0));
    }

    #[test]
    fn redis_is_told_what_was_taken_and_not_what_was_assumed() {
        let (local, error) = (Local::default(), StoreError::new("down"));
        let quota = Quota::new(NonZeroU32::new(60).unwrap(), Duration::from_secs(60));
        let now = UnixTime::from_secs(1_700_000_000);
        let after = |secs| now.saturating_add(Duration::from_secs(secs));
        let key = RateKey::new("stranger");
        let take = |now| local.take(&key, &quota, 1, now, &error);
        let missing = |now| local.missing(&key, now).as_secs();
        assert_eq!(take(now), Verdict::allowed(0).by_local_count());
        assert_eq!(missing(now), 60);
        // What is refused is not taken.
        let limited = Verdict::limited(Duration::from_secs(59)).by_local_count();
        assert_eq!(take(after(1)), limited);
        assert_eq!(missing(after(1)), 59);
        assert_eq!(take(after(60)), Verdict::allowed(0).by_local_count());
        assert_eq!(missing(after(60)), 60);
        // Redis has been told, and what it answered is all that counts from here on.
        local.saw(&key, &quota, after(180), after(60));
        assert_eq!(missing(after(60)), 0);
        assert_eq!(take(after(60)), Verdict::allowed(57).by_local_count());
        assert_eq!(missing(after(60)), 180);
    }
}
