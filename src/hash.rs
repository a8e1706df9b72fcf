//! A keyed 128-bit hash: what stands for a key in the tables in memory.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    ops::BitXor,
    sync::LazyLock,
};

/// The random key of this process: one for each half.
static KEY: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);

/// A value hashed to 128 bits under a random key of this process: twice SipHash-1-3, each with a key
/// of its own.
///
/// Nobody outside can aim for a collision. By chance two of a million entries share a hash once
/// in 10^26 processes, so a table may keep the hash and forget the key.
///
/// In two words: eight bytes less an entry in a table than an aligned `u128`.
//
// The key is the process's and no table's, so that a token or a principal is hashed once, and not at
// each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash128 {
    low: u64,
    high: u64,
}

impl Hash128 {
    pub(crate) fn of(value: &impl Hash) -> Self {
        let [low, high] = &*KEY;
        Self {
            low: low.hash_one(value),
            high: high.hash_one(value),
        }
    }

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

/// The hash of several parts together. Each is to be hashed with its role, so that no two stand for
/// the same: then it is tabulation hashing, in which a pair of keys is as unlikely to meet as in the
/// hashes of the parts.
impl BitXor for Hash128 {
    type Output = Self;

    fn bitxor(self, other: Self) -> Self {
        Self {
            low: self.low ^ other.low,
            high: self.high ^ other.high,
        }
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
    fn parts_are_told_apart_and_halves_differ() {
        assert_eq!(Hash128::of(&("a", "b")), Hash128::of(&("a", "b")));
        assert_ne!(Hash128::of(&("a|b", "c")), Hash128::of(&("a", "b|c")));
        assert_ne!(Hash128::of(&("ab", "")), Hash128::of(&("a", "b")));
        let hash = Hash128::of(&"a");
        assert_ne!(hash.low, hash.high);
        assert_eq!((hash ^ Hash128::of(&"b")) ^ Hash128::of(&"b"), hash);
    }
}
