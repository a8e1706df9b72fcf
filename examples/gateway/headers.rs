//! Which header fields pass from one side to the other.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, ORIGIN,
        PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
    },
};

/// Fields that speak of one connection, whether or not `Connection` names them (RFC 9110 section
/// 7.6.1).
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes what belongs to the connection that the message came by.
///
/// On the way in this happens before the stack, so that it judges the very fields that the upstream
/// gets to see.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Makes a request's fields ready for the upstream.
///
/// `Host` is left for the client to write, from the upstream's own URL. Without `Accept-Encoding`
/// the answer can be read and filtered. What a client says about the way it came is not to be
/// trusted, and nothing behind the gateway needs it.
pub(crate) fn prepare_for_upstream(headers: &mut HeaderMap) {
    for name in [
        HOST,
        ORIGIN,
        ACCEPT_ENCODING,
        EXPECT,
        CONTENT_LENGTH,
        FORWARDED,
    ] {
        headers.remove(name);
    }
    let claimed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| speaks_of_the_way(name.as_str()))
        .cloned()
        .collect();
    for name in claimed {
        headers.remove(name);
    }
    headers.append(VIA, HeaderValue::from_static("1.1 mcp-auth"));
}

/// Whether a field is one by which proxies tell where a request came from. Some servers read `_`
/// as `-`.
fn speaks_of_the_way(name: &str) -> bool {
    let name = match name.contains('_') {
        true => Cow::Owned(name.replace('_', "-")),
        false => Cow::Borrowed(name),
    };
    name.starts_with("x-forwarded-")
        || matches!(
            &*name,
            "x-forwarded"
                | "x-real-ip"
                | "x-client-ip"
                | "x-cluster-client-ip"
                | "true-client-ip"
                | "cf-connecting-ip"
                | "x-original-host"
                | "x-original-url"
                | "x-rewrite-url"
                | "x-host"
        )
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
    fn the_upstream_hears_nothing_of_the_way() {
        let mut headers = map(&[
            ("host", "gateway"),
            ("origin", "http://gateway"),
            ("accept-encoding", "gzip"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x_forwarded_host", "evil"),
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
