//! Where an issuer's metadata says that its JWK Set is.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::Url;
use tokio::time::Instant;

use super::{
    fetch::FetchError,
    location::{jwks_url_of_metadata, metadata_urls},
};

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
    /// brings the body of a document.
    pub(super) async fn find<G>(&self, get: impl Fn(Url) -> G) -> Result<Url, FetchError>
    where
        G: Future<Output = Result<Vec<u8>, FetchError>>,
    {
        let before = self.found().clone();
        let found = match before {
            Some(found) if found.is_good() => found,
            // The metadata may be out of order where the keys are not.
            Some(found) => self.discover(get).await.unwrap_or(found),
            None => self.discover(get).await?,
        };
        let jwks = found.jwks.clone();
        *self.found() = Some(found);
        Ok(jwks)
    }

    /// Says whether a set came from where it was found.
    pub(super) fn ended(&self, well: bool) {
        if let Some(found) = &mut *self.found() {
            found.failures = if well {
                0
            } else {
                found.failures.saturating_add(1)
            };
        }
    }

    async fn discover<G>(&self, get: impl Fn(Url) -> G) -> Result<Found, FetchError>
    where
        G: Future<Output = Result<Vec<u8>, FetchError>>,
    {
        let mut failures = String::from("no metadata of the issuer");
        for place in metadata_urls(&self.url) {
            let path = place.path().to_owned();
            let why = match get(place).await {
                Ok(body) => match jwks_url_of_metadata(&self.issuer, &self.url, &body) {
                    Ok(jwks) => return Ok(Found::now(jwks)),
                    Err(why) => FetchError::new(why),
                },
                Err(error) => error,
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
