//! Whether a token was revoked.

use http::StatusCode;

use super::layer::Config;
use crate::{
    audit::AuditRevocation,
    error::{Reason, StoreError},
    reject::Rejection,
    revocation::Revocation,
};

impl<V> Config<V> {
    /// Judges what the store said; the first word is for the audit log.
    #[inline]
    pub(crate) fn judge(
        &self,
        answer: Result<Revocation, StoreError>,
    ) -> (AuditRevocation, Result<(), Rejection>) {
        match answer {
            Ok(Revocation::Active) => {
                self.fail_mode.answered();
                (AuditRevocation::Active, Ok(()))
            }
            Ok(Revocation::Revoked) => {
                self.fail_mode.answered();
                (AuditRevocation::Revoked, Err(self.revoked()))
            }
            Err(error) => {
                let judged = if self.fail_mode.passes_unchecked(&error) {
                    Ok(())
                } else {
                    Err(Rejection::store_unavailable())
                };
                (AuditRevocation::Unchecked, judged)
            }
        }
    }

    fn revoked(&self) -> Rejection {
        let message = "The access token was revoked";
        Rejection::new(Reason::Revoked, StatusCode::UNAUTHORIZED, message)
            .with_challenge(&self.common.challenger.invalid_token(message))
    }
}
