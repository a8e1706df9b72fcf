//! What to do about a key: the state of one issuer's set, and the time, in; a verdict out.

use std::time::Duration;

use crate::clock::UnixTime;

/// How long a set counts as fresh, and how long a request waits until it may cause a fetch again.
const ASK_INTERVAL: Duration = Duration::from_secs(10);
/// How long it is remembered that a fresh set lacked a key.
const REMEMBER_LACKING: Duration = Duration::from_secs(30);
/// The spacing of unattended retries.
const MIN_BACK_OFF: Duration = Duration::from_secs(1);
const MAX_BACK_OFF: Duration = Duration::from_secs(60);

/// What the newest set says of the key that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    InSet,
    NotInSet {
        /// When a set was fetched that did not hold the key either, if that is remembered.
        lacked_at: Option<UnixTime>,
    },
}

/// What to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The key of the set.
    Verify,
    /// There is no such key: 401.
    Unknown,
    /// Nobody can tell: 503.
    Unavailable,
    /// Fetch the set, or join the fetch under way, and judge again.
    Ask,
}

/// Who wants a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A request that waits for it.
    Request,
    /// Nobody in particular.
    Unattended,
}

/// What an operator wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    FirstKeys,
    Recovered,
    OutageBegins,
}

/// The state of one issuer's set.
#[derive(Clone, Debug)]
pub(super) struct State {
    max_stale: Duration,
    set: Option<SetAge>,
    newest_failed: bool,
    asked_at: Option<UnixTime>,
    /// Failed fetches since the last success that move the next retry away.
    failures: u32,
    next_unattended: UnixTime,
}

#[derive(Clone, Copy, Debug)]
struct SetAge {
    fetched_at: UnixTime,
    in_force_until: UnixTime,
}

impl State {
    pub(super) const fn new(max_stale: Duration) -> Self {
        Self {
            max_stale,
            set: None,
            newest_failed: false,
            asked_at: None,
            failures: 0,
            next_unattended: UnixTime::EPOCH,
        }
    }

    /// What to answer to a request for a key.
    pub(super) fn verdict(&self, sought: Sought, is_under_way: bool, now: UnixTime) -> Verdict {
        let verdict = self.verdict_after_fetch(sought, now);
        let is_settled = match (verdict, sought, self.set) {
            (Verdict::Verify, ..) => true,
            (Verdict::Unknown, Sought::NotInSet { lacked_at }, Some(set)) => {
                is_within(ASK_INTERVAL, set.fetched_at, now)
                    || lacked_at.is_some_and(|at| is_within(REMEMBER_LACKING, at, now))
            }
            _ => false,
        };
        if is_settled {
            verdict
        } else if is_under_way || self.may_ask(now) {
            Verdict::Ask
        } else {
            Verdict::Unavailable
        }
    }

    /// What to answer to a request that waited for a fetch: nothing more is asked for it.
    pub(super) fn verdict_after_fetch(&self, sought: Sought, now: UnixTime) -> Verdict {
        match (self.set, sought) {
            (Some(set), Sought::InSet) if now < set.in_force_until => Verdict::Verify,
            (Some(set), Sought::NotInSet { .. })
                if now < set.in_force_until && !self.newest_failed =>
            {
                Verdict::Unknown
            }
            _ => Verdict::Unavailable,
        }
    }

    fn may_ask(&self, now: UnixTime) -> bool {
        !self
            .asked_at
            .is_some_and(|asked_at| is_within(ASK_INTERVAL, asked_at, now))
    }

    /// A fetch starts.
    pub(super) fn started(&mut self, cause: Cause, now: UnixTime) {
        if cause == Cause::Request {
            self.asked_at = Some(now);
        }
    }

    /// The fetch that started then brought a set. `jitter` is in thousandths.
    pub(super) fn succeeded(
        &mut self,
        started_at: UnixTime,
        ttl: Duration,
        jitter: u32,
    ) -> Option<Change> {
        let change = match (self.set, self.newest_failed) {
            (None, _) => Some(Change::FirstKeys),
            (Some(_), true) => Some(Change::Recovered),
            (Some(_), false) => None,
        };
        self.set = Some(SetAge {
            fetched_at: started_at,
            in_force_until: started_at
                .saturating_add(ttl)
                .saturating_add(self.max_stale),
        });
        self.newest_failed = false;
        self.failures = 0;
        // Between 70 and 80 hundredths of the TTL.
        self.next_unattended =
            started_at.saturating_add(ttl * (800 - jitter.min(1000) / 10) / 1000);
        change
    }

