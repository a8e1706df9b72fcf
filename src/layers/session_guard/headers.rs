//! What a head says about sessions.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::session::SessionHash;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// The session that a head names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    None,
    One(SessionHash),
    /// It comes twice, or can be no session id.
    Malformed,
}

pub(super) fn named(headers: &HeaderMap) -> Named {
    let mut values = headers.get_all(SESSION).iter();
    match (values.next(), values.next()) {
        (None, _) => Named::None,
        (Some(id), None) => SessionHash::of(id.as_bytes()).map_or(Named::Malformed, Named::One),
        (Some(_), Some(_)) => Named::Malformed,
    }
}

/// Removes the session of an answer, unless it is the one that the request named.
pub(super) fn keep_only(own: Option<&HeaderValue>, headers: &mut HeaderMap) {
    let mut values = headers.get_all(SESSION).iter();
    let is_own = match (values.next(), values.next()) {
        (None, _) => return,
        (Some(id), None) => Some(id) == own,
        (Some(_), Some(_)) => false,
    };
    if !is_own {
        headers.remove(SESSION);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(ids: &[&[u8]]) -> HeaderMap {
        let ids = ids
            .iter()
            .map(|id| (SESSION, HeaderValue::from_bytes(id).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, id) in ids {
            headers.append(name, id);
        }
        headers
    }

    #[test]
    fn one_session_of_visible_ascii_is_named() {
        assert_eq!(named(&headers(&[])), Named::None);
        let hash = SessionHash::of(b"s-1").unwrap();
        assert_eq!(named(&headers(&[b"s-1"])), Named::One(hash));
        for ids in [
            &[b"s-1".as_slice(), b"s-1"] as &[&[u8]],
            &[b""],
            &[b"s 1"],
            &[b"s\t"],
            &[b"s\xe9"],
            &[&[b's'; 4097]],
        ] {
            assert_eq!(named(&headers(ids)), Named::Malformed, "{ids:?}");
        }
    }

    #[test]
    fn an_answer_keeps_its_own_session_alone() {
        let own = HeaderValue::from_static("s-1");
        for (ids, kept, expected) in [
            (&[b"s-1".as_slice()] as &[&[u8]], Some(&own), 1),
            (&[b"s-1"], None, 0),
            (&[b"s-2"], Some(&own), 0),
            (&[b"s-1", b"s-1"], Some(&own), 0),
            (&[b"s-1", b"s-2"], Some(&own), 0),
            (&[], Some(&own), 0),
        ] {
            let mut headers = headers(ids);
            keep_only(kept, &mut headers);
            assert_eq!(headers.len(), expected, "{ids:?}");
        }
    }
}
