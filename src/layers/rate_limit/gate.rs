//! Whether there is enough left of every count.

use std::{sync::Arc, time::Duration};

use http::StatusCode;

use super::{
    layer::Config,
    limit::Known,
    takes::{Several, Takes},
};
use crate::{
    audit::AuditRateLimit,
    clock::UnixTime,
    error::{Reason, StoreError},
    layers::shared::Common,
    mcp::McpRequest,
    rate::{RateLimitStore, Verdict},
    reject::{Rejection, code},
};

impl<L: RateLimitStore> Config<L> {
    /// Asks the store for what a request takes; `None` where it takes nothing.
    #[inline]
    pub(crate) fn takes(
        self: &Arc<Self>,
        known: &Known<'_>,
        now: UnixTime,
    ) -> Result<Option<Takes<L>>, Rejection> {
        let mut takes = Several::default();
        for limit in &self.limits {
            limit
                .takes(known, &mut takes)
                .map_err(|needs| self.common.layer_missing("RateLimitLayer", needs))?;
        }
        Ok(Takes::new(self, &mut takes, now))
    }
}

/// Judges what the counts said; the first word, if there is one, is for the audit log.
#[inline]
pub(crate) fn judge(
    answer: Result<Verdict, StoreError>,
    asked: Option<&McpRequest>,
    common: &Common,
) -> (Option<AuditRateLimit>, Result<(), Rejection>) {
    match answer {
        Ok(Verdict::Allowed { local, .. }) => {
            let outcome = if local {
                AuditRateLimit::Local
            } else {
                AuditRateLimit::Ok
            };
            (Some(outcome), Ok(()))
        }
        Ok(Verdict::Limited { retry_after, .. }) => (
            Some(AuditRateLimit::Limited),
            Err(limited(asked, retry_after)),
        ),
        Err(error) => {
            common.store_failed(&error, "a limit could not be counted");
            let unavailable = Rejection::store_unavailable().for_request(code::UNAVAILABLE, asked);
            (None, Err(unavailable))
        }
    }
}

fn limited(asked: Option<&McpRequest>, retry_after: Duration) -> Rejection {
    let opens_a_session = asked.is_some_and(|asked| {
        asked.messages().iter().any(|message| {
            matches!(
                message.operation().method(),
                "initialize" | "server/discover"
            )
        })
    });
    let (status, code) = if opens_a_session {
        (StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE)
    } else {
        (StatusCode::TOO_MANY_REQUESTS, code::LIMITED)
    };
    Rejection::new(Reason::RateLimited, status, "Too many requests")
        .with_retry_after(retry_after)
        .for_request(code, asked)
}
