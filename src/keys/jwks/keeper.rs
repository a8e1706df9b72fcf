//! The task that keeps a source fresh: what is fetched without being asked for.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, time::timeout};

use super::{
    fetch::FetchError,
    source::{Flight, Source},
    state::Cause,
};

/// Fetches when it is time, until the source is dropped, which closes `ends`. Where its runtime
/// goes away before, the next use starts another.
async fn run(kept: Kept, mut ends: watch::Receiver<()>) {
    loop {
        let Some(wait) = kept.source().map(|source| source.wait()) else {
            return;
        };
        match timeout(wait, ends.changed()).await {
            // Somebody else's fetch ended: there is another time to wait for.
            Ok(Ok(())) => continue,
            Ok(Err(_)) => return,
            Err(_) => {}
        }
        let flight = kept.source().and_then(|source| source.fetch_unattended());
        let Some(mut flight) = flight else {
            return;
        };
        let landed = flight.wait_for(|has_landed| *has_landed).await.is_ok();
        if let (false, Some(source)) = (landed, kept.source()) {
            source.broken_off(&flight);
        }
    }
}

/// A source, as long as somebody else holds it. While this lives, no other task keeps it fresh.
struct Kept(Weak<Source>);

impl Kept {
    fn source(&self) -> Option<Arc<Source>> {
        self.0.upgrade()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(source) = self.source() {
            source.is_kept_fresh.store(false, Ordering::Release);
        }
    }
}

impl Source {
    /// Starts the task that fetches without being asked, unless there is one, or no runtime.
    pub(super) fn keep_fresh(self: &Arc<Self>) {
        if self.is_kept_fresh.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !self.is_kept_fresh.swap(true, Ordering::AcqRel) {
            runtime.spawn(run(Kept(Arc::downgrade(self)), self.ends.subscribe()));
        }
    }

    /// How long nobody fetches unless a request asks.
    fn wait(&self) -> Duration {
        // A clock that was set back does not put off the next fetch for longer than a set lives.
        let wait = self.progress().state.wait(self.clock.now());
        wait.min(Duration::from_secs(60 * 60))
    }

    /// The fetch under way, or a new one that nobody asked for. `None` outside of a runtime.
    fn fetch_unattended(self: &Arc<Self>) -> Option<Flight> {
        self.join_or_start(&mut self.progress(), Cause::Unattended)
    }

    /// A fetch that ended without an outcome counts as failed, so that the wait grows. Where another
    /// began since, that one has the say.
    fn broken_off(&self, flight: &Flight) {
        let progress = self.progress();
        let newest = progress.flight.as_ref();
        if newest.is_some_and(|newest| newest.same_channel(flight)) {
            let error = FetchError::new("the fetch was broken off");
            self.land(progress, Err(error), Cause::Unattended, self.clock.now());
        }
    }
}