    /// The fetch brought no set.
    pub(super) fn failed(&mut self, cause: Cause, now: UnixTime, jitter: u32) -> Option<Change> {
        let change = (!self.newest_failed).then_some(Change::OutageBegins);
        self.newest_failed = true;
        // A request's fetch does not hold up the retries that are already planned.
        if cause == Cause::Unattended || self.failures == 0 {
            self.failures = self.failures.saturating_add(1);
            self.next_unattended = now.saturating_add(back_off(self.failures, jitter));
        }
        change
    }

    /// How long nobody fetches unless a request asks.
    pub(super) fn wait(&self, now: UnixTime) -> Duration {
        self.next_unattended.saturating_since(now)
    }

    /// When the newest set was fetched.
    pub(super) fn fetched_at(&self) -> Option<UnixTime> {
        self.set.map(|set| set.fetched_at)
    }

    /// Until when the keys of the newest set are in force.
    pub(super) fn in_force_until(&self) -> UnixTime {
        self.set.map_or(UnixTime::EPOCH, |set| set.in_force_until)
    }
}

/// Whether less than `span` went by since `then`. A clock that was set back counts as long ago.
fn is_within(span: Duration, then: UnixTime, now: UnixTime) -> bool {
    then <= now && now.saturating_since(then) < span
}

