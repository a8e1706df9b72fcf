//! How many streams each principal has open.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::token::Principal;

/// The streams that are open now. It holds no principal that has none.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenStreams(Arc<Mutex<HashMap<Principal, usize>>>);

impl OpenStreams {
    /// One more, if the principal has less than `most`.
    pub(super) fn open(&self, principal: &Principal, most: usize) -> Option<OpenStream> {
        let mut counts = self.lock();
        let count = counts.get(principal).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        counts.insert(principal.clone(), count.saturating_add(1));
        Some(OpenStream {
            all: self.clone(),
            principal: principal.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Principal, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that is open until this is dropped.
#[derive(Debug)]
pub(super) struct OpenStream {
    all: OpenStreams,
    principal: Principal,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut counts = self.all.lock();
        match counts.get_mut(&self.principal) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                counts.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_has_so_many_and_leaves_nothing_behind() {
        let streams = OpenStreams::default();
        let principal = |name: &str| Principal::new("https://i".into(), name.into(), None);
        let (alice, bob) = (principal("alice"), principal("bob"));
        let first = streams.open(&alice, 2);
        let second = streams.open(&alice, 2);
        assert!(first.is_some() && second.is_some());
        assert!(streams.open(&alice, 2).is_none());
        assert!(streams.open(&bob, 2).is_some());
        drop(first);
        assert!(streams.open(&alice, 2).is_some());
        drop(second);
        assert!(streams.lock().is_empty());
        assert!(streams.open(&bob, 0).is_none());
    }
}
