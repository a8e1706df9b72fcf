//! What becomes of requests whose token cannot be checked for revocation.

use crate::{
    error::{StoreError, in_full},
    outage::Outage,
};

/// What happens while the store of revocations cannot answer. Each change is logged once, by all
/// that share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailMode {
    is_open: bool,
    outage: Outage,
}

impl FailMode {
    pub(crate) const fn open(&mut self) {
        self.is_open = true;
    }

    /// Whether what could not be checked may pass.
    pub(crate) fn passes_unchecked(&self, error: &StoreError) -> bool {
        if self.outage.begins() {
            tracing::warn!(
                error = in_full(error),
                fails_open = self.is_open,
                "revocations cannot be checked"
            );
        }
        self.is_open
    }

    pub(crate) fn answered(&self) {
        if self.outage.ends() {
            tracing::info!("revocations are checked again");
        }
    }
}
