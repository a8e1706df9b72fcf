//! The stores of a stack, as one.

use super::gates::Gates;
use crate::{
    keys::{KeyStore, UpstreamKey, UpstreamKeyId, VerificationKey, VerificationKeyId},
    rate::RateLimitStore,
    revocation::RevocationStore,
    session::SessionStore,
};

/// The stores of a stack: where its verification keys, revocations, limits, upstream keys and sessions
/// are. The five of them are one.
pub trait Stores {
    /// Of the verification keys.
    type Keys: KeyStore<VerificationKeyId, Key = VerificationKey>;
    /// Of the revocations.
    type Revocations: RevocationStore;
    /// Of the limits.
    type Limits: RateLimitStore;
    /// Of the upstream keys.
    type UpstreamKeys: KeyStore<UpstreamKeyId, Key = UpstreamKey>;
    /// Of the sessions.
    type Sessions: SessionStore;
}

impl<K, V, L, U, T> Stores for (K, V, L, U, T)
where
    K: KeyStore<VerificationKeyId, Key = VerificationKey>,
    V: RevocationStore,
    L: RateLimitStore,
    U: KeyStore<UpstreamKeyId, Key = UpstreamKey>,
    T: SessionStore,
{
    type Keys = K;
    type Revocations = V;
    type Limits = L;
    type UpstreamKeys = U;
    type Sessions = T;
}

/// The gates of a stack with these stores.
pub(super) type GatesOf<A> = Gates<
    <A as Stores>::Keys,
    <A as Stores>::Revocations,
    <A as Stores>::Limits,
    <A as Stores>::UpstreamKeys,
    <A as Stores>::Sessions,
>;
