//! Under which header a key is injected, and how it is written there.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::strip::canonical;
use crate::{error::ConfigError, keys::UpstreamKey};

const PLACE: &str = "{key}";

/// By these, and by all of `Mcp-Param-*`, the message is sent and read: no key can stand there.
const OF_THE_MESSAGE: [&str; 15] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The header of an upstream key: its name, and a template in which `{key}` stands for the key.
///
/// ```
/// use mcp_auth::KeyHeader;
///
/// let plain: KeyHeader = "x-api-key".parse()?;
/// let bearer: KeyHeader = "authorization: Bearer {key}".parse()?;
/// # let _ = (plain, bearer);
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct KeyHeader {
    name: HeaderName,
    /// The name as those see it who cannot tell it from its aliases.
    canonical: Box<str>,
    before: Box<str>,
    after: Box<str>,
}

impl KeyHeader {
    /// The header of that name. The template is `{key}`, and `Bearer {key}` for `authorization`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no name of a header, or of one by which the message is sent or read.
    pub fn new(name: &str) -> Result<Self, ConfigError> {
        let template = if name.eq_ignore_ascii_case("authorization") {
            "Bearer {key}"
        } else {
            PLACE
        };
        Self::with_template(name, template)
    }

    /// The same with another template.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is no name of a header, or of one by which the message is sent or read;
    /// and where the template does not hold `{key}` exactly once or cannot stand in a header.
    pub fn with_template(name: &str, template: &str) -> Result<Self, ConfigError> {
        // Whoever mistakes the template for the value writes a key, which no error may show.
        let parsed = HeaderName::try_from(name)
            .map_err(|_| ConfigError::new("the name is not that of a header"))?;
        let canonical: Box<str> = canonical(parsed.as_str()).into();
        if OF_THE_MESSAGE.contains(&&*canonical) || canonical.starts_with("mcp-param-") {
            return Err(ConfigError::new(format!(
                "{parsed} belongs to the message, and can hold no key"
            )));
        }
        let fits = HeaderValue::from_str(template).is_ok_and(|value| value.to_str().is_ok());
        match template.split_once(PLACE) {
            Some((before, after)) if fits && !after.contains(PLACE) => Ok(Self {
                name: parsed,
                canonical,
                before: before.into(),
                after: after.into(),
            }),
            _ => Err(ConfigError::new(format!(
                "the template must hold {PLACE} once and fit in a header"
            ))),
        }
    }

    /// The name of the header, in lower case as HTTP compares it (RFC 9110 section 5.1).
    #[must_use]
    pub const fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) const fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The key as it stands in the header.
    pub(super) fn value(&self, key: &UpstreamKey) -> HeaderValue {
        if self.before.is_empty() && self.after.is_empty() {
            return key.header_value().clone();
        }
        let secret = key.secret().expose();
        let length = self.before.len() + secret.len() + self.after.len();
        // Never grown, so that no copy is left behind, and wiped when the last request with it is gone.
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        for part in [&*self.before, secret, &*self.after] {
            text.extend_from_slice(part.as_bytes());
        }
        // Template and key both fit in a header, so both together do.
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
            .unwrap_or_else(|_| key.header_value().clone());
        value.set_sensitive(true);
        value
    }
}

impl Default for KeyHeader {
    /// `x-api-key`.
    fn default() -> Self {
        Self {
            name: HeaderName::from_static("x-api-key"),
            canonical: "x-api-key".into(),
            before: "".into(),
            after: "".into(),
        }
    }
}

impl std::str::FromStr for KeyHeader {
    type Err = ConfigError;

    /// Reads `NAME` or `NAME: TEMPLATE`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text.split_once(':') {
            Some((name, template)) => Self::with_template(name.trim(), template.trim()),
            None => Self::new(text.trim()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NO_TEMPLATE: &str = "the template must hold {key} once and fit in a header";

    #[test]
    fn a_template_holds_the_key_once() {
        let key = UpstreamKey::new("ro", "k-1").unwrap();
        for (text, name, value) in [
            ("x-api-key", "x-api-key", "k-1"),
            ("Authorization", "authorization", "Bearer k-1"),
            ("authorization: Token {key}", "authorization", "Token k-1"),
            (
                "x-mcp-notes-authorization: {key}",
                "x-mcp-notes-authorization",
                "k-1",
            ),
        ] {
            let header: KeyHeader = text.parse().unwrap();
            assert_eq!(header.name().as_str(), name);
            let injected = header.value(&key);
            assert_eq!(injected.to_str().unwrap(), value);
            assert!(injected.is_sensitive());
        }
        for (wrong, expected) in [
            ("", "the name is not that of a header"),
            ("sk-REALKEY x", "the name is not that of a header"),
            ("authorization: Bearer sk-REALKEY", NO_TEMPLATE),
            ("x: {key}{key}", NO_TEMPLATE),
            ("x: {key}\u{7f}", NO_TEMPLATE),
            (
                "Content-Length",
                "content-length belongs to the message, and can hold no key",
            ),
            (
                "host: {key}",
                "host belongs to the message, and can hold no key",
            ),
            (
                "mcp_session_id",
                "mcp_session_id belongs to the message, and can hold no key",
            ),
            (
                "Mcp-Param-Region",
                "mcp-param-region belongs to the message, and can hold no key",
            ),
        ] {
            let error = wrong.parse::<KeyHeader>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{wrong:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_of_a_key_in_a_template_is_left_in_memory() {
        use std::os::unix::fs::FileExt;

        let header: KeyHeader = "authorization".parse().unwrap();
        let key = UpstreamKey::new("ro", "S3CR3T-".repeat(600)).unwrap();
        let sent = header.value(&key);
        let copy = sent.as_bytes().as_ptr() as u64;
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let left = || {
            let mut bytes = vec![0; 2000];
            // Memory that was given back cannot be read.
            let _ = memory.read_exact_at(&mut bytes, copy + 1000);
            bytes.windows(7).filter(|it| *it == b"S3CR3T-").count()
        };
        assert!(left() > 0);
        drop(sent);
        assert_eq!(left(), 0);
    }
}
