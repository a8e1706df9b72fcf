//! One issuer's keys: the set in force, and the one fetch under way.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use quick_cache::sync::Cache;
use tokio::{runtime::Handle, sync::watch, time::timeout};

use super::{
    fetch::{Fetch, FetchError, Fetched},
    in_force::InForce,
    state::{Cause, Change, Sought, State, Verdict},
};
use crate::{
    clock::{Clock, UnixTime},
    error::StoreError,
    keys::{Algorithm, MAX_KID, VerificationKey, VerificationKeyId},
};

/// How long a fetch may take, discovery and all.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How many unknown keys are remembered.
const REMEMBERED: usize = 1000;

pub(super) type Answer = Result<Option<VerificationKey>, StoreError>;

#[derive(Debug)]
pub(super) struct Source {
    issuer: Arc<str>,
    fetch: Arc<dyn Fetch>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) max_stale: Duration,
    in_force: InForce,
    progress: Mutex<Progress>,
    /// What fresh sets lacked, and when they were fetched.
    lacking: Cache<(Option<Arc<str>>, Algorithm), UnixTime>,
    pub(super) is_kept_fresh: AtomicBool,
    /// Announces the end of every fetch; closes when the source is dropped.
    pub(super) ends: watch::Sender<()>,
}

#[derive(Debug)]
pub(super) struct Progress {
    pub(super) state: State,
    /// How many keys of the newest set cannot be used.
    skipped: usize,
    pub(super) flight: Option<Flight>,
}

/// A fetch under way. It turns `true` when what it brought is in place; it closes without having
/// done so when the fetch was broken off, with its runtime for instance.
pub(super) type Flight = watch::Receiver<bool>;

/// A fetch that a request waits for, and since when: it may have begun before.
pub(super) struct Waiting {
    flight: Flight,
    since: UnixTime,
}

/// What can be said of a key at once.
pub(super) enum Judged {
    Answer(Answer),
    Wait(Waiting),
    /// A fetch is needed, and nothing runs that could do it.
    NoRuntime,
}

impl Source {
    pub(super) fn new(
        issuer: Arc<str>,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        max_stale: Duration,
    ) -> Self {
        Self {
            issuer,
            fetch,
            clock,
            max_stale,
            in_force: InForce::default(),
            progress: Mutex::new(Progress {
                state: State::new(max_stale),
                skipped: 0,
                flight: None,
            }),
            lacking: Cache::new(REMEMBERED),
            is_kept_fresh: AtomicBool::new(false),
            ends: watch::Sender::new(()),
        }
    }

    /// The same, without keys, by another clock or with another bound.
    pub(super) fn anew(&self, clock: Arc<dyn Clock>, max_stale: Duration) -> Arc<Self> {
        Arc::new(Self::new(
            Arc::clone(&self.issuer),
            Arc::clone(&self.fetch),
            clock,
            max_stale,
        ))
    }

    pub(super) const fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// Whether there are keys that are in force.
    pub(super) fn is_ready(&self) -> bool {
        self.in_force.is_ready(self.clock.now())
    }

    /// The key, where it is known and in force: no lock, nothing to wait for.
    pub(super) fn known(&self, id: &VerificationKeyId) -> Option<VerificationKey> {
        self.in_force.known(id, self.clock.now())
    }

    /// The answer for a key that a fetch may bring, once that has ended; without one, it is judged
    /// now.
    pub(super) async fn find_out(
        self: Arc<Self>,
        id: VerificationKeyId,
        waiting: Option<Waiting>,
    ) -> Answer {
        let judged = waiting.map_or_else(|| self.judge(&id, None), Judged::Wait);
        let Waiting { mut flight, since } = match judged {
            Judged::Answer(answer) => return answer,
            // What is fetched elsewhere cannot be waited for without a clock here.
            Judged::Wait(waiting) if Handle::try_current().is_ok() => waiting,
            Judged::Wait(_) | Judged::NoRuntime => {
                return Err(StoreError::new(
                    "keys are fetched inside a tokio runtime only",
                ));
            }
        };
        let landed = timeout(FETCH_TIMEOUT, flight.wait_for(|has_landed| *has_landed)).await;
        if !matches!(landed, Ok(Ok(_))) {
            return self.unavailable();
        }
        match self.judge(&id, Some(since)) {
            Judged::Answer(answer) => answer,
            Judged::Wait(_) | Judged::NoRuntime => self.unavailable(),
        }
    }

