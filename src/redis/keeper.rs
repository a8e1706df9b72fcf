//! The connection that the stores share, and the task that keeps it up.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::{
    sync::watch,
    time::{sleep, sleep_until, timeout},
};

use super::{
    breaker::Breaker,
    connection::{Connection, MasterWatch},
    patience::in_time,
    url::Address,
};
use crate::outage::Outage;

/// How long it may take to connect: several sentinels or nodes may be down.
const CONNECT: Duration = Duration::from_secs(5);
/// How often sentinels are asked who the master is.
const WATCH: Duration = Duration::from_secs(1);

/// A connection, and which one it is.
#[derive(Clone)]
struct Live {
    id: u64,
    connection: Connection,
}

/// What the stores and the keeper share.
pub(super) struct Shared {
    pub(super) address: Address,
    breaker: Mutex<Breaker>,
    live: watch::Sender<Option<Live>>,
    /// How long the most patient waits for an answer, in microseconds.
    patience: AtomicU64,
    outage: Outage,
}

impl Shared {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            breaker: Mutex::default(),
            live: watch::Sender::new(None),
            patience: AtomicU64::new(0),
            outage: Outage::default(),
        }
    }

    /// Somebody waits so long for an answer. The most patient counts: while there are answers for
    /// one of them, Redis is well.
    pub(super) fn waits_for(&self, timeout: Duration) {
        let micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        self.patience.fetch_max(micros, Ordering::Relaxed);
    }

    pub(super) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // No code that can panic runs under the lock.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks over the connection, and once more where it was lost on the way.
    pub(super) async fn ask<T, F, Fut>(&self, question: F) -> RedisResult<T>
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

    pub(super) fn failed(&self, error: &str) {
        let mut breaker = self.breaker();
        let (opens, is_open) = (breaker.failed(), breaker.is_open());
        drop(breaker);
        // Each probe comes by here: what was not to be said again so soon is said later.
        if is_open && self.outage.begins() {
            tracing::warn!(error, "Redis does not answer");
        }
        if opens {
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

/// Keeps a connection up.
pub(super) async fn keep(shared: Arc<Shared>) {
    if shared.address.is_encrypted() {
        prepare_tls();
    }
    for id in 0.. {
        let connection = connect(&shared).await;
        shared.live.send_replace(Some(Live { id, connection }));
        if shared.breaker().connected() && shared.outage.ends() {
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
    if shared.breaker().is_open() {
        // It may well take connections, and answer too late.
        let next = shared.breaker().next_attempt(Instant::now());
        sleep_until(next.into()).await;
    }
    loop {
        let attempted = Instant::now();
        let error = match timeout(CONNECT, open(shared)).await {
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

/// Opens a connection. One that is to close the breaker must answer in the time that a question
/// has: else the next questions would open it again.
async fn open(shared: &Shared) -> RedisResult<Connection> {
    let connection = Connection::open(&shared.address).await?;
    if shared.breaker().is_open() {
        let patience = Duration::from_micros(shared.patience.load(Ordering::Relaxed));
        let answer = in_time(patience, connection.ping()).await;
        answer.unwrap_or_else(|| Err((ErrorKind::Io, "it answers too late").into()))?;
    }
    Ok(connection)
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
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}
