//! Fetching a JWK Set over HTTP.

use std::{borrow::Cow, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use http::StatusCode;
use reqwest::{Client, Response, Url, redirect};

use super::{
    discovery::Discovery,
    freshness,
    location::{is_local, issuer_url, jwks_url},
};
use crate::{
    error::{ConfigError, in_full},
    keys::verification::KeySet,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_BODY: usize = 512 * 1024;
const MAX_REDIRECTS: usize = 3;

/// A JWK Set, and how long it may be used.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) keys: KeySet,
    pub(super) ttl: Duration,
}

impl Fetched {
    /// Reads the set.
    ///
    /// # Errors
    ///
    /// [`FetchError`] where no key of it can be used.
    pub(super) fn read(body: &[u8], ttl: Duration) -> Result<Self, FetchError> {
        let keys = KeySet::from_json(body).map_err(|error| FetchError::new(error.to_string()))?;
        Ok(Self { keys, ttl })
    }
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
    Discovered(Discovery),
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
            place: Place::Discovered(Discovery::new(Arc::clone(issuer), url)),
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
            Place::Discovered(discovery) => {
                let body = |url| async { self.get(url).await.map(|(body, _)| body) };
                discovery.find(body).await?
            }
        };
        let (body, ttl) = self
            .get(jwks)
            .await
            .map_err(|error| FetchError::new(format!("the JWK Set: {error}")))?;
        let fetched = Fetched::read(&body, ttl)?;
        if let Place::Discovered(discovery) = &self.place {
            discovery.worked();
        }
        Ok(fetched)
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
    builder.build().map_err(|error| {
        // The first error says only that it failed; a cause, that there are no certificates.
        ConfigError::new(format!(
            "no HTTP client can be made: {}",
            without_url(error)
        ))
    })
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

fn broken(error: reqwest::Error) -> FetchError {
    FetchError::new(without_url(error))
}

/// Says what broke, down to the cause, but not which URL: it may hold a secret.
fn without_url(error: reqwest::Error) -> String {
    in_full(&error.without_url())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::testing::TestIssuer;

    #[tokio::test]
    async fn fetches_that_are_broken_off_have_the_set_looked_for_again() {
        let (issuer, new) = (TestIssuer::start().unwrap(), TestIssuer::start().unwrap());
        let fetch = HttpFetch::discovered(&issuer.url().into()).unwrap();
        assert!(fetch.fetch().await.is_ok());
        let (name, jwks) = (issuer.url(), new.jwks_uri());
        issuer.set_document(
            "/.well-known/oauth-authorization-server",
            format!(r#"{{"issuer":"{name}","jwks_uri":"{jwks}"}}"#),
        );
        // As the time that a fetch may take ends it, where the old place hangs.
        for _ in 0..2 {
            assert!(fetch.fetch().now_or_never().is_none());
        }
        assert!(fetch.fetch().await.is_ok());
        assert_eq!(new.fetches(), 1);
        // What came well is asked again, though others were broken off before.
        assert!(fetch.fetch().now_or_never().is_none());
        issuer.hang(true);
        for _ in 0..3 {
            assert!(fetch.fetch().await.is_ok());
        }
        assert!(fetch.fetch().now_or_never().is_none());
        assert!(fetch.fetch().await.is_ok());
    }
}
