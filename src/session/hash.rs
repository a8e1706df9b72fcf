//! What stands for a session id.

use std::fmt;

use sha2::{Digest, Sha256};

/// The longest session id. An id may be a signed token, and still fits.
const LONGEST: usize = 4096;

/// Stands for a session: the SHA-256 of its id. Whoever reads a store can open no session with it.
///
/// It is shown as 64 hexadecimal digits, of which the audit event's `session` is the first eight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionHash([u8; 32]);

impl SessionHash {
    /// None is before it in order.
    pub(super) const LEAST: Self = Self([0; 32]);

    /// Of the text of `Mcp-Session-Id`. `None` for what is no session id: it has 1 to 4096
    /// characters, all of them visible ASCII (0x21 to 0x7E).
    ///
    /// ```
    /// use mcp_auth::SessionHash;
    ///
    /// let hash = SessionHash::of(b"1868a90c").unwrap();
    /// assert!(hash.to_string().starts_with("79a01e58"));
    /// assert_eq!(SessionHash::of(b"two words"), None);
    /// ```
    #[must_use]
    pub fn of(id: &[u8]) -> Option<Self> {
        let is_id = (1..=LONGEST).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
        is_id.then(|| Self(Sha256::digest(id).into()))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionHash({self})")
    }
}

pub(super) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_visible_ascii_and_of_bounded_length() {
        let longest = "a".repeat(LONGEST);
        for id in ["!", "~", "1868a90c-5f2b", &longest] {
            assert!(SessionHash::of(id.as_bytes()).is_some(), "{id}");
        }
        let too_long = "a".repeat(LONGEST + 1);
        for id in [
            "",
            " ",
            "a b",
            "a\t",
            "a\x7f",
            "a\x00",
            "caf\u{e9}",
            &too_long,
        ] {
            assert_eq!(SessionHash::of(id.as_bytes()), None, "{id:?}");
        }
    }

    #[test]
    fn it_is_the_sha_256_in_hexadecimal() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            SessionHash::of(b"abc").unwrap().to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_ne!(SessionHash::of(b"abc"), SessionHash::of(b"abC"));
    }
}
