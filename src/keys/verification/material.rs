//! The numbers that make a public key, and what they must satisfy.

use super::Algorithm;

/// RSA moduli in bits (RFC 8725 section 3.5; the upper end bounds the work of a check).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The largest RSA exponent that all backends take.
const MAX_RSA_EXPONENT: u64 = (1 << 33) - 1;

/// The points of small order on Ed25519, sign bit cleared, with the encodings that are not
/// canonical: such a key verifies signatures that nobody made.
const ED25519_SMALL_ORDER: [[u8; 32]; 7] = [
    small(0x00, 0x00, 0x00),
    small(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    small(0xec, 0xff, 0x7f),
    small(0xed, 0xff, 0x7f),
    small(0xee, 0xff, 0x7f),
];

const fn small(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut point = [middle; 32];
    point[0] = first;
    point[31] = last;
    point
}

/// A public key's own numbers, checked as far as that needs no curve arithmetic.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Material {
    /// Big-endian, without leading zeros.
    Rsa {
        n: Box<[u8]>,
        e: Box<[u8]>,
    },
    /// The uncompressed point: 4, x, y.
    P256(Box<[u8; 65]>),
    /// The uncompressed point: 4, x, y.
    P384(Box<[u8; 97]>),
    Ed25519([u8; 32]),
}

impl Material {
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, &'static str> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        if !RSA_BITS.contains(&bit_length(n)) {
            return Err("an RSA modulus has 2048 to 8192 bits");
        }
        if n.last().is_none_or(|byte| byte % 2 == 0) {
            return Err("an RSA modulus is odd");
        }
        let exponent = e
            .iter()
            .try_fold(0_u64, |sum, byte| {
                Some(sum.checked_mul(256)? | u64::from(*byte))
            })
            .filter(|exponent| {
                (3..=MAX_RSA_EXPONENT).contains(exponent) && !exponent.is_multiple_of(2)
            });
        if exponent.is_none() {
            return Err("an RSA exponent is odd and from 3 to 2^33 - 1");
        }
        Ok(Self::Rsa {
            n: n.into(),
            e: e.into(),
        })
    }

    /// From the uncompressed point of SEC 1.
    pub(super) fn p256(point: &[u8]) -> Result<Self, &'static str> {
        uncompressed(point).map(Self::P256)
    }

    /// From the uncompressed point of SEC 1.
    pub(super) fn p384(point: &[u8]) -> Result<Self, &'static str> {
        uncompressed(point).map(Self::P384)
    }

    pub(super) fn ed25519(x: &[u8]) -> Result<Self, &'static str> {
        let x: [u8; 32] = x.try_into().map_err(|_| "an Ed25519 key has 32 bytes")?;
        let mut unsigned = x;
        unsigned[31] &= 0x7f;
        if ED25519_SMALL_ORDER.contains(&unsigned) {
            return Err("an Ed25519 key is not of small order");
        }
        Ok(Self::Ed25519(x))
    }

    /// The algorithms that a key of this kind can verify.
    pub(super) const fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa { .. } => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            Self::P256(_) => &[Algorithm::ES256],
            Self::P384(_) => &[Algorithm::ES384],
            Self::Ed25519(_) => &[Algorithm::EdDSA],
        }
    }

    /// How many bytes a signature has: for ES256 and ES384 the two numbers side by side
    /// (RFC 7518 section 3.4), never the DER form.
    pub(super) fn signature_length(&self) -> usize {
        match self {
            Self::Rsa { n, .. } => n.len(),
            Self::P256(_) | Self::Ed25519(_) => 64,
            Self::P384(_) => 96,
        }
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Of a number without leading zeros.
fn bit_length(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    (number.len() * 8).saturating_sub(unused as usize)
}

fn uncompressed<const N: usize>(point: &[u8]) -> Result<Box<[u8; N]>, &'static str> {
    if point.first() != Some(&4) {
        return Err("a point is given uncompressed");
    }
    <[u8; N]>::try_from(point)
        .map(Box::new)
        .map_err(|_| "the coordinates of a point have the size of its curve")
}
