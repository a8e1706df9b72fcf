//! The connection that the stores share, and the circuit breaker before it.

use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{sleep, sleep_until, timeout},
};

use super::{
    breaker::Breaker,
    connection::{Connection, MasterWatch},
    url::Address,
};
use crate::error::{ConfigError, StoreError};

/// How long a question may take unless set otherwise.
const TIMEOUT: Duration = Duration::from_millis(50);
/// How long it may take to connect: several sentinels or nodes may be down.
const CONNECT: Duration = Duration::from_secs(5);
/// How often sentinels are asked who the master is.
const WATCH: Duration = Duration::from_secs(1);

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
/// connection answers, which is tried once a second, every question fails at once. Where sentinels
/// name another master, the connection moves there.
///
/// Clones share the connection, which lives on the runtime of the first question.
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
                shared: Arc::new(Shared {
                    address: Address::from_url(url)?,
                    breaker: Mutex::default(),
                    live: watch::Sender::new(None),
                }),
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
            self.kept.keeper.get_or_init(|| {
                let keeping = keep(Arc::clone(&self.kept.shared));
                runtime.spawn(keeping).abort_handle()
            });
        }
    }

    /// Asks over the shared connection. A question whose connection was lost on the way is asked
    /// once more.
    pub(super) async fn ask<T, F, Fut>(&self, question: F) -> Result<T, StoreError>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = RedisResult<T>>,
    {
        self.start();
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

/// A connection, and which one it is.
#[derive(Clone)]
struct Live {
    id: u64,
    connection: Connection,
}

/// What the stores and the keeper share.
struct Shared {
    address: Address,
    breaker: Mutex<Breaker>,
    live: watch::Sender<Option<Live>>,
}

impl Shared {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // No code that can panic runs under the lock.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T, F, Fut>(&self, question: F) -> RedisResult<T>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = RedisResult<T>>,
    {
        let Live { id, connection } = self.connection().await?;
        match question(connection).await {
            Err(error) if is_lost(&error) => {
                self.lose(|live| live.id == id);
                question(self.connection().await?.connection).await
            }
            answer => answer,
        }
    }

    /// The connection, once there is one.
    async fn connection(&self) -> RedisResult<Live> {
        if let Some(live) = &*self.live.borrow() {
            return Ok(live.clone());
        }
        let mut live = self.live.subscribe();
        let live = live.wait_for(Option::is_some).await;
        let live = live.ok().and_then(|live| live.clone());
        live.ok_or_else(|| RedisError::from((ErrorKind::Io, "there is no connection")))
    }

    fn failed(&self, error: &str) {
        if self.breaker().failed() {
            tracing::warn!(error, "Redis does not answer");
            self.lose(|_| true);
        }
    }

    /// Gives up the connection, and has the keeper make another one.
    fn lose(&self, which: impl FnOnce(&Live) -> bool) {
        self.live.send_if_modified(|live| {
            let lost = live.as_ref().is_some_and(which);
            if lost {
                *live = None;
            }
            lost
        });
    }
}

/// Waits for an answer, in slices that count as long as they were meant to be: the time in which a
/// busy machine kept this process from running is not held against Redis, whose answer may lie
/// there unread.
async fn in_time<F: Future>(limit: Duration, question: F) -> Option<F::Output> {
    const SLICES: u32 = 5;
    let mut question = pin!(question);
    for _ in 0..SLICES {
        if let Ok(answer) = timeout(limit / SLICES, &mut question).await {
            return Some(answer);
        }
    }
    None
}

/// Keeps a connection up.
async fn keep(shared: Arc<Shared>) {
    if shared.address.is_encrypted() {
        prepare_tls();
    }
    for id in 0.. {
        let connection = connect(&shared).await;
        shared.live.send_replace(Some(Live { id, connection }));
        if shared.breaker().connected() {
            tracing::info!("Redis answers again");
        }
        let mut live = shared.live.subscribe();
        tokio::select! {
            _ = live.wait_for(Option::is_none) => {}
            () = another_master(&shared.address) => {
                tracing::info!("the sentinels name another master");
                shared.lose(|_| true);
            }
        }
    }
}

async fn connect(shared: &Shared) -> Connection {
    let mut said = String::new();
    loop {
        let attempted = Instant::now();
        let error = match timeout(CONNECT, Connection::open(&shared.address)).await {
            Ok(Ok(connection)) => return connection,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        shared.failed(&error);
        if said != error {
            tracing::warn!(error, "Redis cannot be connected to");
            said = error;
        }
        let next = shared.breaker().next_attempt(attempted);
        sleep_until(next.into()).await;
    }
}

/// Completes when the sentinels name another master than at first.
async fn another_master(address: &Address) {
    let Some(mut watch) = MasterWatch::new(address) else {
        return std::future::pending().await;
    };
    while !watch.has_changed().await {
        sleep(WATCH).await;
    }
}

/// A process in which several TLS libraries are built, and none is chosen, would panic.
fn prepare_tls() {
    use rustls::crypto::{CryptoProvider, aws_lc_rs};
    if CryptoProvider::get_default().is_none() {
        // An error says that somebody else was faster.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

/// Whether another connection may do better.
fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
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
    use tokio::{sync::oneshot, time::advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_time_in_which_the_process_ran_counts() {
        let limit = Duration::from_millis(50);
        let start = tokio::time::Instant::now();
        assert_eq!(in_time(limit, std::future::pending::<()>()).await, None);
        let took = start.elapsed();
        assert!((50..=55).contains(&took.as_millis()), "{took:?}");

        let (answer, question) = oneshot::channel();
        let waiting = tokio::spawn(in_time(limit, question));
        tokio::task::yield_now().await;
        // The whole machine slept.
        advance(Duration::from_secs(9)).await;
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && answer.send("late").is_ok());
        assert_eq!(waiting.await.ok().flatten(), Some(Ok("late")));
    }
}
