//! The algorithm: GCRA (ITU-T I.371), a leaky bucket whose whole state is one instant.

use std::time::Duration;

use crate::{
    clock::UnixTime,
    rate::{Quota, Verdict},
};

/// Spends `cost` units, all or nothing. `tat`, the theoretical arrival time, is when the bucket
/// will be full again; [`UnixTime::EPOCH`] for a new one. Gives the verdict and the `tat` to keep,
/// also where nothing is spent.
///
/// - A `cost` above the burst never fits: it is limited, and told to wait for a whole refill.
/// - Where the clock went back, a `tat` that lies further ahead than a whole refill is drawn back to
///   that: nobody waits longer than for a bucket that is empty now, and nobody gains a unit. That
///   is why the caller keeps the new `tat` of a refusal too.
/// - A bucket that would be full again only after [`UnixTime::MAX`] is limited.
pub(crate) fn take(tat: UnixTime, quota: &Quota, cost: u32, now: UnixTime) -> (Verdict, UnixTime) {
    // In 128 bits nothing overflows: an interval has less than 94 bits, a count 32.
    let interval = quota.interval().as_nanos();
    let window = interval * u128::from(quota.burst().get());
    let price = interval * u128::from(cost);
    let present = u128::from(now.as_nanos());

    let debt = u128::from(tat.as_nanos())
        .saturating_sub(present)
        .min(window);
    // Drawn back only where it lay too far ahead; else it stays what it was.
    let kept = tat.min(instant(present + window).unwrap_or(UnixTime::MAX));
    if price > window {
        return (Verdict::limited(duration(window)), kept);
    }
    let owed = debt + price;
    if owed > window {
        return (Verdict::limited(duration(owed - window)), kept);
    }
    match instant(present + owed) {
        Some(tat) => {
            let remaining = (window - owed) / interval;
            let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
            (Verdict::allowed(remaining), tat)
        }
        None => (Verdict::limited(duration(window)), kept),
    }
}

fn instant(nanos: u128) -> Option<UnixTime> {
    u64::try_from(nanos).ok().map(UnixTime::from_nanos)
}

fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn quota(burst: u32, interval: Duration) -> Quota {
        Quota::new(NonZeroU32::new(burst).unwrap(), interval)
    }

    fn secs(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    /// Takes `costs` at their instants (in seconds) from one bucket.
    fn run(quota: Quota, takes: &[(u64, u32)]) -> Vec<Verdict> {
        let mut tat = UnixTime::EPOCH;
        takes
            .iter()
            .map(|&(at, cost)| {
                let (verdict, next) = take(tat, &quota, cost, secs(at));
                tat = next;
                verdict
            })
            .collect()
    }

    #[test]
    fn spends_the_burst_then_refills_evenly() {
        let limited = |secs| Verdict::limited(Duration::from_secs(secs));
        assert_eq!(
            run(
                quota(3, SECOND * 10),
                &[
                    (100, 1),
                    (100, 1),
                    (100, 1),
                    (100, 1),
                    (109, 1),
                    (110, 1),
                    (110, 1),
                    (200, 1)
                ]
            ),
            [
                Verdict::allowed(2),
                Verdict::allowed(1),
                Verdict::allowed(0),
                limited(10),
                limited(1),
                Verdict::allowed(0),
                limited(10),
                Verdict::allowed(2),
            ]
        );
    }

    #[test]
    fn all_or_nothing() {
        assert_eq!(
            run(quota(5, SECOND), &[(9, 3), (9, 3), (9, 2), (9, 0)]),
            [
                Verdict::allowed(2),
                Verdict::limited(SECOND),
                Verdict::allowed(0),
                Verdict::allowed(0),
            ]
        );
    }

    #[test]
    fn what_never_fits_is_told_to_wait_for_a_whole_refill_and_spends_nothing() {
        assert_eq!(
            run(quota(5, SECOND), &[(9, 6), (9, u32::MAX), (9, 5)]),
            [
                Verdict::limited(SECOND * 5),
                Verdict::limited(SECOND * 5),
                Verdict::allowed(0),
            ]
        );
    }

    #[test]
    fn a_clock_that_went_back_locks_nobody_out() {
        // The refusal at 50 draws the debt back; the units then return from there on.
        assert_eq!(
            run(
                quota(2, SECOND),
                &[(1000, 2), (50, 1), (51, 1), (51, 1), (1000, 2)]
            ),
            [
                Verdict::allowed(0),
                Verdict::limited(SECOND),
                Verdict::allowed(0),
                Verdict::limited(SECOND),
                Verdict::allowed(0),
            ]
        );
    }

    #[test]
    fn extremes_neither_overflow_nor_give_more() {
        let never = quota(u32::MAX, Duration::MAX);
        assert_eq!(
            take(UnixTime::EPOCH, &never, 1, secs(1)),
            (
                Verdict::limited(Duration::from_nanos(u64::MAX)),
                UnixTime::EPOCH
            )
        );
        let (verdict, tat) = take(UnixTime::MAX, &quota(1, SECOND), 1, UnixTime::MAX);
        assert_eq!((verdict, tat), (Verdict::limited(SECOND), UnixTime::MAX));
        // Zero counts as one nanosecond.
        let (verdict, _) = take(UnixTime::EPOCH, &quota(7, Duration::ZERO), 7, secs(1));
        assert_eq!(verdict, Verdict::allowed(0));
    }

    proptest! {
        /// In any window at most the burst and what the clock's way forward refilled: exactly, in
        /// nanoseconds, whatever the clock does. And whoever waits as told gets in.
        #[test]
        fn never_more_than_burst_and_refill(
            burst in 1u32..20,
            interval in 1u64..1_000_000,
            start in 0u64..10_000_000,
            takes in proptest::collection::vec((-3_000_000i64..3_000_000, 0u32..25), 1..60),
        ) {
            let quota = quota(burst, Duration::from_nanos(interval));
            let window = u128::from(burst) * u128::from(interval);
            let (mut tat, mut now) = (UnixTime::EPOCH, start);
            // For each take: how far the clock went forward before it, and what it got.
            let mut steps: Vec<(u128, u128)> = Vec::new();
            for (step, cost) in takes {
                let next = now.saturating_add_signed(step);
                let forward = next.saturating_sub(now);
                now = next;
                let (verdict, kept) = take(tat, &quota, cost, UnixTime::from_nanos(now));
                let got = match verdict {
                    Verdict::Allowed { .. } => cost,
                    Verdict::Limited { retry_after, .. } => {
                        prop_assert!(!retry_after.is_zero());
                        prop_assert!(retry_after.as_nanos() <= window);
                        let later = UnixTime::from_nanos(now).saturating_add(retry_after);
                        let early = later.saturating_sub(Duration::from_nanos(1));
                        if cost <= burst {
                            let at = |now| matches!(take(kept, &quota, cost, now).0, Verdict::Allowed { .. });
                            prop_assert!(at(later) && !at(early));
                        }
                        0
                    }
                };
                tat = kept;
                steps.push((u128::from(forward), u128::from(got) * u128::from(interval)));
            }
            for first in 0..steps.len() {
                let (mut forward, mut spent) = (0, 0);
                for (position, (step, got)) in steps.iter().enumerate().skip(first) {
                    if position > first {
                        forward += step;
                    }
                    spent += got;
                    prop_assert!(spent <= window + forward, "{spent} > {window} + {forward}");
                }
            }
        }
    }
}
