//! Headers that mirror parts of the body (Streamable HTTP of 2026-07-28, "Request Metadata").

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

/// The mirrored headers of a request. Whoever fills it refuses a header that comes twice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MirroredHeaders<'a> {
    /// `MCP-Protocol-Version`.
    pub(crate) protocol_version: Option<&'a [u8]>,
    /// `Mcp-Method`.
    pub(crate) method: Option<&'a [u8]>,
    /// `Mcp-Name`.
    pub(crate) name: Option<&'a [u8]>,
    /// Whether there is a `Mcp-Session-Id`.
    pub(crate) has_session: bool,
}

impl<'a> MirroredHeaders<'a> {
    /// The plain values, and the name decoded; the error names the header that is malformed.
    pub(super) fn decode(&self) -> Result<Decoded<'a>, &'static str> {
        Ok(Decoded {
            version: plain(self.protocol_version)
                .map_err(|()| "The header MCP-Protocol-Version is malformed")?,
            method: plain(self.method).map_err(|()| "The header Mcp-Method is malformed")?,
            name: plain(self.name)
                .and_then(|name| name.map(unwrap_sentinel).transpose())
                .map_err(|()| "The header Mcp-Name is malformed")?,
        })
    }
}

/// What the mirrored headers say.
#[derive(Debug, Default)]
pub(super) struct Decoded<'a> {
    pub(super) version: Option<&'a str>,
    pub(super) method: Option<&'a str>,
    pub(super) name: Option<Cow<'a, str>>,
}

/// A value without the white space around it (RFC 9110 section 5.5): visible ASCII, spaces and
/// tabs, and not empty.
fn plain(value: Option<&[u8]>) -> Result<Option<&str>, ()> {
    let Some(value) = value else {
        return Ok(None);
    };
    let text = str::from_utf8(value).map_err(|_| ())?;
    let text = text.trim_matches([' ', '\t']);
    let is_visible = |byte: u8| matches!(byte, b' ' | b'\t' | 0x21..=0x7E);
    if !text.is_empty() && text.bytes().all(is_visible) {
        Ok(Some(text))
    } else {
        Err(())
    }
}

/// Decodes `=?base64?…?=`; anything else stands for itself. Once only: what comes out is the name.
fn unwrap_sentinel(value: &str) -> Result<Cow<'_, str>, ()> {
    let encoded = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    match encoded {
        None => Ok(Cow::Borrowed(value)),
        Some(encoded) => {
            let bytes = STANDARD.decode(encoded).map_err(|_| ())?;
            String::from_utf8(bytes).map(Cow::Owned).map_err(|_| ())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(value: &str) -> Result<Option<String>, &'static str> {
        let headers = MirroredHeaders {
            name: Some(value.as_bytes()),
            ..MirroredHeaders::default()
        };
        headers.decode().map(|it| it.name.map(Cow::into_owned))
    }

    #[test]
    fn names_are_decoded_to_the_letter() {
        for (value, expected) in [
            ("us-west1", "us-west1"),
            (" \tpadded\t ", "padded"),
            ("in the  middle", "in the  middle"),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, \u{4e16}\u{754c}"),
            ("=?base64?IHBhZGRlZCA=?=", " padded "),
            ("=?base64?bGluZTEKbGluZTI=?=", "line1\nline2"),
            ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
            ("=?base64??=", ""),
            // Only one of the markers, or not as they are written: the value itself.
            ("=?base64?SGVsbG8=", "=?base64?SGVsbG8="),
            ("SGVsbG8=?=", "SGVsbG8=?="),
            ("=?base64?=", "=?base64?="),
            ("=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="),
        ] {
            assert_eq!(name(value), Ok(Some(expected.to_owned())), "{value}");
        }
    }

    #[test]
    fn malformed_names_are_refused() {
        for value in [
            "",
            " ",
            "=?base64?SGVsbG8?=",
            "=?base64?SGVs bG8=?=",
            "=?base64?SGVsbG9=?=",
            "=?base64?SGVsbG8-?=",
            "=?base64?/w==?=",
            "caf\u{e9}",
            "a\u{7f}",
            "a\nb",
        ] {
            assert_eq!(
                name(value),
                Err("The header Mcp-Name is malformed"),
                "{value:?}"
            );
        }
    }

    #[test]
    fn only_the_name_has_a_sentinel() {
        let headers = MirroredHeaders {
            method: Some(b"=?base64?cGluZw==?="),
            protocol_version: Some(b" 2026-07-28 "),
            ..MirroredHeaders::default()
        };
        let decoded = headers.decode().unwrap();
        assert_eq!(decoded.method, Some("=?base64?cGluZw==?="));
        assert_eq!(decoded.version, Some("2026-07-28"));
    }
}
