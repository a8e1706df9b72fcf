//! The set of keys in force: what a known key is answered from, without a lock.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::{
    clock::UnixTime,
    keys::{VerificationKey, VerificationKeyId, verification::KeySet},
};

/// `None` until the first set came.
#[derive(Debug, Default)]
pub(super) struct InForce(ArcSwapOption<Bounded>);

#[derive(Debug)]
struct Bounded {
    keys: KeySet,
    until: UnixTime,
}

impl InForce {
    /// Whether there is a set, and it is not too old.
    pub(super) fn is_ready(&self, now: UnixTime) -> bool {
        let set = self.0.load();
        set.as_ref().is_some_and(|set| now < set.until)
    }

    /// The key, where it is known and not too old.
    pub(super) fn known(&self, id: &VerificationKeyId, now: UnixTime) -> Option<VerificationKey> {
        let set = self.0.load();
        let set = set.as_ref()?;
        let key = set.find(id)?;
        (now < set.until).then(|| key.clone())
    }

    /// The key, where the newest set holds it, however old that is.
    pub(super) fn find(&self, id: &VerificationKeyId) -> Option<VerificationKey> {
        let set = self.0.load();
        set.as_ref().and_then(|set| set.find(id)).cloned()
    }

    /// Puts a new set in force, whole. A key that stays is the same object as before, so that its
    /// end moves on for the tokens that were verified with it, or comes at once when it goes.
    pub(super) fn swap(&self, new: &KeySet, until: UnixTime) {
        let old = self.0.load_full();
        let old_keys = || old.iter().flat_map(|set| set.keys.keys());
        // Of two keys that are the same, the first is taken.
        let staying = old_keys().filter(|key| new.holds(key));
        let merged = KeySet::from_keys(staying.chain(new.keys()).cloned());
        let keys = merged.unwrap_or_else(|_| new.clone());
        for key in keys.keys() {
            key.set_in_force_until(until);
        }
        let gone: Vec<_> = old_keys().filter(|key| !keys.holds(key)).cloned().collect();
        self.0.store(Some(Arc::new(Bounded { keys, until })));
        for key in gone {
            key.set_in_force_until(UnixTime::EPOCH);
        }
    }
}

impl Bounded {
    fn find(&self, id: &VerificationKeyId) -> Option<&VerificationKey> {
        self.keys.find(id.kid(), id.algorithm())
    }
}
