//! How long an answer may be used: `Cache-Control` (RFC 9111 section 5.2.2.1).

use std::time::Duration;

use http::{HeaderMap, header::CACHE_CONTROL};

const MIN: Duration = Duration::from_secs(60);
const MAX: Duration = Duration::from_secs(60 * 60);
const UNSAID: Duration = Duration::from_secs(10 * 60);

/// The `max-age` of an answer, within a minute and an hour; ten minutes where it says nothing.
pub(super) fn ttl(headers: &HeaderMap) -> Duration {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .find_map(max_age)
        .map_or(UNSAID, |seconds| {
            Duration::from_secs(seconds).clamp(MIN, MAX)
        })
}

fn max_age(directive: &str) -> Option<u64> {
    let (name, value) = directive.split_once('=')?;
    let digits = value.trim().trim_matches('"');
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (name.trim().eq_ignore_ascii_case("max-age") && is_number)
        // More digits than fit mean a very long time.
        .then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_read_and_clamped() {
        for (fields, expected) in [
            (&[][..], 600),
            (&["public"], 600),
            (&["max-age"], 600),
            (&["max-age=soon"], 600),
            (&["max-age=-1"], 600),
            (&["s-maxage=300"], 600),
            (&["max-age=0"], 60),
            (&["max-age=59"], 60),
            (&["max-age=61"], 61),
            (&["public, Max-Age=300, must-revalidate"], 300),
            (&["max-age=\"300\""], 300),
            (&["public", "max-age=300"], 300),
            (&["max-age=3601"], 3600),
            (&["max-age=315360000"], 3600),
            (&["max-age=99999999999999999999999"], 3600),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(CACHE_CONTROL, field.parse().unwrap());
            }
            assert_eq!(ttl(&headers), Duration::from_secs(expected), "{fields:?}");
        }
    }
}
