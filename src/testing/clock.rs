//! A clock that moves when it is told to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::clock::{Clock, UnixTime};

/// A clock that moves when it is told to. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use mcp_auth::{Clock, UnixTime, testing::TestClock};
///
/// let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
/// let for_the_layer = clock.clone();
/// clock.advance(Duration::from_secs(30));
/// assert_eq!(for_the_layer.now().as_secs(), 1_700_000_030);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TestClock {
    nanos: Arc<AtomicU64>,
}

impl TestClock {
    /// A clock that shows `now`.
    pub fn new(now: UnixTime) -> Self {
        Self {
            nanos: Arc::new(AtomicU64::new(now.as_nanos())),
        }
    }

    /// Shows `now` from here on; backwards too.
    pub fn set(&self, now: UnixTime) {
        self.nanos.store(now.as_nanos(), Ordering::SeqCst);
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        let moved = |nanos| Some(UnixTime::from_nanos(nanos).saturating_add(by).as_nanos());
        // The closure always gives a value, so it cannot fail.
        let _ = self
            .nanos
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_nanos(self.nanos.load(Ordering::SeqCst))
    }
}
