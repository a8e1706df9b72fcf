//! Revocations that several instances share.

use std::{fmt, future::Future, pin::Pin, sync::LazyLock, time::Duration};

use redis::{RedisResult, Script};
use tokio::time::timeout;

use super::{client::Redis, keys, question::Question};
use crate::{
    clock::{Clock, SystemClock, UnixTime},
    error::StoreError,
    revocation::{Revocation, RevocationStore},
    token::VerifiedToken,
};

/// How long it may take to write a revocation, and how long of that a replica.
const WRITE: Duration = Duration::from_secs(5);
const REPLICA: Duration = Duration::from_secs(2);

/// What is said twice holds for the longer time, and up to the later instant. What `Answer::names`
/// takes for no instant is for ever, and stays: `tonumber` alone would take more for one.
///
/// `KEYS[1]`: the key. `ARGV`: the value, and the seconds that it is to hold, 0 for ever.
static REVOKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local value, old = ARGV[1], redis.call('GET', KEYS[1])
local up_to = old and string.match(old, '^[ \t\n\f\r]*(%d+)[ \t\n\f\r]*$')
if old and not (up_to and tonumber(up_to) < tonumber(value)) then value = old end
local ttl = redis.call('TTL', KEYS[1])
local holds = tonumber(ARGV[2])
if ttl == -1 or holds == 0 then
  redis.call('SET', KEYS[1], value)
else
  redis.call('SET', KEYS[1], value, 'EX', math.max(ttl, holds))
end",
    )
});

/// Revocations that several instances share, on [`Redis`].
///
/// Every check asks, in one round trip: what is revoked is refused from the next request on. An
/// operator can revoke with `redis-cli` as well as by these methods:
///
/// | key | value | revokes |
/// |---|---|---|
/// | `mcp-auth:revoked:jti:<iss>\|<jti>` | anything | one token |
/// | `mcp-auth:revoked:sid:<iss>\|<sid>` | anything | a session's tokens |
/// | `mcp-auth:revoked:client:<iss>\|<client_id>` | anything | a client's tokens |
/// | `mcp-auth:revoked:sub:<iss>\|<sub>` | unix seconds; anything else is for ever | a subject's tokens with an `iat` up to then |
///
/// Each has an expiry (`EX`) no earlier than the `exp` of the tokens plus the validator's leeway.
/// An id of more than 200 bytes is written as `sha256:<hex>`. To take a revocation back, `DEL` it.
///
/// Redis must not evict keys (`maxmemory-policy noeviction`), and must keep what it was told
/// (`appendonly yes`): a revocation that is lost is a token that is honoured again.
///
/// `until` is, as for [`MemoryRevocationStore`](crate::MemoryRevocationStore), when an entry may be
/// forgotten; [`UnixTime::MAX`] is never.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use mcp_auth::{Clock, Redis, RedisRevocationStore, SystemClock};
///
/// let store = RedisRevocationStore::new(Redis::from_url("redis://127.0.0.1")?);
/// let now = SystemClock::default().now();
/// let in_an_hour = now.saturating_add(Duration::from_secs(3600));
/// store.revoke_subject("https://idp.example.com", "alice", now, in_an_hour).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisRevocationStore {
    redis: Redis,
}

impl RedisRevocationStore {
    /// The revocations on this Redis.
    pub const fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Revokes one token, by its `iss` and `jti` (RFC 7519 sections 4.1.1, 4.1.7).
    ///
    /// When it returns, every instance refuses the token from its next request on; where the node
    /// has replicas, one of them has the revocation too, so that it outlives a failover.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it could not be written, or no replica had it in time: try again. It
    /// may be in force all the same.
    pub async fn revoke_token(
        &self,
        iss: &str,
        jti: &str,
        until: UnixTime,
    ) -> Result<(), StoreError> {
        self.revoke("jti", iss, jti, UnixTime::from_secs(1), until)
            .await
    }

    /// Revokes every token of a session at the issuer, by its `iss` and `sid` (OpenID Connect
    /// Back-Channel Logout 1.0 section 2.1). It returns as [`revoke_token`](Self::revoke_token)
    /// does.
    ///
    /// # Errors
    ///
    /// As of [`revoke_token`](Self::revoke_token).
    pub async fn revoke_session(
        &self,
        iss: &str,
        sid: &str,
        until: UnixTime,
    ) -> Result<(), StoreError> {
        self.revoke("sid", iss, sid, UnixTime::from_secs(1), until)
            .await
    }

    /// Revokes every token of a client, by its `iss` and `client_id` (else `azp`), whoever uses it.
    /// It returns as [`revoke_token`](Self::revoke_token) does.
    ///
    /// # Errors
    ///
    /// As of [`revoke_token`](Self::revoke_token).
    pub async fn revoke_client(
        &self,
        iss: &str,
        client_id: &str,
        until: UnixTime,
    ) -> Result<(), StoreError> {
        self.revoke("client", iss, client_id, UnixTime::from_secs(1), until)
            .await
    }

    /// Revokes every token of a subject, by its `iss` and `sub`, with an `iat` up to the second of
    /// `issued_up_to`. A token without `iat` counts as older. It returns as
    /// [`revoke_token`](Self::revoke_token) does.
    ///
    /// # Errors
    ///
    /// As of [`revoke_token`](Self::revoke_token).
    pub async fn revoke_subject(
        &self,
        iss: &str,
        sub: &str,
        issued_up_to: UnixTime,
        until: UnixTime,
    ) -> Result<(), StoreError> {
        self.revoke("sub", iss, sub, issued_up_to, until).await
    }

    async fn revoke(
        &self,
        kind: &str,
        iss: &str,
        id: &str,
        value: UnixTime,
        until: UnixTime,
    ) -> Result<(), StoreError> {
        let key = keys::revoked(kind, iss, id)?;
        let now = SystemClock.now();
        if until < now {
            return Ok(());
        }
        // In force through its last second.
        let holds = match until {
            UnixTime::MAX => 0,
            until => until.saturating_since(now).as_secs().saturating_add(1),
        };
        let written = timeout(WRITE, self.write(&key, value.as_secs(), holds)).await;
        let acknowledged = written
            .map_err(|_| StoreError::new("Redis did not take the revocation in time"))?
            .map_err(|error| {
                StoreError::new("Redis did not take the revocation").with_source(error)
            })?;
        if acknowledged {
            Ok(())
        } else {
            Err(StoreError::new("no replica has the revocation yet"))
        }
    }

    /// Over a connection of its own: who waits for a replica holds up all that share a connection.
    async fn write(&self, key: &str, value: u64, holds: u64) -> RedisResult<bool> {
        let mut connection = self.redis.own_connection().await?;
        let replicas = connection.replicas(key).await?;
        let mut call = REVOKE.key(key);
        call.arg(value).arg(holds);
        let () = call.invoke_async(&mut connection).await?;
        Ok(replicas == 0 || connection.wait(key, REPLICA).await?)
    }
}

impl fmt::Debug for RedisRevocationStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRevocationStore")
            .field("redis", &self.redis)
            .finish()
    }
}

impl RevocationStore for RedisRevocationStore {
    type Future = Pin<Box<dyn Future<Output = Result<Revocation, StoreError>> + Send>>;

    fn status(&self, token: &VerifiedToken) -> Self::Future {
        let redis = self.redis.clone();
        let question = Question::about(token);
        let issued_at = token.claims().issued_at();
        Box::pin(async move {
            let question = question?;
            let answer = redis.ask(|connection| question.ask(connection)).await?;
            Ok(if answer.names(issued_at) {
                Revocation::Revoked
            } else {
                Revocation::Active
            })
        })
    }
}
