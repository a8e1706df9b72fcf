//! What of an answer is shown: by its head, and by the whole of it where it is one list.

use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response::Parts};

use super::{
    ListFilterBody,
    collect::Collect,
    filter::{Filter, Unfiltered, is_message},
};
use crate::{
    layers::shared::{is_encoded, is_event_stream, is_json},
    reject::RejectBody,
};

/// What is known by the head of an answer.
pub(crate) enum Begun<B> {
    /// It passes, event by event if it is a stream.
    Passes(ListFilterBody<B>),
    /// It must be seen whole.
    Collecting(Pin<Box<Collect<B>>>, Box<Filter>),
    Fails(Box<Filter>, Unfiltered),
}

/// Looks at the head of an answer.
pub(crate) fn begin<B: RejectBody>(head: &mut Parts, body: B, filter: Box<Filter>) -> Begun<B> {
    if is_event_stream(&head.headers) {
        if is_encoded(&head.headers) {
            return Begun::Fails(filter, Unfiltered::ENCODED);
        }
        head.headers.remove(header::CONTENT_LENGTH);
        return Begun::Passes(ListFilterBody::events(body, filter));
    }
    // What a GET gets, and an error that is no message, holds no list.
    let is_message = head.status.is_success() || is_json(&head.headers);
    if !filter.is_asked() || !is_message || body.is_end_stream() {
        return Begun::Passes(ListFilterBody::untouched(body));
    }
    if is_encoded(&head.headers) {
        return Begun::Fails(filter, Unfiltered::ENCODED);
    }
    Begun::Collecting(Box::pin(Collect::new(body)), filter)
}

/// Looks at the whole of it.
pub(crate) fn end<B: RejectBody>(
    head: &mut Parts,
    collected: Result<(Bytes, Option<HeaderMap>), Unfiltered>,
    filter: &Filter,
) -> Result<ListFilterBody<B>, Unfiltered> {
    let (data, trailers) = collected?;
    // No message at all, as for what was taken in: servers of 2024-11-05 then say so in a word.
    if data.is_empty() || (head.status == StatusCode::ACCEPTED && !is_message(&data)) {
        return Ok(ListFilterBody::json(data, trailers));
    }
    if !is_json(&head.headers) {
        return Err(Unfiltered::OTHER_TYPE);
    }
    let Some(edited) = filter.json(&data)? else {
        return Ok(ListFilterBody::json(data, trailers));
    };
    if head.headers.contains_key(header::CONTENT_LENGTH) {
        let length = HeaderValue::from(edited.len());
        head.headers.insert(header::CONTENT_LENGTH, length);
    }
    // These speak of what the body was before.
    for name in [
        header::ETAG,
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("digest"),
        HeaderName::from_static("repr-digest"),
    ] {
        head.headers.remove(name);
    }
    Ok(ListFilterBody::json(edited, trailers))
}
