//! Which header fields pass from one side to the other.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Removes what belongs to the connection that the message came by.
///
/// On the way in this happens before the stack, so that it judges the very fields that the upstream
/// gets to see.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    remove_all(headers, is_hop_by_hop);
}

/// Makes a request's fields ready for the upstream, whose own connection they are to go by.
///
/// `Host` is left for the client to write, from the upstream's own URL. Without `Accept-Encoding`
/// the answer can be read and filtered. What a client says about the way it came is not to be
/// trusted, and nothing behind the gateway needs it.
pub(crate) fn prepare_for_upstream(headers: &mut HeaderMap) {
    // Nearly every request has these.
    for name in [
        header::HOST,
        header::ACCEPT_ENCODING,
        header::CONTENT_LENGTH,
    ] {
        headers.remove(name);
    }
    remove_all(headers, |name| {
        matches!(*name, header::ORIGIN | header::EXPECT | header::FORWARDED)
            || is_hop_by_hop(name)
            || speaks_of_the_way(name.as_str())
    });
    headers.append(header::VIA, HeaderValue::from_static("1.1 mcp-auth"));
}

/// Whether a field of that name can hold the key: it must reach the upstream as it was put in.
pub(crate) fn can_hold_a_key(name: &HeaderName) -> bool {
    let key = HeaderValue::from_static("key");
    let mut headers = HeaderMap::new();
    headers.insert(name.clone(), key.clone());
    prepare_for_upstream(&mut headers);
    headers.get_all(name).iter().eq([&key])
}

/// Removes the fields with such names. Most messages have few of them or none: to read all names
/// once is less work than to ask for each of many.
fn remove_all(headers: &mut HeaderMap, is_such: impl Fn(&HeaderName) -> bool) {
    let found: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_such(name))
        .cloned()
        .collect();
    for name in found {
        headers.remove(name);
    }
}

/// Whether a field speaks of one connection, whether or not `Connection` names it (RFC 9110 section
/// 7.6.1).
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// By these, and by all of `X-Forwarded-*`, proxies tell where a request came from.
const OF_THE_WAY: [&str; 11] = [
    "x-forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-host",
    // In a CGI program it would set the proxy that the program itself asks.
    "proxy",
];

fn speaks_of_the_way(name: &str) -> bool {
    begins_as(name, "x-forwarded-") || OF_THE_WAY.iter().any(|other| reads_as(name, other))
}

/// Whether a server could take the start of a name for that.
fn begins_as(name: &str, start: &str) -> bool {
    let own = name.get(..start.len());
    own.is_some_and(|own| reads_as(own, start))
}

/// Whether a server could take one name for the other. Some read `_` as `-`, and some all that is
/// neither a letter nor a digit.
fn reads_as(name: &str, other: &str) -> bool {
    let mut pairs = name.bytes().zip(other.bytes());
    name.len() == other.len()
        && pairs.all(|(a, b)| a == b || (b == b'-' && !a.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn connection_takes_along_what_it_names() {
        let mut headers = map(&[
            ("connection", "close , X-Private,bad name"),
            ("connection", "x-other"),
            ("x-private", "1"),
            ("x-other", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("mcp-method", "ping"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("mcp-method", "ping")]));
    }

    #[test]
    fn a_key_stands_where_it_gets_through() {
        let judged = |names: &[&'static str], expected| {
            for name in names {
                let can = can_hold_a_key(&HeaderName::from_static(name));
                assert_eq!(can, expected, "{name}");
            }
        };
        judged(
            &["authorization", "x-api-key", "x-mcp-notes-authorization"],
            true,
        );
        judged(&["cookie", "x-auth-request-user", "mcp-api-key"], true);
        judged(
            &[
                "x-forwarded-user",
                "x_real_ip",
                "x.host",
                "te",
                "host",
                "via",
            ],
            false,
        );
    }

    #[test]
    fn the_upstream_hears_nothing_of_the_way() {
        let mut headers = map(&[
            ("host", "gateway"),
            ("origin", "http://gateway"),
            ("accept-encoding", "gzip"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x_forwarded_host", "evil"),
            ("x.real.ip", "1.2.3.4"),
            ("proxy", "http://evil"),
            ("forwarded", "for=1.2.3.4"),
            ("via", "1.0 client"),
            ("accept", "application/json"),
        ]);
        prepare_for_upstream(&mut headers);
        assert_eq!(
            headers,
            map(&[
                ("via", "1.0 client"),
                ("via", "1.1 mcp-auth"),
                ("accept", "application/json"),
            ])
        );
    }
}
