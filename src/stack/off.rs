//! A part that is left out.

use crate::{
    clock::UnixTime,
    error::StoreError,
    keys::{KeyStore, UpstreamKey, UpstreamKeyId},
    rate::{Quota, RateKey, RateLimitStore, Verdict},
    revocation::{Revocation, RevocationStore},
    token::VerifiedToken,
};

/// A part of [`AuthStack`](crate::AuthStack) that is left out, for those who write its type down. It has no value, so
/// that nobody can put a store that never answers into a layer.
///
/// ```
/// use mcp_auth::{AuthStack, MemoryRateLimitStore, Off, StaticJwks};
///
/// struct Gateway {
///     // No revocation, a limit, no upstream keys.
///     auth: AuthStack<StaticJwks, Off, MemoryRateLimitStore>,
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums)]
pub enum Off {}

/// The answer of a store that cannot exist.
type Never<T> = std::future::Ready<Result<T, StoreError>>;

impl RevocationStore for Off {
    type Future = Never<Revocation>;

    fn status(&self, _: &VerifiedToken) -> Self::Future {
        match *self {}
    }
}

impl RateLimitStore for Off {
    type Future = Never<Verdict>;

    fn take(&self, _: &RateKey, _: &Quota, _: std::num::NonZeroU32, _: UnixTime) -> Self::Future {
        match *self {}
    }
}

impl KeyStore<UpstreamKeyId> for Off {
    type Key = UpstreamKey;
    type Future = Never<Option<UpstreamKey>>;

    fn key(&self, _: &UpstreamKeyId) -> Self::Future {
        match *self {}
    }
}
