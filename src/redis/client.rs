//! Redis as the stores see it: asked in time, or not at all.

use std::{
    fmt,
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::{runtime::Handle, task::AbortHandle};

use super::{
    connection::Connection,
    keeper::{Shared, is_lost, keep},
    patience::in_time,
    url::Address,
};
use crate::error::{ConfigError, StoreError};

/// How long a question may take unless set otherwise.
const TIMEOUT: Duration = Duration::from_millis(50);

/// A Redis (6.2 or newer) or Valkey that several instances share: one node, a master that sentinels
/// know, or a cluster.
///
/// | URL | |
/// |---|---|
/// | `redis://HOST:PORT/DB` | one node |
/// | `redis+sentinel://HOST:PORT,HOST:PORT/MASTER/DB` | the master of that name, by its sentinels. They log in with `?sentinel_username=…&sentinel_password=…` |
/// | `redis+cluster://HOST:PORT,HOST:PORT` | a cluster, by some of its nodes |
///
/// `rediss` in place of `redis` is TLS: the certificate must be valid for the host, under the
/// certificates that the system trusts, or those in the file that `SSL_CERT_FILE` names.
/// `USER:PASSWORD@` stands before the hosts, percent-encoded. No error, log or `Debug` shows it.
///
/// One connection carries all questions at a time. It is made at the first question, or by
/// [`start`](Self::start), and made anew whenever it is lost. A question has 50 ms, the wait for a
/// connection included; after five failures in a row the circuit breaker opens: until a new
/// connection answers within that time, which is tried once a second, every question fails at once.
/// Where sentinels name another master, the connection moves there. A node that became a replica is
/// left, and none of its answers counts: it is asked for its `ROLE` with every question about a
/// revocation. (A user who may not ask that does not notice.)
///
/// Clones share the connection, which lives on the runtime of the first question. Outside of a tokio
/// runtime every question is an error.
///
/// ```
/// use mcp_auth::{Redis, RedisRateLimitStore, RedisRevocationStore, RedisSessionStore};
///
/// let redis = Redis::from_url("redis://127.0.0.1:6379/0")?;
/// let revocations = RedisRevocationStore::new(redis.clone());
/// let counts = RedisRateLimitStore::new(redis.clone());
/// let sessions = RedisSessionStore::new(redis);
/// # let _ = (revocations, counts, sessions);
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Redis {
    kept: Arc<Kept>,
    timeout: Duration,
}

impl Redis {
    /// Reads the URL. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the URL is none of the forms above. It does not show the URL.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            kept: Arc::new(Kept {
                shared: Arc::new(Shared::new(Address::from_url(url)?)),
                keeper: OnceLock::new(),
            }),
            timeout: TIMEOUT,
        })
    }

    /// How long a question may take, instead of 50 ms.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Begins to connect, so that no caller waits for it. Does nothing outside of a tokio runtime;
    /// the first question does it then.
    pub fn start(&self) {
        if let Ok(runtime) = Handle::try_current() {
            self.start_on(&runtime);
        }
    }

    fn start_on(&self, runtime: &Handle) {
        self.kept.shared.waits_for(self.timeout);
        self.kept.keeper.get_or_init(|| {
            let keeping = keep(Arc::clone(&self.kept.shared));
            runtime.spawn(keeping).abort_handle()
        });
    }

    /// Asks over the shared connection. A question whose connection was lost on the way is asked
    /// once more.
    pub(super) async fn ask<T, F, Fut>(&self, question: F) -> Result<T, StoreError>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = RedisResult<T>>,
    {
        let Ok(runtime) = Handle::try_current() else {
            return Err(StoreError::new(
                "Redis is asked inside a tokio runtime only",
            ));
        };
        self.start_on(&runtime);
        let shared = &self.kept.shared;
        if shared.breaker().is_open() {
            return Err(StoreError::new("Redis does not answer; it is probed"));
        }
        match in_time(self.timeout, shared.ask(question)).await {
            Some(Ok(answer)) => {
                shared.breaker().answered();
                Ok(answer)
            }
            Some(Err(error)) => {
                if is_outage(&error) {
                    shared.failed(&error.to_string());
                }
                Err(StoreError::new("Redis could not answer").with_source(error))
            }
            None => {
                shared.failed("no answer in time");
                Err(StoreError::new("Redis did not answer in time"))
            }
        }
    }

    /// A connection that nothing else uses.
    pub(super) async fn own_connection(&self) -> RedisResult<Connection> {
        Connection::open(&self.kept.shared.address).await
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("address", &self.kept.shared.address)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Ends the keeper with the last clone.
struct Kept {
    shared: Arc<Shared>,
    keeper: OnceLock<AbortHandle>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
    }
}

/// Whether the error tells of Redis as a whole, and not of one key or command: those must not stop
/// the questions of others.
fn is_outage(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    is_lost(error)
        || error.is_io_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain)
                | ErrorKind::ClusterConnectionNotFound
                | ErrorKind::AuthenticationFailed
        )
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use crate::{
        redis::{Redis, RedisRevocationStore},
        revocation::RevocationStore,
        testing::ClaimsBuilder,
    };

    /// As where a request is handed in before the runtime runs that waits for its response.
    #[test]
    fn outside_of_a_runtime_nothing_is_asked() -> Result<(), Box<dyn std::error::Error>> {
        let store = RedisRevocationStore::new(Redis::from_url("redis://127.0.0.1:1")?);
        let token = ClaimsBuilder::new().to_verified()?;
        let answer = store.status(&token).now_or_never().ok_or("an answer")?;
        let error = answer.err().ok_or("an error")?;
        assert_eq!(
            error.to_string(),
            "Redis is asked inside a tokio runtime only"
        );
        Ok(())
    }
}
