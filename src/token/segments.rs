//! The compact form of a token, taken apart.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::error::Reason;

/// The three segments of the compact form (RFC 7515 section 7.1), not yet decoded.
pub(super) struct Segments<'a> {
    header: &'a [u8],
    claims: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Segments<'a> {
    pub(super) fn of(token: &'a [u8]) -> Option<Self> {
        // As text, for that is searched word by word.
        let mut segments = str::from_utf8(token).ok()?.split('.').map(str::as_bytes);
        let (header, claims, signature) = (segments.next()?, segments.next()?, segments.next()?);
        let is_whole = segments.next().is_none();
        is_whole.then_some(Self {
            header,
            claims,
            signature,
        })
    }

    /// The header, decoded into `buffer`.
    pub(super) fn header<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b str, Reason> {
        decoded_text(self.header, buffer)
    }

    /// The claims, decoded into `buffer`.
    pub(super) fn claims<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b str, Reason> {
        decoded_text(self.claims, buffer)
    }

    pub(super) fn signature(&self) -> Result<Vec<u8>, Reason> {
        let mut signature = Vec::new();
        decode(self.signature, &mut signature)?;
        Ok(signature)
    }

    /// What the signature is over: the token up to its second dot.
    pub(super) fn signed(&self, token: &'a [u8]) -> &'a [u8] {
        let length = self.header.len() + 1 + self.claims.len();
        token.get(..length).unwrap_or_default()
    }
}

/// Base64url without padding, and with no bit that another text would share (RFC 7515 section 2).
/// No segment is empty.
fn decode(segment: &[u8], buffer: &mut Vec<u8>) -> Result<(), Reason> {
    buffer.clear();
    match URL_SAFE_NO_PAD.decode_vec(segment, buffer) {
        Ok(()) if !buffer.is_empty() => Ok(()),
        _ => Err(Reason::InvalidToken),
    }
}

fn decoded_text<'b>(segment: &[u8], buffer: &'b mut Vec<u8>) -> Result<&'b str, Reason> {
    decode(segment, buffer)?;
    str::from_utf8(buffer).map_err(|_| Reason::InvalidToken)
}
