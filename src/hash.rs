//! A keyed 128-bit hash: what stands for a key in the tables in memory.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};

/// Hashes to 128 bits under a random key of this process: twice SipHash-1-3, each with a key of its
/// own.
///
/// Nobody outside can aim for a collision. By chance two of a million entries share a hash once
/// in 10^26 processes, so a table may keep the hash and forget the key.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyedHash {
    low: RandomState,
    high: RandomState,
}

impl KeyedHash {
    pub(crate) fn of(&self, value: &impl Hash) -> Hash128 {
        self.begin(value).finish()
    }

    /// Begins with what several keys have in common.
    pub(crate) fn begin(&self, value: &impl Hash) -> Begun {
        let begun = Begun {
            low: self.low.build_hasher(),
            high: self.high.build_hasher(),
        };
        begun.and(value)
    }
}

/// A hash of a first part, to go on from.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    low: DefaultHasher,
    high: DefaultHasher,
}

impl Begun {
    pub(crate) fn and(mut self, value: &impl Hash) -> Self {
        value.hash(&mut self.low);
        value.hash(&mut self.high);
        self
    }

    pub(crate) fn finish(&self) -> Hash128 {
        Hash128 {
            low: self.low.finish(),
            high: self.high.finish(),
        }
    }
}

/// 128 bits in two words: eight bytes less an entry in a table than an aligned `u128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash128 {
    low: u64,
    high: u64,
}

impl Hash128 {
    /// Half of the bits.
    pub(crate) const fn low(self) -> u64 {
        self.low
    }

    /// Picks one of `of`: by other bits than a table picks its bucket by.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) const fn pick(self, of: usize) -> usize {
        (self.high >> 32) as usize % of
    }
}

impl Hash for Hash128 {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

/// Hashes a [`Hash128`] by taking it as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_and_keys_differ() {
        let (one, other) = (KeyedHash::default(), KeyedHash::default());
        assert_eq!(one.of(&("a", "b")), one.of(&("a", "b")));
        assert_ne!(one.of(&("a|b", "c")), one.of(&("a", "b|c")));
        assert_ne!(one.of(&("ab", "")), one.of(&("a", "b")));
        assert_ne!(one.of(&"a"), other.of(&"a"));
        assert_eq!(one.begin(&"a").and(&"b").finish(), one.of(&("a", "b")));
        let hash = one.of(&"a");
        assert_ne!(hash.low, hash.high);
    }
}
