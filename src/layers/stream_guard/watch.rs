//! Waits until a stream must end.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use super::layer::Config;
use crate::{
    audit::AuditRevocation,
    error::{Reason, StoreError},
    revocation::{Revocation, RevocationStore},
    token::VerifiedToken,
};

/// How often the store is asked, and how long it may take: together less than the 5 s in which a
/// revocation ends a stream.
const ASK_EVERY: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Why a stream must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) reason: Reason,
    pub(super) revocation: Option<AuditRevocation>,
}

/// Completes when the stream must end. Nothing is waited or asked for before the first poll.
pub(super) async fn watch<V: RevocationStore>(
    config: Arc<Config<V>>,
    token: VerifiedToken,
) -> Verdict {
    let until = token.expires_at().saturating_add(config.leeway);
    let mut revocation = None;
    loop {
        let asked = Instant::now();
        let left = until.saturating_since(config.common.now());
        if left.is_zero() {
            return Verdict {
                reason: Reason::Expired,
                revocation,
            };
        }
        if let Some(store) = &config.store {
            let limit = ANSWER_WITHIN.min(left);
            let answer = timeout(limit, store.status(&token)).await;
            match answer.unwrap_or_else(|_| Err(StoreError::new("no answer in time"))) {
                Ok(Revocation::Active) => {
                    config.fail_mode.answered();
                    revocation = Some(AuditRevocation::Active);
                }
                Ok(Revocation::Revoked) => {
                    config.fail_mode.answered();
                    return Verdict {
                        reason: Reason::Revoked,
                        revocation: Some(AuditRevocation::Revoked),
                    };
                }
                // The time was up before the store could answer.
                Err(_) if limit == left => {}
                Err(error) => {
                    revocation = Some(AuditRevocation::Unchecked);
                    if !config.fail_mode.passes_unchecked(&error) {
                        return Verdict {
                            reason: Reason::StoreUnavailable,
                            revocation,
                        };
                    }
                }
            }
        }
        sleep_until(asked + ASK_EVERY.min(left)).await;
    }
}
