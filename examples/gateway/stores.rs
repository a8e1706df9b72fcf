//! Where what must be remembered is: in memory, or, where several gateways share it, on Redis.

use std::num::NonZeroU32;

use futures_util::future::{BoxFuture, Either};
use mcp_auth::{
    MemoryRateLimitStore, MemoryRevocationStore, MemorySessionStore, Quota, RateKey,
    RateLimitStore, Revocation, RevocationStore, SessionHash, SessionOwner, SessionStore,
    StoreError, UnixTime, Verdict, VerifiedToken,
};
#[cfg(feature = "redis")]
use mcp_auth::{Redis, RedisRateLimitStore, RedisRevocationStore, RedisSessionStore};

use crate::args::{Fault, RedisArgs};

/// The three stores.
#[derive(Clone, Debug)]
pub(crate) struct Stores {
    pub(crate) revocations: Revocations,
    pub(crate) counts: Counts,
    sessions: Option<Sessions>,
}

impl Stores {
    /// Of one gateway.
    pub(crate) fn in_memory(revocations: MemoryRevocationStore) -> Self {
        Self {
            revocations: Revocations::Memory(revocations),
            counts: Counts::Memory(MemoryRateLimitStore::new()),
            sessions: None,
        }
    }

    /// Of all gateways on one Redis. Begins to connect.
    #[cfg(feature = "redis")]
    pub(crate) fn on_redis(args: &RedisArgs) -> Result<Self, Fault> {
        let redis = connection(args)?;
        redis.start();
        Ok(Self {
            revocations: Revocations::Redis(RedisRevocationStore::new(redis.clone())),
            counts: Counts::Redis(RedisRateLimitStore::new(redis.clone())),
            sessions: Some(Sessions::Redis(RedisSessionStore::new(redis))),
        })
    }

    #[cfg(not(feature = "redis"))]
    pub(crate) fn on_redis(_: &RedisArgs) -> Result<Self, Fault> {
        Err(needs_redis())
    }

    /// The sessions of one server. In memory each server has its own.
    pub(crate) fn sessions(&self) -> Sessions {
        let own = || Sessions::Memory(MemorySessionStore::new());
        self.sessions.clone().unwrap_or_else(own)
    }
}

#[cfg(feature = "redis")]
pub(crate) fn connection(args: &RedisArgs) -> Result<Redis, Fault> {
    Redis::from_url(args.url.expose()).map_err(|error| Fault::new("--redis-url", error))
}

#[cfg(not(feature = "redis"))]
pub(crate) fn needs_redis() -> Fault {
    Fault::new("--redis-url", "needs a gateway built with --features redis")
}

/// A store in memory answers at once; one on Redis says `BoxFuture`.
type Answer<M, T> = Either<M, BoxFuture<'static, Result<T, StoreError>>>;

#[derive(Clone, Debug)]
pub(crate) enum Revocations {
    Memory(MemoryRevocationStore),
    #[cfg(feature = "redis")]
    Redis(RedisRevocationStore),
}

impl RevocationStore for Revocations {
    type Future = Answer<<MemoryRevocationStore as RevocationStore>::Future, Revocation>;

    fn status(&self, token: &VerifiedToken) -> Self::Future {
        match self {
            Self::Memory(store) => Either::Left(store.status(token)),
            #[cfg(feature = "redis")]
            Self::Redis(store) => Either::Right(store.status(token)),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Counts {
    Memory(MemoryRateLimitStore),
    #[cfg(feature = "redis")]
    Redis(RedisRateLimitStore),
}

impl RateLimitStore for Counts {
    type Future = Answer<<MemoryRateLimitStore as RateLimitStore>::Future, Verdict>;

    fn take(&self, key: &RateKey, quota: &Quota, cost: NonZeroU32, now: UnixTime) -> Self::Future {
        match self {
            Self::Memory(store) => Either::Left(store.take(key, quota, cost, now)),
            #[cfg(feature = "redis")]
            Self::Redis(store) => Either::Right(store.take(key, quota, cost, now)),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Sessions {
    Memory(MemorySessionStore),
    #[cfg(feature = "redis")]
    Redis(RedisSessionStore),
}

impl SessionStore for Sessions {
    type Future = Answer<<MemorySessionStore as SessionStore>::Future, Option<SessionOwner>>;

    fn owner(&self, session: SessionHash, now: UnixTime) -> Self::Future {
        match self {
            Self::Memory(store) => Either::Left(store.owner(session, now)),
            #[cfg(feature = "redis")]
            Self::Redis(store) => Either::Right(store.owner(session, now)),
        }
    }

    fn bind(&self, session: SessionHash, owner: SessionOwner, now: UnixTime) -> Self::Future {
        match self {
            Self::Memory(store) => Either::Left(store.bind(session, owner, now)),
            #[cfg(feature = "redis")]
            Self::Redis(store) => Either::Right(store.bind(session, owner, now)),
        }
    }

    fn forget(&self, session: SessionHash) -> Self::Future {
        match self {
            Self::Memory(store) => Either::Left(store.forget(session)),
            #[cfg(feature = "redis")]
            Self::Redis(store) => Either::Right(store.forget(session)),
        }
    }
}