    /// Judges a key that is not known to be in force: what the newest set lacks is refused at once,
    /// and so is what nobody can find out now. `since` is when a request began to wait for a fetch that
    /// has ended.
    pub(super) fn judge(
        self: &Arc<Self>,
        id: &VerificationKeyId,
        since: Option<UnixTime>,
    ) -> Judged {
        if id.kid().is_some_and(|kid| kid.len() > MAX_KID) {
            return Judged::Answer(Ok(None));
        }
        let mut progress = self.progress();
        let now = self.clock.now();
        let key = self.in_force.find(id);
        let remembered = || (id.kid.clone(), id.algorithm());
        let sought = match &key {
            Some(_) => Sought::InSet,
            None => Sought::NotInSet {
                lacked_at: self.lacking.get(&remembered()),
            },
        };
        let verdict = if since.is_some() {
            progress.state.verdict_after_fetch(sought, now)
        } else {
            let is_under_way = progress.flight_under_way().is_some();
            progress.state.verdict(sought, is_under_way, now)
        };
        match verdict {
            Verdict::Verify => Judged::Answer(Ok(key)),
            Verdict::Unavailable => Judged::Answer(self.unavailable()),
            Verdict::Unknown => {
                // Only what was looked for: a set whose fetch began before anybody asked says nothing of
                // a key that came since.
                if let (Some(since), Some(fetched_at)) = (since, progress.state.fetched_at())
                    && fetched_at >= since
                {
                    self.lacking.insert(remembered(), fetched_at);
                }
                Judged::Answer(Ok(None))
            }
            Verdict::Ask => self
                .join_or_start(&mut progress, Cause::Request)
                .map_or(Judged::NoRuntime, |flight| {
                    Judged::Wait(Waiting { flight, since: now })
                }),
        }
    }

    fn unavailable(&self) -> Answer {
        Err(StoreError::new(format!(
            "the keys of the issuer {:?} could not be had",
            self.issuer
        )))
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch under way, or a new one. `None` outside of a runtime.
    pub(super) fn join_or_start(
        self: &Arc<Self>,
        progress: &mut Progress,
        cause: Cause,
    ) -> Option<Flight> {
        if let Some(flight) = progress.flight_under_way() {
            return Some(flight.clone());
        }
        let runtime = Handle::try_current().ok()?;
        let started_at = self.clock.now();
        progress.state.started(cause, started_at);
        let (landed, flight) = watch::channel(false);
        progress.flight = Some(flight.clone());
        let fetch = Arc::clone(&self.fetch);
        let source = Arc::downgrade(self);
        // A task of its own: the request that caused it may go away while others wait.
        runtime.spawn(async move {
            let fetched = timeout(FETCH_TIMEOUT, fetch.fetch())
                .await
                .unwrap_or_else(|_| Err(FetchError::new("no answer within 5 s")));
            if let Some(source) = source.upgrade() {
                source.land(source.progress(), fetched, cause, started_at);
            }
            landed.send_replace(true);
        });
        Some(flight)
    }

    /// Puts in place what a fetch brought.
    pub(super) fn land(
        &self,
        mut progress: MutexGuard<'_, Progress>,
        fetched: Result<Fetched, FetchError>,
        cause: Cause,
        started_at: UnixTime,
    ) {
        progress.flight = None;
        let (change, error) = match fetched {
            Ok(Fetched { keys, ttl }) => {
                let change = progress.state.succeeded(started_at, ttl, jitter());
                self.in_force.swap(&keys, progress.state.in_force_until());
                let skipped = keys.skipped();
                if std::mem::replace(&mut progress.skipped, skipped) != skipped {
                    tracing::warn!(issuer = ?self.issuer, skipped, "keys that cannot be used");
                }
                (change, None)
            }
            Err(error) => {
                let now = self.clock.now();
                let change = progress.state.failed(cause, now, jitter());
                (change, Some(error))
            }
        };
        drop(progress);
        self.log(change, error.as_ref());
        self.ends.send_replace(());
    }

    fn log(&self, change: Option<Change>, error: Option<&FetchError>) {
        let issuer = &*self.issuer;
        let error = error.map(ToString::to_string).unwrap_or_default();
        match change {
            Some(Change::FirstKeys) => tracing::info!(?issuer, "the issuer's keys came"),
            Some(Change::Recovered) => tracing::info!(?issuer, "the issuer's keys came again"),
            Some(Change::OutageBegins) => {
                tracing::warn!(?issuer, ?error, "the issuer's keys cannot be fetched");
            }
            None if error.is_empty() => tracing::debug!(?issuer, "the issuer's keys are fresh"),
            None => tracing::debug!(?issuer, ?error, "the issuer's keys still cannot be fetched"),
        }
    }
}

impl Progress {
    fn flight_under_way(&self) -> Option<&Flight> {
        self.flight
            .as_ref()
            .filter(|flight| flight.has_changed().is_ok())
    }
}

/// Thousandths, by chance: the standard library seeds its hashers with it.
fn jitter() -> u32 {
    let chance = RandomState::new().hash_one(());
    u32::try_from(chance % 1001).unwrap_or_default()
}
