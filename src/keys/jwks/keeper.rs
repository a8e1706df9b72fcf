//! The task that keeps a source fresh.

use tokio::{sync::watch, time::timeout};

use super::source::Kept;

/// Fetches when it is time, until the source is dropped, which closes `ends`. Where its runtime
/// goes away before, the next use starts another.
pub(super) async fn run(kept: Kept, mut ends: watch::Receiver<()>) {
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
