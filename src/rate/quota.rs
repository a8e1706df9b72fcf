//! How much is allowed.

use std::{num::NonZeroU32, time::Duration};

/// `burst` at once, refilled evenly: one unit each `interval`.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use mcp_auth::Quota;
///
/// let sixty = NonZeroU32::new(60).unwrap();
/// assert_eq!(Quota::per_minute(sixty), Quota::new(sixty, Duration::from_secs(1)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    burst: NonZeroU32,
    interval: Duration,
}

impl Quota {
    /// `burst` at once, and one more each `interval`. An interval of zero counts as one nanosecond;
    /// one so long that a spent unit is back only after [`UnixTime::MAX`](crate::UnixTime::MAX)
    /// allows nothing.
    #[must_use]
    pub const fn new(burst: NonZeroU32, interval: Duration) -> Self {
        let interval = if interval.is_zero() {
            Duration::from_nanos(1)
        } else {
            interval
        };
        Self { burst, interval }
    }

    /// `n` at once, refilled evenly over a second.
    #[must_use]
    pub const fn per_second(n: NonZeroU32) -> Self {
        Self::over(n, Duration::from_secs(1))
    }

    /// `n` at once, refilled evenly over a minute.
    #[must_use]
    pub const fn per_minute(n: NonZeroU32) -> Self {
        Self::over(n, Duration::from_secs(60))
    }

    /// `n` at once, refilled evenly over an hour.
    #[must_use]
    pub const fn per_hour(n: NonZeroU32) -> Self {
        Self::over(n, Duration::from_secs(3600))
    }

    const fn over(n: NonZeroU32, period: Duration) -> Self {
        Self::new(
            n,
            Duration::from_nanos(period.as_nanos() as u64 / n.get() as u64),
        )
    }

    /// How many units at once.
    #[must_use]
    pub const fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// How long until a spent unit is back.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }
}