/// Doubles from 1 s to 60 s, less up to a half by jitter (in thousandths), never below 1 s.
fn back_off(failures: u32, jitter: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(6);
    let longest = MIN_BACK_OFF
        .saturating_mul(1 << doublings)
        .min(MAX_BACK_OFF);
    let less = longest * jitter.min(1000) / 2000;
    longest.saturating_sub(less).max(MIN_BACK_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(600);
    const MAX_STALE: Duration = Duration::from_secs(3600);
    const UNKNOWN: Sought = Sought::NotInSet { lacked_at: None };

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(1_000_000 + secs)
    }

    /// A set that was fetched at 0, at a request.
    fn with_set() -> State {
        let mut state = State::new(MAX_STALE);
        state.started(Cause::Request, at(0));
        assert_eq!(state.succeeded(at(0), TTL, 0), Some(Change::FirstKeys));
        state
    }

    /// The same, and a request's fetch at `secs` that failed.
    fn with_failure(secs: u64) -> State {
        let mut state = with_set();
        state.started(Cause::Request, at(secs));
        let change = state.failed(Cause::Request, at(secs), 0);
        assert_eq!(change, Some(Change::OutageBegins));
        state
    }

    /// What is answered at `secs` without and with a fetch under way, and after a fetch.
    fn verdicts(state: &State, sought: Sought, secs: u64) -> [Verdict; 3] {
        [
            state.verdict(sought, false, at(secs)),
            state.verdict(sought, true, at(secs)),
            state.verdict_after_fetch(sought, at(secs)),
        ]
    }

    #[test]
    fn newest_fetch_succeeded_and_the_key_is_there() {
        for secs in [0, 9, 10, 600, 4199] {
            let verdicts = verdicts(&with_set(), Sought::InSet, secs);
            assert_eq!(verdicts, [Verdict::Verify; 3], "{secs}");
        }
    }

    #[test]
    fn newest_fetch_succeeded_and_the_key_is_not_there() {
        use Verdict::{Ask, Unknown};
        for (secs, expected) in [
            (0, [Unknown; 3]),
            (9, [Unknown; 3]),
            // Old enough to be asked for, and what was fetched for the token decides.
            (10, [Ask, Ask, Unknown]),
            (4199, [Ask, Ask, Unknown]),
        ] {
            assert_eq!(verdicts(&with_set(), UNKNOWN, secs), expected, "{secs}");
        }
    }

    #[test]
    fn what_a_fresh_set_lacked_is_remembered_for_a_while() {
        use Verdict::{Ask, Unknown};
        let lacked = Sought::NotInSet {
            lacked_at: Some(at(0)),
        };
        assert_eq!(verdicts(&with_set(), lacked, 29), [Unknown; 3]);
        assert_eq!(verdicts(&with_set(), lacked, 30), [Ask, Ask, Unknown]);
    }

    #[test]
    fn newest_fetch_failed_and_the_key_is_there() {
        for secs in [20, 600, 4199] {
            let verdicts = verdicts(&with_failure(20), Sought::InSet, secs);
            assert_eq!(verdicts, [Verdict::Verify; 3], "{secs}");
        }
    }

    #[test]
    fn newest_fetch_failed_and_the_key_is_not_there() {
        use Verdict::{Ask, Unavailable};
        let lacked = Sought::NotInSet {
            lacked_at: Some(at(10)),
        };
        for sought in [UNKNOWN, lacked] {
            for (secs, expected) in [
                (20, [Unavailable, Ask, Unavailable]),
                (29, [Unavailable, Ask, Unavailable]),
                (30, [Ask, Ask, Unavailable]),
                (4199, [Ask, Ask, Unavailable]),
            ] {
                assert_eq!(
                    verdicts(&with_failure(20), sought, secs),
                    expected,
                    "{secs}"
                );
            }
        }
        // A set that failed to be refreshed is not fresh, however young.
        let failed_early = with_failure(5);
        assert_eq!(
            verdicts(&failed_early, UNKNOWN, 6),
            [Unavailable, Ask, Unavailable]
        );
    }

    #[test]
    fn no_set_or_one_too_old() {
        use Verdict::{Ask, Unavailable};
        let mut down_at_start = State::new(MAX_STALE);
        down_at_start.started(Cause::Request, at(4195));
        down_at_start.failed(Cause::Request, at(4195), 0);
        let states = [down_at_start, with_failure(4195)];
        for state in &states {
            for sought in [Sought::InSet, UNKNOWN] {
                assert_eq!(
                    verdicts(state, sought, 4200),
                    [Unavailable, Ask, Unavailable]
                );
                assert_eq!(verdicts(state, sought, 4205), [Ask, Ask, Unavailable]);
            }
        }
        // Nobody asked yet, and a set that grew old in silence.
        for state in [State::new(MAX_STALE), with_set()] {
            for sought in [Sought::InSet, UNKNOWN] {
                assert_eq!(verdicts(&state, sought, 4200), [Ask, Ask, Unavailable]);
            }
        }
    }

    #[test]
    fn without_stale_keys_the_ttl_is_the_end() {
        let mut state = State::new(Duration::ZERO);
        state.succeeded(at(0), TTL, 0);
        assert_eq!(
            state.verdict(Sought::InSet, false, at(599)),
            Verdict::Verify
        );
        assert_eq!(state.verdict(Sought::InSet, false, at(600)), Verdict::Ask);
        assert_eq!(state.in_force_until(), at(600));
    }

    #[test]
    fn a_clock_that_is_set_back_refuses_nobody_and_stops_nothing() {
        let state = with_set();
        let before = UnixTime::from_secs(1000);
        assert_eq!(state.verdict(Sought::InSet, false, before), Verdict::Verify);
        assert_eq!(state.verdict(UNKNOWN, false, before), Verdict::Ask);
    }

    #[test]
    fn a_set_is_refreshed_before_its_ttl_ends() {
        for (jitter, expected) in [(0, 480), (500, 450), (1000, 420), (9999, 420)] {
            let mut state = State::new(MAX_STALE);
            state.succeeded(at(0), TTL, jitter);
            assert_eq!(state.wait(at(0)), Duration::from_secs(expected));
        }
        assert_eq!(with_set().wait(at(481)), Duration::ZERO);
        assert_eq!(State::new(MAX_STALE).wait(at(0)), Duration::ZERO);
    }

    #[test]
    fn unattended_retries_back_off_and_a_success_resets() {
        let mut state = with_set();
        let mut now = at(480);
        for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            state.failed(Cause::Unattended, now, 0);
            assert_eq!(state.wait(now), Duration::from_secs(expected));
            now = now.saturating_add(state.wait(now));
        }
        assert_eq!(state.succeeded(now, TTL, 0), Some(Change::Recovered));
        assert_eq!(state.wait(now), Duration::from_secs(480));
        state.failed(Cause::Unattended, now, 0);
        assert_eq!(state.wait(now), Duration::from_secs(1));
    }

    #[test]
    fn jitter_shortens_by_half_at_most_and_never_below_a_second() {
        for (failures, shortest) in [(1, 1000), (2, 1000), (3, 2000), (7, 30_000), (99, 30_000)] {
            assert_eq!(back_off(failures, 1000), Duration::from_millis(shortest));
        }
        assert_eq!(back_off(u32::MAX, 0), MAX_BACK_OFF);
    }

    #[test]
    fn a_request_in_vain_starts_retries_but_does_not_hold_them_up() {
        let mut state = with_failure(20);
        assert_eq!(state.wait(at(20)), Duration::from_secs(1));
        state.failed(Cause::Unattended, at(21), 0);
        assert_eq!(state.wait(at(21)), Duration::from_secs(2));
        assert_eq!(state.failed(Cause::Request, at(22), 0), None);
        assert_eq!(state.wait(at(22)), Duration::from_secs(1));
    }

    #[test]
    fn back_off_does_not_space_the_fetches_of_requests() {
        let mut state = with_failure(20);
        for secs in 21..27 {
            state.failed(Cause::Unattended, at(secs), 0);
        }
        assert!(state.wait(at(30)) > Duration::from_secs(20));
        assert_eq!(state.verdict(UNKNOWN, false, at(30)), Verdict::Ask);
    }
}
