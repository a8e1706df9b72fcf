//! Fetching a JWK Set over HTTP.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::StatusCode;
use reqwest::{Client, Response, Url, redirect};
use tokio::time::Instant;

use super::{
    freshness,
    location::{is_local, issuer_url, jwks_url, jwks_url_of_metadata, metadata_urls},
};
use crate::error::ConfigError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_BODY: usize = 512 * 1024;
const MAX_REDIRECTS: usize = 3;
/// A JWK Set that moved is found again after so long, or after so many failures.
const REDISCOVER_AFTER: Duration = Duration::from_secs(60 * 60);
const REDISCOVER_AFTER_FAILURES: u32 = 2;

/// A JWK Set, unread, and how long it may be used.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) body: Vec<u8>,
    pub(super) ttl: Duration,
}

/// Why no JWK Set came: a sentence for the log.
#[derive(Clone, Debug)]
pub(super) struct FetchError(Cow<'static, str>);

impl FetchError {
    pub(super) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) type Fetching<'a> =
    Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// Gets the newest JWK Set of one issuer. The caller bounds the time.
pub(super) trait Fetch: fmt::Debug + Send + Sync {
    fn fetch(&self) -> Fetching<'_>;
}

/// The real one.
#[derive(Debug)]
pub(super) struct HttpFetch {
    client: Client,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Fixed(Url),
    Discovered {
        issuer: Arc<str>,
        url: Url,
        found: Mutex<Option<Found>>,
    },
}

#[derive(Clone, Debug)]
struct Found {
    jwks: Url,
    since: Instant,
    failures: u32,
}

impl HttpFetch {
    /// From a fixed URL.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it must not be fetched, or there is no TLS to be had.
    pub(super) fn fixed(jwks_uri: &str) -> Result<Self, ConfigError> {
        let url = jwks_url(jwks_uri)?;
        Ok(Self {
            client: client(is_local(&url))?,
            place: Place::Fixed(url),
        })
    }

    /// From where the issuer's metadata says.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the issuer is no `https` URL (`http` on this machine), or there is no
    /// TLS to be had.
    pub(super) fn discovered(issuer: &Arc<str>) -> Result<Self, ConfigError> {
        let url = issuer_url(issuer)?;
        Ok(Self {
            client: client(is_local(&url))?,
            place: Place::Discovered {
                issuer: Arc::clone(issuer),
                url,
                found: Mutex::new(None),
            },
        })
    }

    async fn get(&self, url: Url) -> Result<(Vec<u8>, Duration), FetchError> {
        let request = self
            .client
            .get(url)
            .header(http::header::ACCEPT, "application/json, */*;q=0.5");
        let mut response = request.send().await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            let status = response.status().as_u16();
            return Err(FetchError::new(format!("status {status}")));
        }
        let ttl = freshness::ttl(response.headers());
        Ok((bounded_body(&mut response).await?, ttl))
    }

    async fn fetch_now(&self) -> Result<Fetched, FetchError> {
        let jwks = match &self.place {
            Place::Fixed(url) => url.clone(),
            Place::Discovered { issuer, url, found } => self.find(issuer, url, found).await?,
        };
        let fetched = self.get(jwks).await;
        if let Place::Discovered { found, .. } = &self.place
            && let Some(found) = &mut *found.lock().unwrap_or_else(PoisonError::into_inner)
        {
            found.failures = match fetched {
                Ok(_) => 0,
                Err(_) => found.failures.saturating_add(1),
            };
        }
        fetched
            .map(|(body, ttl)| Fetched { body, ttl })
            .map_err(|error| FetchError::new(format!("the JWK Set: {error}")))
    }

    /// Where the JWK Set is: as found before, unless that was long ago or no longer works.
    async fn find(
        &self,
        issuer: &str,
        url: &Url,
        found: &Mutex<Option<Found>>,
    ) -> Result<Url, FetchError> {
        let before = found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|found| {
                let is_good = found.failures < REDISCOVER_AFTER_FAILURES
                    && found.since.elapsed() < REDISCOVER_AFTER;
                (found.jwks.clone(), is_good)
            });
        if let Some((jwks, true)) = before {
            return Ok(jwks);
        }
        match (self.discover(issuer, url).await, before) {
            (Ok(jwks), _) => {
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(Found {
                    jwks: jwks.clone(),
                    since: Instant::now(),
                    failures: 0,
                });
                Ok(jwks)
            }
            // The metadata may be out of order where the keys are not.
            (Err(_), Some((jwks, _))) => Ok(jwks),
            (Err(error), None) => Err(error),
        }
    }

    async fn discover(&self, issuer: &str, url: &Url) -> Result<Url, FetchError> {
        let mut failures = String::from("no metadata of the issuer");
        for candidate in metadata_urls(url) {
            let path = candidate.path().to_owned();
            let why = match self.get(candidate).await {
                Ok((body, _)) => match jwks_url_of_metadata(issuer, url, &body) {
                    Ok(jwks) => return Ok(jwks),
                    Err(why) => FetchError::new(why),
                },
                Err(error) => error,
            };
            failures.push_str(&format!("; {path}: {why}"));
        }
        Err(FetchError::new(failures))
    }
}

impl Fetch for HttpFetch {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.fetch_now())
    }
}

fn client(is_local: bool) -> Result<Client, ConfigError> {
    let mut builder = Client::builder()
        .user_agent(concat!("mcp-auth/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::custom(follow_on_the_same_host))
        .referer(false)
        // Fetches are minutes apart, and a connection does not outlive the runtime that made it.
        .pool_max_idle_per_host(0);
    if is_local {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| ConfigError::new(format!("no HTTP client can be made: {error}")))
}

fn follow_on_the_same_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let next = attempt.url();
    let is_same = attempt.previous().first().is_some_and(|first| {
        first.scheme() == next.scheme()
            && first.host_str() == next.host_str()
            && first.port_or_known_default() == next.port_or_known_default()
    });
    if !is_same {
        attempt.error("a redirect to another host")
    } else if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("too many redirects")
    } else {
        attempt.follow()
    }
}

/// Counts while reading, so that neither a false length nor none at all fills the memory.
async fn bounded_body(response: &mut Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        if body.len().saturating_add(piece.len()) > MAX_BODY {
            return Err(FetchError::new("more than 512 KiB"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Says what broke, down to the cause, but not which URL: it may hold a secret.
fn broken(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    FetchError::new(message)
}
