//! Instants as RFC 3339 writes them.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::clock::UnixTime;

/// Shows an instant as `2023-11-14T22:13:20.000000Z`: UTC, in microseconds, cut off and not rounded.
pub(super) struct Rfc3339(pub(super) UnixTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        let micros = self.0.as_nanos() % 1_000_000_000 / 1_000;
        let (days, second) = (secs / 86_400, secs % 86_400);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let (year, month, day) = civil(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
        )
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01. Years are counted
/// from March on, so that the leap day is the last one, and in cycles of 400 years (146,097 days).
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // 0 is March
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (cycle * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_date_and_the_microseconds() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_700_000_000_000_000_999, "2023-11-14T22:13:20.000000Z"),
            (1_700_000_000_999_999_999, "2023-11-14T22:13:20.999999Z"),
            (951_782_399_000_000_000, "2000-02-28T23:59:59.000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000Z"),
            (951_868_800_000_000_000, "2000-03-01T00:00:00.000000Z"),
            (1_704_067_199_000_001_000, "2023-12-31T23:59:59.000001Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551Z"),
        ] {
            assert_eq!(Rfc3339(UnixTime::from_nanos(nanos)).to_string(), text);
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = civil(0);
        for days in 1..200_000 {
            let day = civil(days);
            let follows = day == (before.0, before.1, before.2 + 1)
                || day == (before.0, before.1 + 1, 1) && before.2 >= 28
                || day == (before.0 + 1, 1, 1) && before == (before.0, 12, 31);
            assert!(follows, "{before:?} {day:?}");
            before = day;
        }
        assert_eq!(before, (2517, 7, 31));
    }
}
