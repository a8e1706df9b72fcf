//! Where an issuer's metadata says that its JWK Set is.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::Url;
use tokio::time::{Instant, timeout};

use super::{
    fetch::FetchError,
    location::{jwks_url_of_metadata, metadata_urls},
};

/// How long the metadata is looked for, so that a fetch of 5 s has time for the keys.
const DISCOVERY_TIME: Duration = Duration::from_secs(4);
/// The same where a place is known already, which is to be asked in the same fetch.
const REDISCOVERY_TIME: Duration = Duration::from_millis(2500);
/// A JWK Set that moved is found again after so long, or after so many failures.
const REDISCOVER_AFTER: Duration = Duration::from_secs(60 * 60);
const REDISCOVER_AFTER_FAILURES: u32 = 2;

/// The place of one issuer's JWK Set, found by its metadata and remembered.
#[derive(Debug)]
pub(super) struct Discovery {
    issuer: Arc<str>,
    url: Url,
    found: Mutex<Option<Found>>,
}

#[derive(Clone, Debug)]
struct Found {
    jwks: Url,
    since: Instant,
    failures: u32,
}

impl Discovery {
    /// Of the issuer, whose identifier is this URL.
    pub(super) const fn new(issuer: Arc<str>, url: Url) -> Self {
        Self {
            issuer,
            url,
            found: Mutex::new(None),
        }
    }

    /// Where the JWK Set is: as found before, unless that was long ago or no longer works. `get`
    /// brings the body of a document. It counts as a failure until [`Discovery::worked`] is called,
    /// for a fetch that takes too long is broken off and can say nothing.
    pub(super) async fn find<G>(&self, get: impl Fn(Url) -> G) -> Result<Url, FetchError>
    where
        G: Future<Output = Result<Vec<u8>, FetchError>>,
    {
        let before = self.found().clone();
        let mut found = match before {
            Some(found) if found.is_good() => found,
            // The metadata may be out of order where the keys are not.
            Some(found) => self.discover(REDISCOVERY_TIME, get).await.unwrap_or(found),
            None => self.discover(DISCOVERY_TIME, get).await?,
        };
        found.failures = found.failures.saturating_add(1);
        let jwks = found.jwks.clone();
        *self.found() = Some(found);
        Ok(jwks)
    }

    /// A set that can be used came from where it was found.
    pub(super) fn worked(&self) {
        if let Some(found) = &mut *self.found() {
            found.failures = 0;
        }
    }

    async fn discover<G>(
        &self,
        within: Duration,
        get: impl Fn(Url) -> G,
    ) -> Result<Found, FetchError>
    where
        G: Future<Output = Result<Vec<u8>, FetchError>>,
    {
        let mut failures = String::from("no metadata of the issuer");
        let began = Instant::now();
        let mut places = metadata_urls(&self.url).into_iter();
        while let Some(place) = places.next() {
            let path = place.path().to_owned();
            // An equal share of what is left: a place that hangs does not hide the next.
            let behind = u32::try_from(places.len()).unwrap_or_default();
            let share = within.saturating_sub(began.elapsed()) / behind.saturating_add(1);
            let why = match timeout(share, get(place)).await {
                Ok(Ok(body)) => match jwks_url_of_metadata(&self.issuer, &self.url, &body) {
                    Ok(jwks) => return Ok(Found::now(jwks)),
                    Err(why) => FetchError::new(why),
                },
                Ok(Err(error)) => error,
                Err(_) => FetchError::new("no answer in time"),
            };
            failures.push_str(&format!("; {path}: {why}"));
        }
        Err(FetchError::new(failures))
    }

    fn found(&self) -> MutexGuard<'_, Option<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn now(jwks: Url) -> Self {
        Self {
            jwks,
            since: Instant::now(),
            failures: 0,
        }
    }

    fn is_good(&self) -> bool {
        self.failures < REDISCOVER_AFTER_FAILURES && self.since.elapsed() < REDISCOVER_AFTER
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::pending;

    use tokio::time::advance;

    use super::*;

    const ISSUER: &str = "https://idp.example.com/tenant";

    /// What is at a place where metadata may be.
    #[derive(Clone, Copy, Debug)]
    enum Place {
        Empty,
        Hangs,
        /// Metadata that names this place of the keys.
        Names(&'static str),
    }
    use Place::{Empty, Hangs, Names};

    const OLD: &str = "https://keys.example.com/old";
    const NEW: &str = "https://keys.example.com/new";

    fn discovery() -> Discovery {
        Discovery::new(ISSUER.into(), ISSUER.parse().unwrap())
    }

    /// What a fetch finds at these places, and in how many tenths of a second.
    async fn find(discovery: &Discovery, places: [Place; 3]) -> (Result<String, String>, u128) {
        let began = Instant::now();
        let found = timeout(
            Duration::from_secs(5),
            discovery.find(|url| async move {
                let urls = metadata_urls(&ISSUER.parse().unwrap());
                let at = urls.iter().position(|place| *place == url);
                match at.and_then(|at| places.get(at)).unwrap() {
                    Empty => Err(FetchError::new("status 404")),
                    Hangs => pending().await,
                    Names(jwks) => {
                        let metadata = serde_json::json!({"issuer": ISSUER, "jwks_uri": jwks});
                        Ok(metadata.to_string().into_bytes())
                    }
                }
            }),
        );
        let found = match found.await {
            Ok(found) => found.map(String::from).map_err(|error| error.to_string()),
            Err(_) => Err("broken off".to_owned()),
        };
        (found, began.elapsed().as_millis() / 100)
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_hangs_does_not_hide_the_next() {
        for (places, tenths) in [
            ([Names(NEW), Hangs, Hangs], 0),
            ([Empty, Names(NEW), Hangs], 0),
            ([Hangs, Names(NEW), Hangs], 13),
            ([Hangs, Empty, Names(NEW)], 13),
            ([Empty, Hangs, Names(NEW)], 20),
            ([Hangs, Hangs, Names(NEW)], 26),
        ] {
            let found = find(&discovery(), places).await;
            assert_eq!(found, (Ok(NEW.to_owned()), tenths), "{places:?}");
        }
        let why = "no metadata of the issuer; \
                   /.well-known/oauth-authorization-server/tenant: status 404; \
                   /.well-known/openid-configuration/tenant: no answer in time; \
                   /tenant/.well-known/openid-configuration: no answer in time";
        let found = find(&discovery(), [Empty, Hangs, Hangs]).await;
        assert_eq!(found, (Err(why.to_owned()), 40));
    }

    #[tokio::test(start_paused = true)]
    async fn metadata_that_hangs_does_not_hide_a_place_that_is_known() {
        let discovery = discovery();
        let found = find(&discovery, [Names(OLD), Empty, Empty]).await;
        assert_eq!(found, (Ok(OLD.to_owned()), 0));
        let found = find(&discovery, [Hangs; 3]).await;
        assert_eq!(found, (Ok(OLD.to_owned()), 0));
        advance(REDISCOVER_AFTER).await;
        for (places, jwks, tenths) in [
            ([Hangs, Hangs, Hangs], OLD, 25),
            ([Empty, Empty, Empty], OLD, 0),
            ([Hangs, Hangs, Names(NEW)], NEW, 16),
        ] {
            let found = find(&discovery, places).await;
            assert_eq!(found, (Ok(jwks.to_owned()), tenths), "{places:?}");
        }
    }
}
