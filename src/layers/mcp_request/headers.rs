//! What the headers of a request may say.

use http::{HeaderMap, header};

use crate::{
    layers::shared::{fields, has_other_hyphens, with_hyphens},
    mcp::MirroredHeaders,
};

/// The mirrored headers, unless one stands there twice or under an alias.
///
/// One pass over all of them, which costs less than looking for each by its hash.
pub(super) fn mirrored(headers: &HeaderMap) -> Result<MirroredHeaders<'_>, &'static str> {
    let mut mirrored = MirroredHeaders::default();
    let mut previous = None;
    for (name, value) in headers {
        let text = name.as_str();
        if !matches!(text.as_bytes().first(), Some(b'd' | b'l' | b'm')) {
            // Nothing below begins with another letter.
            continue;
        }
        // Servers that speak CGI or WSGI cannot tell `_` from `-`, some no `.` and its like either.
        if has_other_hyphens(text) {
            if stands_once(&with_hyphens(text)) {
                return Err("A header was sent under an alias");
            }
            continue;
        }
        if !stands_once(text) {
            continue;
        }
        // The values of a name come one after the other.
        if previous.replace(text) == Some(text) {
            return Err("A header that may stand once was repeated");
        }
        match text {
            "mcp-protocol-version" => mirrored.protocol_version = Some(value.as_bytes()),
            "mcp-method" => mirrored.method = Some(value.as_bytes()),
            "mcp-name" => mirrored.name = Some(value.as_bytes()),
            "mcp-session-id" => mirrored.has_session = true,
            _ => {}
        }
    }
    Ok(mirrored)
}

/// Whether a second header of this name would let two readers see two requests.
fn stands_once(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'm') => {
            matches!(
                name,
                "mcp-protocol-version" | "mcp-method" | "mcp-name" | "mcp-session-id"
            ) || name.starts_with("mcp-param-")
        }
        Some(b'l') => name == "last-event-id",
        Some(b'd') => name == "dpop",
        _ => false,
    }
}

/// Whether the body is plain JSON in UTF-8: `application/json`, with that charset or none, and not
/// encoded.
pub(super) fn is_plain_json(headers: &HeaderMap) -> bool {
    let [content_type, coding] =
        fields(headers, [&header::CONTENT_TYPE, &header::CONTENT_ENCODING]);
    let (Ok(Some(content_type)), Ok(coding)) = (content_type.only(), coding.only()) else {
        return false;
    };
    let is_encoded =
        coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    // To the letter, as nearly all send it; else by its parts.
    let is_plain = content_type.as_bytes() == b"application/json"
        || content_type.to_str().is_ok_and(is_json_in_utf8);
    !is_encoded && is_plain
}

fn is_json_in_utf8(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.filter(|part| !part.is_empty()).all(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("charset")
                    && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_plain_json_is_read() {
        for (fields, expected) in [
            (&[("content-type", "application/json")][..], true),
            (&[("content-type", "Application/JSON; charset=UTF-8")], true),
            (
                &[("content-type", "application/json;charset=\"utf-8\"")],
                true,
            ),
            (
                &[("content-type", "application/json; charset=utf-16")],
                false,
            ),
            (&[("content-type", "application/json; profile=x")], false),
            (&[("content-type", "application/json-seq")], false),
            (&[("content-type", "application/jsonx")], false),
            (&[("content-type", "text/plain")], false),
            (&[("content-type", "application/json, text/plain")], false),
            (
                &[
                    ("content-type", "application/json"),
                    ("content-type", "application/json"),
                ],
                false,
            ),
            (&[], false),
            (
                &[
                    ("content-type", "application/json"),
                    ("content-encoding", "gzip"),
                ],
                false,
            ),
            (
                &[
                    ("content-type", "application/json"),
                    ("content-encoding", "identity"),
                ],
                true,
            ),
        ] {
            assert_eq!(is_plain_json(&headers(fields)), expected, "{fields:?}");
        }
    }

    #[test]
    fn repeated_and_aliased_headers_are_refused() {
        for fields in [
            &[("mcp-name", "a"), ("mcp-name", "a")][..],
            &[("mcp-method", "a"), ("mcp-method", "b")],
            &[("mcp-session-id", "a"), ("mcp-session-id", "b")],
            &[("mcp-param-region", "a"), ("mcp-param-region", "b")],
            &[("mcp_name", "a")],
            &[("mcp-protocol_version", "a")],
            &[("mcp_param_x", "a")],
            &[("mcp.method", "a")],
            &[("mcp~session|id", "a")],
            &[("last!event-id", "a")],
        ] {
            assert!(mirrored(&headers(fields)).is_err(), "{fields:?}");
        }
        let fields = headers(&[
            ("mcp-name", "a"),
            ("mcp-param-x", "1"),
            ("mcp-param-y", "1"),
            ("x_other", "1"),
            ("accept", "a"),
            ("accept", "b"),
        ]);
        assert_eq!(mirrored(&fields).unwrap().name, Some(&b"a"[..]));
    }
}
