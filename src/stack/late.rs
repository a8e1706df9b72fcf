//! A body that was late: it may come a minute after the token was found good.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http_body::Body;

use super::{
    enter::{Entering, Gate, Stop, judged},
    stores::{GatesOf, Stores},
};
use crate::{
    error::StoreError,
    revocation::{Revocation, RevocationStore},
};

/// How old the word that a token is good may be.
const LATE: Duration = Duration::from_secs(1);

impl<B, A> Entering<B, A>
where
    B: Body<Data = Bytes> + Unpin,
    A: Stores,
{
    /// The body is there. After a while the token is asked about again: else whoever holds a request
    /// back could send it when the token has expired or was revoked.
    #[inline]
    pub(super) fn has_body<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        body: Bytes,
    ) -> Result<(), Stop<'g>> {
        if self.now.saturating_since(self.admitted) < LATE {
            self.read(gates, head, body)
        } else {
            self.has_late_body(gates, head, body)
        }
    }

    #[cold]
    fn has_late_body<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        body: Bytes,
    ) -> Result<(), Stop<'g>> {
        let tokens = &gates.tokens;
        if let Some(token) = &self.leaving.recorder.facts.token {
            judged(tokens.common(), tokens.check_again(token, self.now))?;
            if let Some(config) = &gates.revocation {
                self.gate = Gate::Again(Box::new((config.store.status(token), body)));
                return Ok(());
            }
        }
        self.read(gates, head, body)
    }

    /// The store has said again whether the token was revoked.
    pub(super) fn checked_again<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        answer: Result<Revocation, StoreError>,
        body: Bytes,
    ) -> Result<(), Stop<'g>> {
        self.is_active(gates, answer)?;
        self.read(gates, head, body)
    }

    /// The store has said whether the token was revoked.
    #[inline]
    pub(super) fn is_active<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        answer: Result<Revocation, StoreError>,
    ) -> Result<(), Stop<'g>> {
        if let Some(config) = &gates.revocation {
            let (outcome, answer) = config.judge(answer);
            self.leaving.recorder.facts.revocation = Some(outcome);
            judged(&config.common, answer)?;
        }
        Ok(())
    }
}
