//! What is to be logged of an outage, so that it does not fill the log.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How long the same is not said again.
const SPAN: Duration = Duration::from_secs(10);

/// When something was said last. Clones share it.
///
/// What fails does so for every request, and what is half well is down and up again with each: a
/// line for each of them would hide all others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seldom(Arc<Mutex<Option<Instant>>>);

impl Seldom {
    /// Whether it is to be said now, which it then counts as.
    pub(crate) fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = said.is_none_or(|said| now.saturating_duration_since(said) >= SPAN);
        if is_due {
            *said = Some(now);
        }
        is_due
    }
}

/// Whether it was said that something fails. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outage {
    is_told: Arc<AtomicBool>,
    seldom: Seldom,
}

impl Outage {
    /// It has failed: whether that is to be said.
    pub(crate) fn begins(&self) -> bool {
        !self.is_told.load(Ordering::Relaxed)
            && self.seldom.is_due()
            && !self.is_told.swap(true, Ordering::Relaxed)
    }

    /// It has not failed: whether it is to be said that it is well again.
    #[inline]
    pub(crate) fn ends(&self) -> bool {
        // A load first: the line is shared by all threads and hardly ever changes.
        self.is_told.load(Ordering::Relaxed) && self.is_told.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_not_said_twice_in_ten_seconds() {
        let (one, other) = (Seldom::default(), Seldom::default());
        assert!(one.is_due());
        assert!(!one.clone().is_due());
        assert!(other.is_due());
        passed(&one);
        assert!(one.is_due());
        assert!(!one.is_due());
    }

    #[test]
    fn what_comes_and_goes_is_said_once_each_way() {
        let outage = Outage::default();
        assert!(!outage.ends());
        assert!(outage.begins());
        assert!(!outage.begins());
        assert!(outage.ends());
        for _ in 0..3 {
            assert!(!outage.begins());
            assert!(!outage.ends());
        }
        // It is still out when the time is over.
        passed(&outage.seldom);
        assert!(outage.begins());
        assert!(outage.ends());
    }

    /// As if so long had passed.
    fn passed(seldom: &Seldom) {
        *seldom.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now().checked_sub(SPAN);
    }
}
