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
        let mut dots = memchr::memchr_iter(b'.', token);
        let (first, second) = (dots.next()?, dots.next()?);
        let is_whole = dots.next().is_none();
        is_whole.then_some(Self {
            header: token.get(..first)?,
            claims: token.get(first + 1..second)?,
            signature: token.get(second + 1..)?,
        })
    }

    /// The header as it stands there.
    pub(super) const fn header_text(&self) -> &'a [u8] {
        self.header
    }

    /// The header, decoded into `room`, which is as long as the token.
    pub(super) fn header<'b>(&self, room: &'b mut [u8]) -> Result<&'b str, Reason> {
        decoded_text(self.header, room)
    }

    /// Divides what is as long as the token into room for the claims and room for the signature.
    pub(super) fn rooms<'b>(&self, room: &'b mut [u8]) -> (&'b mut [u8], &'b mut [u8]) {
        // The decoder wants room for whole groups of three bytes: one more than the text, where the
        // text is of two letters.
        let for_claims = self.claims.len() + 1;
        room.split_at_mut_checked(for_claims).unwrap_or_default()
    }

    /// The claims, decoded into their room.
    pub(super) fn claims<'b>(&self, room: &'b mut [u8]) -> Result<&'b str, Reason> {
        decoded_text(self.claims, room)
    }

    /// The signature, decoded into its room.
    pub(super) fn signature<'b>(&self, room: &'b mut [u8]) -> Result<&'b [u8], Reason> {
        decode(self.signature, room)
    }

    /// What the signature is over: the token up to its second dot.
    pub(super) fn signed(&self, token: &'a [u8]) -> &'a [u8] {
        let length = self.header.len() + 1 + self.claims.len();
        token.get(..length).unwrap_or_default()
    }
}

/// No segment is empty.
fn decode<'b>(segment: &[u8], room: &'b mut [u8]) -> Result<&'b [u8], Reason> {
    let length = BASE64URL.decode_slice(segment, room);
    let decoded = length.ok().and_then(|length| room.get(..length));
    decoded
        .filter(|decoded| !decoded.is_empty())
        .ok_or(Reason::InvalidToken)
}

fn decoded_text<'b>(segment: &[u8], room: &'b mut [u8]) -> Result<&'b str, Reason> {
    str::from_utf8(decode(segment, room)?).map_err(|_| Reason::InvalidToken)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn every_byte_that_is_not_base64url_is_refused_wherever_it_stands() {
        for length in [1, 2, 3, 4, 63, 64, 65, 66, 97, 200] {
            let good = URL_SAFE_NO_PAD.encode(vec![0xa7; length]);
            for position in 0..good.len() {
                for byte in 0..=u8::MAX {
                    let mut segment = good.clone().into_bytes();
                    segment.splice(position..=position, [byte]);
                    let mut room = vec![0; segment.len() + 1];
                    let decoded = decode(&segment, &mut room).map(<[u8]>::to_vec);
                    let one_by_one = URL_SAFE_NO_PAD.decode(&segment);
                    assert_eq!(decoded.ok(), one_by_one.ok(), "{position} {byte}");
                }
            }
        }
        for wrong in ["", "A", "AB", "AA==", "AA=", "A A", "+/+/", "AAAA\n"] {
            assert!(decode(wrong.as_bytes(), &mut [0; 8]).is_err(), "{wrong:?}");
        }
    }
}
