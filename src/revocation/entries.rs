//! The table of what was revoked.

use std::{
    collections::HashMap,
    hash::BuildHasherDefault,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    clock::UnixTime,
    hash::{AsItIs, Hash128},
    token::{Name, VerifiedToken},
};

/// Enough that a shard of a million entries is rebuilt in half a millisecond.
const SHARDS: usize = 64;

/// A shard that holds fewer entries is not swept.
const FEW: usize = 16;

/// Unix seconds up to the year 2106. The last one stands for all that come after it.
type Seconds = u32;

fn seconds(instant: UnixTime) -> Seconds {
    Seconds::try_from(instant.as_secs()).unwrap_or(Seconds::MAX)
}

#[derive(Clone, Copy)]
struct Entry {
    /// Tokens with an `iat` up to this second are revoked.
    issued_up_to: Seconds,
    /// In force up to and including this second.
    until: Seconds,
}

impl Entry {
    const fn is_in_force(self, now: UnixTime) -> bool {
        self.until == Seconds::MAX || now.as_secs() <= self.until as u64
    }

    fn names(self, issued_at: Option<UnixTime>) -> bool {
        self.issued_up_to == Seconds::MAX
            || issued_at.is_none_or(|at| at.as_secs() <= u64::from(self.issued_up_to))
    }
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Hash128, Entry, BuildHasherDefault<AsItIs>>,
    /// How many entries there may be before those whose time is over are looked for: twice as many
    /// as were left the last time, so that the pass costs each added entry a constant amount.
    sweep_at: usize,
}

pub(super) struct Entries {
    shards: Box<[RwLock<Shard>]>,
    /// Another number after each entry, that no other table has ever had: a token that was found in
    /// none of them under this number is in none of them still.
    version: AtomicU64,
}

fn next_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Entries {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            version: AtomicU64::new(next_version()),
        }
    }

    pub(super) fn add(
        &self,
        name: Name,
        iss: &str,
        id: &str,
        issued_up_to: UnixTime,
        until: UnixTime,
        now: UnixTime,
    ) {
        let key = name.hash(iss, id);
        let Some(shard) = self.shard(key) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.entries.len() >= shard.sweep_at.max(FEW) {
            shard.entries.retain(|_, entry| entry.is_in_force(now));
            shard.entries.shrink_to_fit();
            shard.sweep_at = shard.entries.len() * 2;
        }
        let entry = shard.entries.entry(key).or_insert(Entry {
            issued_up_to: 0,
            until: 0,
        });
        entry.issued_up_to = entry.issued_up_to.max(seconds(issued_up_to));
        entry.until = entry.until.max(seconds(until));
        drop(shard);
        self.version.store(next_version(), Ordering::Release);
    }

    /// Whether one of them names the token. The time is asked for only where it matters.
    pub(super) fn hold(&self, token: &VerifiedToken, now: impl Fn() -> UnixTime) -> bool {
        let version = self.version.load(Ordering::Acquire);
        if token.is_named_by_none_of(version) {
            return false;
        }
        let mut is_named = false;
        for key in token.names().iter().flatten() {
            let entry = self.shard(key).and_then(|shard| {
                let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
                shard.entries.get(&key).copied()
            });
            if let Some(entry) = entry.filter(|entry| entry.names(token.issued_at())) {
                is_named = true;
                if entry.is_in_force(now()) {
                    return true;
                }
            }
        }
        if !is_named {
            token.set_named_by_none_of(version);
        }
        false
    }

    fn shard(&self, key: Hash128) -> Option<&RwLock<Shard>> {
        self.shards.get(key.pick(self.shards.len()))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.read().map_or(0, |shard| shard.entries.len()))
            .sum()
    }
}
