//! What kind of body a head announces.

use http::{HeaderMap, header};

/// Whether the body is a stream of events (WHATWG HTML, section 9.2).
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    is(headers, b"text/event-stream")
}

/// Whether the body is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    is(headers, b"application/json")
}

fn is(headers: &HeaderMap, media_type: &[u8]) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes().trim_ascii_start();
        let split = value.split_at_checked(media_type.len());
        split.is_some_and(|(essence, rest)| {
            essence.eq_ignore_ascii_case(media_type)
                && matches!(rest.trim_ascii_start(), [] | [b';', ..])
        })
    })
}

/// Whether the body is encoded: compressed, that is.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    encodings.any(|it| !it.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}
