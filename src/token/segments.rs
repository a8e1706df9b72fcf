//! The compact form of a token, taken apart.

use base64::Engine;

use crate::error::Reason;

/// Base64url without padding, and with no bit that another text would share (RFC 7515 section 2):
/// by vector code, which the crate has for these processors.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64URL: std::sync::LazyLock<base64::engine::Simd> = std::sync::LazyLock::new(|| {
    base64::engine::Simd::url_safe(base64::engine::general_purpose::NO_PAD)
});
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64URL: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;

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

/// No segment is empty.
fn decode(segment: &[u8], buffer: &mut Vec<u8>) -> Result<(), Reason> {
    buffer.clear();
    match BASE64URL.decode_vec(segment, buffer) {
        Ok(()) if !buffer.is_empty() => Ok(()),
        _ => Err(Reason::InvalidToken),
    }
}

fn decoded_text<'b>(segment: &[u8], buffer: &'b mut Vec<u8>) -> Result<&'b str, Reason> {
    decode(segment, buffer)?;
    str::from_utf8(buffer).map_err(|_| Reason::InvalidToken)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn every_byte_that_is_not_base64url_is_refused_wherever_it_stands() {
        for length in [2, 3, 4, 63, 64, 65, 66, 97, 200] {
            let good = URL_SAFE_NO_PAD.encode(vec![0xa7; length]);
            for position in 0..good.len() {
                for byte in 0..=u8::MAX {
                    let mut segment = good.clone().into_bytes();
                    segment.splice(position..=position, [byte]);
                    let mut buffer = Vec::new();
                    let decoded = decode(&segment, &mut buffer).map(|()| buffer);
                    let one_by_one = URL_SAFE_NO_PAD.decode(&segment);
                    assert_eq!(decoded.ok(), one_by_one.ok(), "{position} {byte}");
                }
            }
        }
        for wrong in ["", "A", "AB", "AA==", "AA=", "A A", "+/+/", "AAAA\n"] {
            assert!(
                decode(wrong.as_bytes(), &mut Vec::new()).is_err(),
                "{wrong:?}"
            );
        }
    }
}
