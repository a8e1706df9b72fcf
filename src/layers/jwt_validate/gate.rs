//! Who is calling.

use std::{task::Poll, time::Duration};

use bytes::Bytes;
use http::{StatusCode, Uri};

use super::{
    bearer::{self, Bearer},
    layer::Config,
    refusals::Refusals,
};
use crate::{
    clock::UnixTime,
    error::{Reason, StoreError, in_full},
    keys::{KeyStore, VerificationKey, VerificationKeyId},
    layers::shared::{Common, Field, at_once},
    reject::Rejection,
    token::{TokenError, UnverifiedToken, VerifiedToken},
};

/// Checks the token of a request.
#[derive(Debug)]
pub(crate) struct Gate<K> {
    config: Config<K>,
    refusals: Refusals,
}

/// What is known of a token at once.
pub(crate) enum Checked<Q> {
    Verified(VerifiedToken),
    /// Its key is not there yet.
    Waits(Q, Box<Waiting>),
}

/// A token that waits for its key.
pub(crate) struct Waiting {
    unverified: UnverifiedToken,
    /// When it came in, which is what its times are held against.
    now: UnixTime,
}

impl Waiting {
    pub(super) const fn new(unverified: UnverifiedToken, now: UnixTime) -> Self {
        Self { unverified, now }
    }
}

impl<K> Gate<K> {
    pub(crate) fn new(config: Config<K>) -> Self {
        let refusals = Refusals::new(&config.common.challenger);
        Self { config, refusals }
    }

    #[inline]
    pub(crate) const fn common(&self) -> &Common {
        &self.config.common
    }

    /// Checks the token of the field `Authorization`. A key that is there at once is used at once.
    #[inline]
    pub(crate) fn check(
        &self,
        authorization: Field<'_>,
        uri: &Uri,
        now: UnixTime,
    ) -> Result<Checked<K::Future>, Rejection>
    where
        K: KeyStore<VerificationKeyId, Key = VerificationKey>,
    {
        let token = match bearer::find(authorization, uri) {
            Bearer::Token(token) => token,
            Bearer::None => return Err(self.refusals.no_token()),
            Bearer::Malformed(why) => return Err(self.refusals.malformed(why)),
        };
        match self.config.cache.get(token, now) {
            Some(verified) => Ok(Checked::Verified(verified)),
            None => self.check_new(token, now),
        }
    }

    /// The same for a token that was not verified before.
    fn check_new(&self, token: &[u8], now: UnixTime) -> Result<Checked<K::Future>, Rejection>
    where
        K: KeyStore<VerificationKeyId, Key = VerificationKey>,
    {
        let mut buffer = Vec::new();
        let read = self.config.validator.read(token, &mut buffer, now);
        // What is no token may be several.
        let read = read.map_err(|error| match bearer::one(token) {
            Ok(()) => self.refusals.invalid(error),
            Err(why) => self.refusals.malformed(why),
        })?;
        let mut question = self.config.keys.key(read.key_id());
        let Poll::Ready(answer) = at_once(&mut question) else {
            let unverified = read.into_unverified(Bytes::copy_from_slice(token));
            let waiting = Box::new(Waiting::new(unverified, now));
            return Ok(Checked::Waits(question, waiting));
        };
        // Nothing is copied before the signature is known to be good.
        let verified = self.verified(answer, token, now, |key| read.verify(key))?;
        Ok(Checked::Verified(verified))
    }

    /// Verifies a token that waited, with the key that was answered. It may have expired meanwhile.
    pub(crate) fn check_waiting(
        &self,
        waiting: &Waiting,
        answer: Result<Option<VerificationKey>, StoreError>,
    ) -> Result<VerifiedToken, Rejection> {
        let Waiting { unverified, now } = waiting;
        let verified = self.verified(answer, unverified.token(), *now, |key| {
            unverified.verify(key)
        })?;
        self.check_again(&verified, self.common().now())?;
        Ok(verified)
    }

    /// Whether a token that was good when it came in is good still.
    pub(crate) fn check_again(
        &self,
        token: &VerifiedToken,
        now: UnixTime,
    ) -> Result<(), Rejection> {
        if now >= self.config.validator.refused_from(token) {
            return Err(self.refusals.invalid(TokenError::new(Reason::Expired)));
        }
        Ok(())
    }

    /// Verifies `token` with the key that was answered, and remembers it.
    fn verified(
        &self,
        answer: Result<Option<VerificationKey>, StoreError>,
        token: &[u8],
        now: UnixTime,
        verify: impl FnOnce(&VerificationKey) -> Result<VerifiedToken, TokenError>,
    ) -> Result<VerifiedToken, Rejection> {
        let Self { config, refusals } = self;
        let key = match answer {
            Ok(Some(key)) => key,
            Ok(None) => return Err(refusals.invalid(TokenError::new(Reason::UnknownKey))),
            Err(error) => {
                tracing::debug!(error = in_full(&error), "no verification keys");
                return Err(Rejection::new(
                    Reason::KeysUnavailable,
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Temporarily unavailable",
                )
                .with_retry_after(Duration::from_secs(1)));
            }
        };
        let verified = verify(&key).map_err(|error| refusals.invalid(error))?;
        let refused_from = config.validator.refused_from(&verified);
        config
            .cache
            .insert(token, verified.clone(), key, now, refused_from);
        Ok(verified)
    }
}
