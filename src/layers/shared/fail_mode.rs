//! What becomes of requests whose token cannot be checked for revocation.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::error::StoreError;

/// What happens while the store of revocations cannot answer. Each change is logged once, by all
/// that share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailMode {
    is_open: bool,
    is_down: Arc<AtomicBool>,
}

impl FailMode {
    pub(crate) const fn open(&mut self) {
        self.is_open = true;
    }

    /// Whether what could not be checked may pass.
    pub(crate) fn passes_unchecked(&self, error: &StoreError) -> bool {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                fails_open = self.is_open,
                "revocations cannot be checked"
            );
        }
        self.is_open
    }

    pub(crate) fn answered(&self) {
        // A load first: the line is shared by all threads and hardly ever changes.
        if self.is_down.load(Ordering::Relaxed) && self.is_down.swap(false, Ordering::Relaxed) {
            tracing::info!("revocations are checked again");
        }
    }
}
