//! The time, as an argument: decisions take a [`UnixTime`], layers read it from a [`Clock`].

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// All arithmetic saturates, so no claim in a token can make it overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime {
    nanos: u64,
}

impl UnixTime {
    /// The earliest instant, 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self { nanos: 0 };
    /// The latest instant, in the year 2554.
    pub const MAX: Self = Self { nanos: u64::MAX };

    /// The instant `secs` seconds after the epoch, at most [`UnixTime::MAX`].
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self {
            nanos: secs.saturating_mul(1_000_000_000),
        }
    }

    /// The instant `nanos` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.nanos / 1_000_000_000
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.nanos
    }

    /// This instant moved forward.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self {
            nanos: self.nanos.saturating_add(saturating_nanos(by)),
        }
    }

    /// This instant moved back.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(saturating_nanos(by)),
        }
    }

    /// The time from `earlier` to this instant; zero where `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

fn saturating_nanos(duration: Duration) -> u64 {
    // In 64 bits: every reading of the clock comes by here.
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(duration.subsec_nanos().into())
}

/// Where layers read the time.
///
/// ```
/// use mcp_auth::{Clock, UnixTime};
///
/// #[derive(Debug)]
/// struct Noon;
///
/// impl Clock for Noon {
///     fn now(&self) -> UnixTime {
///         UnixTime::from_secs(1_700_000_000)
///     }
/// }
///
/// assert_eq!(Noon.now().as_secs(), 1_700_000_000);
/// ```
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present instant.
    fn now(&self) -> UnixTime;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> UnixTime {
        (**self).now()
    }
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
// A unit struct for good: it has nothing to set.
#[allow(clippy::exhaustive_structs)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        // A clock before 1970 reads as the epoch: tokens that say when they were made are then not
        // valid yet, and nothing that was revoked is forgotten.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixTime {
            nanos: saturating_nanos(since_epoch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(UnixTime::from_secs(u64::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::MAX.saturating_add(Duration::MAX), UnixTime::MAX);
        assert_eq!(
            UnixTime::EPOCH.saturating_sub(Duration::MAX),
            UnixTime::EPOCH
        );
        let (one, two) = (UnixTime::from_secs(1), UnixTime::from_secs(2));
        assert_eq!(two.saturating_since(one), Duration::from_secs(1));
        assert_eq!(one.saturating_since(two), Duration::ZERO);
    }
}
