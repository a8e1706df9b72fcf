//! When Redis is not asked any more, and when it is tried again.

use std::time::{Duration, Instant};

/// So many failures in a row open the breaker.
const FAILURES: u32 = 5;
/// An open breaker probes once in so long; a closed one tries to reconnect at least so often.
const PROBE: Duration = Duration::from_secs(1);
/// How long after the first failed attempt the next one follows. Each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Counts failures. It opens after five in a row, and is closed by a connection that answers.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    is_open: bool,
}

impl Breaker {
    /// While it is open nothing is asked.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// A question or an attempt to connect has failed. Says whether that opened it.
    pub(super) const fn failed(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = !self.is_open && self.failures >= FAILURES;
        self.is_open |= opens;
        opens
    }

    /// A question was answered. One that was on its way when the breaker opened does not close it.
    pub(super) const fn answered(&mut self) {
        if !self.is_open {
            self.failures = 0;
        }
    }

    /// A probe was answered over a new connection. Says whether that closed it.
    pub(super) const fn connected(&mut self) -> bool {
        let closes = self.is_open;
        *self = Self {
            failures: 0,
            is_open: false,
        };
        closes
    }

    /// When to connect again, after an attempt that began at `attempted` has failed.
    pub(super) fn next_attempt(&self, attempted: Instant) -> Instant {
        if self.is_open {
            return attempted + PROBE;
        }
        let doublings = self.failures.saturating_sub(1).min(FAILURES);
        attempted + FIRST_WAIT.saturating_mul(1 << doublings).min(PROBE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: u32) -> Breaker {
        let mut breaker = Breaker::default();
        for n in 1..=failures {
            assert_eq!(breaker.failed(), n == FAILURES, "{n}");
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        let mut breaker = after(4);
        assert!(!breaker.is_open());
        breaker.answered();
        for _ in 0..4 {
            assert!(!breaker.failed());
        }
        assert!(!breaker.is_open());
        assert!(breaker.failed());
        assert!(breaker.is_open());
        // It opens once.
        assert!(!breaker.failed());
    }

    #[test]
    fn only_a_new_connection_closes_it() {
        let mut breaker = after(7);
        breaker.answered();
        assert!(breaker.is_open());
        assert!(breaker.connected());
        assert!(!breaker.is_open());
        assert!(!breaker.connected());
        // It takes five again.
        for _ in 0..4 {
            assert!(!breaker.failed());
        }
        assert!(breaker.failed());
    }

    #[test]
    fn attempts_back_off_and_an_open_breaker_probes_once_a_second() {
        let now = Instant::now();
        for (failures, millis) in [(1, 50), (2, 100), (3, 200), (4, 400), (5, 1000), (99, 1000)] {
            let wait = after(failures).next_attempt(now) - now;
            assert_eq!(wait, Duration::from_millis(millis), "{failures}");
        }
    }
}
