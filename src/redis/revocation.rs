//! Revocations that several instances share.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock},
    time::Duration,
};

use redis::{Cmd, Pipeline, RedisResult, Script, Value};
use tokio::time::timeout;

use super::{client::Redis, connection::Connection, keys};
use crate::{
    clock::{Clock, SystemClock, UnixTime},
    error::StoreError,
    revocation::{Revocation, RevocationStore},
    token::VerifiedToken,
};

/// How long it may take to write a revocation, and how long of that a replica.
const WRITE: Duration = Duration::from_secs(5);
const REPLICA: Duration = Duration::from_secs(2);

/// What is said twice holds for the longer time, and up to the later instant.
///
/// `KEYS[1]`: the key. `ARGV`: the value, and the seconds that it is to hold, 0 for ever.
static REVOKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local value, old = ARGV[1], redis.call('GET', KEYS[1])
if old and not (tonumber(old) and tonumber(old) < tonumber(value)) then value = old end
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

/// The questions whose answers say whether a token is revoked.
struct Question {
    /// Of the token, its session and its client: whether there is such a key.
    exists: [Option<Cmd>; 3],
    /// Of its subject: up to when.
    subject: Cmd,
}

impl Question {
    fn about(token: &VerifiedToken) -> Result<Self, StoreError> {
        let claims = token.claims();
        let principal = claims.principal();
        let key = |kind, id: &str| keys::revoked(kind, principal.issuer(), id);
        let exists = |kind, id: Option<&Arc<str>>| {
            let exists = |id: &Arc<str>| key(kind, id).map(Cmd::exists);
            id.map(exists).transpose()
        };
        Ok(Self {
            exists: [
                exists("jti", claims.jwt_id())?,
                exists("sid", claims.session_id())?,
                exists("client", principal.client_id())?,
            ],
            subject: Cmd::get(key("sub", principal.subject())?),
        })
    }

    /// One round trip. In a cluster the keys are on several nodes, which are asked side by side.
    async fn ask(&self, connection: Connection) -> RedisResult<Answer> {
        let Connection::Node(mut node) = connection else {
            let [token, session, client] = &self.exists;
            let (token, session, client, subject) = tokio::try_join!(
                exists(connection.clone(), token.as_ref()),
                exists(connection.clone(), session.as_ref()),
                exists(connection.clone(), client.as_ref()),
                subject(connection.clone(), &self.subject),
            )?;
            return Ok(Answer {
                exists: token || session || client,
                subject,
            });
        };
        let mut pipeline = Pipeline::with_capacity(4);
        for exists in self.exists.iter().flatten() {
            pipeline.add_command(exists.clone());
        }
        pipeline.add_command(self.subject.clone());
        let mut answers: Vec<Value> = pipeline.query_async(&mut node).await?;
        let subject = answers.pop().unwrap_or(Value::Nil);
        let exists: Vec<bool> = redis::from_redis_value(Value::Array(answers))?;
        Ok(Answer {
            exists: exists.contains(&true),
            subject: redis::from_redis_value(subject)?,
        })
    }
}

async fn exists(mut connection: Connection, question: Option<&Cmd>) -> RedisResult<bool> {
    match question {
        Some(question) => question.query_async(&mut connection).await,
        None => Ok(false),
    }
}

async fn subject(mut connection: Connection, question: &Cmd) -> RedisResult<Option<Vec<u8>>> {
    question.query_async(&mut connection).await
}

struct Answer {
    exists: bool,
    subject: Option<Vec<u8>>,
}

impl Answer {
    fn names(&self, issued_at: Option<UnixTime>) -> bool {
        let up_to = self.subject.as_deref().map(|text| {
            // What is no number was meant to revoke, and does.
            let text = std::str::from_utf8(text).ok();
            text.and_then(|text| text.trim().parse().ok())
                .unwrap_or(u64::MAX)
        });
        let named = up_to.is_some_and(|up_to| issued_at.is_none_or(|at| at.as_secs() <= up_to));
        self.exists || named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_revoked_up_to_the_second_that_is_written() {
        let names = |text: &str, iat: Option<u64>| {
            let answer = Answer {
                exists: false,
                subject: Some(text.into()),
            };
            answer.names(iat.map(UnixTime::from_secs))
        };
        for (text, up_to) in [("100", 100), (" 100\n", 100), ("0", 0)] {
            assert!(names(text, Some(up_to)) && names(text, None), "{text}");
            assert!(!names(text, Some(up_to + 1)), "{text}");
        }
        // What cannot be read as an instant holds for all.
        for text in [
            "",
            "yes",
            "-1",
            "1e3",
            "100.5",
            "99999999999999999999",
            "\u{0}",
        ] {
            assert!(names(text, Some(4_000_000_000)), "{text}");
        }
        let none = Answer {
            exists: false,
            subject: None,
        };
        assert!(!none.names(None));
    }
}
