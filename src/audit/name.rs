//! The name of a request in the log.

use serde::{Serialize, Serializer};

/// Two numbers as 32 hexadecimal digits, kept where they stand: every event has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestName([u8; 32]);

impl RequestName {
    pub(crate) fn new(process: u64, request: u64) -> Self {
        let mut name = [b'0'; 32];
        for (digits, number) in name.chunks_exact_mut(16).zip([process, request]) {
            for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
                for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
                    *digit = value + if value < 10 { b'0' } else { b'a' - 10 };
                }
            }
        }
        Self(name)
    }

    pub(crate) fn as_str(&self) -> &str {
        // Digits are always text.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for RequestName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_stand_in_hexadecimal_digits() {
        assert_eq!(
            RequestName::new(0xfedc_ba98_7654_3210, 10).as_str(),
            "fedcba9876543210000000000000000a"
        );
    }
}
