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
        let essence = value.as_bytes().split(|byte| *byte == b';').next();
        essence.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(media_type))
    })
}

/// Whether the body is encoded: compressed, that is.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    encodings.any(|it| !it.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}
