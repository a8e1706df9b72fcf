//! An issuer's verification keys, fetched over HTTP and kept fresh.

mod discovery;
mod fetch;
mod freshness;
mod in_force;
mod keeper;
mod location;
mod source;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use self::{
    fetch::HttpFetch,
    location::issuer_url,
    source::{Answer, Judged, Source},
};
use crate::{
    clock::{Clock, SystemClock},
    error::{ConfigError, StoreError},
    keys::{KeyStore, VerificationKey, VerificationKeyId},
};

/// How long keys serve past their TTL while no new ones can be had, unless said otherwise.
const MAX_STALE: Duration = Duration::from_secs(60 * 60);

/// The verification keys of one or several issuers, fetched over HTTP and kept fresh (RFC 7517,
/// RFC 8414, OpenID Connect Discovery). Cheap to clone; clones share their keys.
///
/// ```
/// use mcp_auth::Jwks;
///
/// let keys = Jwks::discover("https://idp.example.com")?.and(Jwks::new(
///     "https://other.example.com",
///     "https://other.example.com/keys.json",
/// )?)?;
/// # let _ = keys;
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
///
/// It needs a tokio runtime with time and IO. It begins to fetch when it is first used there, or by
/// [`Jwks::start`], and stops when its last clone is dropped.
///
/// - A key that is known is answered at once, without a lock.
/// - A `kid` that is not known waits for one shared fetch, at most 5 s. Such a fetch happens at most
///   once in 10 s, however many tokens ask. A `kid` that a fresh set lacks is no key's (401), and is
///   not looked for again for 30 s where that set was fetched for it.
/// - Keys are fetched anew in the background before their TTL ends: `max-age` of the answer, within a
///   minute and an hour; ten minutes where it says nothing. A set is replaced whole. Tokens that were
///   verified with a key that the new set lacks are verified anew.
/// - While the issuer is down, known keys serve for [an hour](Jwks::with_max_stale) past their TTL.
///   Whoever's key cannot be found out is asked to come back (503), never refused (401).
/// - Only `https` is fetched, or `http` on this machine; no redirect leads to another host; an answer
///   has at most 512 KiB and a set at most 100 keys. A key that cannot be used is skipped.
/// - The issuer's certificate must be valid under those that the system trusts; on Linux the file that
///   `SSL_CERT_FILE` names replaces them, for an authority of your own.
#[derive(Clone)]
#[must_use]
pub struct Jwks {
    sources: Arc<[Arc<Source>]>,
}

impl Jwks {
    /// The keys of an issuer, from where its metadata says: RFC 8414, then OpenID Connect Discovery,
    /// in the order of the MCP specification. Nothing is fetched yet.
    ///
    /// The metadata is read again after an hour, and after two fetches in a row that brought no usable
    /// key. While it cannot be had, keys are fetched from where it said before.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the issuer is no `https` URL (`http` on this machine), or has a query
    /// or fragment; and where the system trusts no certificate at all.
    pub fn discover(issuer: impl Into<Arc<str>>) -> Result<Self, ConfigError> {
        let issuer = issuer.into();
        let fetch = HttpFetch::discovered(&issuer)?;
        Ok(Self::of(issuer, Arc::new(fetch)))
    }

    /// The keys of an issuer, from a fixed URL. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where one of the two is no `https` URL (`http` on this machine), or the issuer
    /// has a query or fragment; and where the system trusts no certificate at all.
    pub fn new(issuer: impl Into<Arc<str>>, jwks_uri: &str) -> Result<Self, ConfigError> {
        let issuer = issuer.into();
        issuer_url(&issuer)?;
        let fetch = HttpFetch::fixed(jwks_uri)?;
        Ok(Self::of(issuer, Arc::new(fetch)))
    }

    fn of(issuer: Arc<str>, fetch: Arc<dyn fetch::Fetch>) -> Self {
        let source = Source::new(issuer, fetch, Arc::new(SystemClock), MAX_STALE);
        Self {
            sources: Arc::new([Arc::new(source)]),
        }
    }

    /// Adds the keys of other issuers. Each has its own: two issuers may use one `kid`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where both have keys of one issuer.
    pub fn and(self, other: Self) -> Result<Self, ConfigError> {
        if let Some(twice) = other
            .sources
            .iter()
            .find(|source| self.source(source.issuer()).is_some())
        {
            let issuer = twice.issuer();
            return Err(ConfigError::new(format!(
                "the issuer {issuer:?} is there twice"
            )));
        }
        Ok(Self {
            sources: self
                .sources
                .iter()
                .chain(other.sources.iter())
                .cloned()
                .collect(),
        })
    }

    /// How long known keys serve past their TTL while no new ones can be had (default 1 h). Call it
    /// before the first use: keys that are there already are not taken along.
    pub fn with_max_stale(self, max_stale: Duration) -> Self {
        self.anew(|source| source.anew(Arc::clone(&source.clock), max_stale))
    }

    /// Reads the time elsewhere than from the system. Call it before the first use: keys that are
    /// there already are not taken along.
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(clock);
        self.anew(|source| source.anew(Arc::clone(&clock), source.max_stale))
    }

    fn anew(&self, one: impl Fn(&Source) -> Arc<Source>) -> Self {
        Self {
            sources: self.sources.iter().map(|source| one(source)).collect(),
        }
    }

    /// Begins to fetch, and to keep the keys fresh, before the first token comes. Outside of a tokio
    /// runtime it does nothing, and the first use inside begins.
    pub fn start(&self) {
        for source in self.sources.iter() {
            source.keep_fresh();
        }
    }

    /// Whether there are keys in force of every issuer: for a readiness probe. It begins to fetch as
    /// [`Jwks::start`] does.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.start();
        self.sources.iter().all(|source| source.is_ready())
    }

    fn source(&self, issuer: &str) -> Option<&Arc<Source>> {
        self.sources
            .iter()
            .find(|source| **source.issuer() == *issuer)
    }
}

/// Shows the issuers.
impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<_> = self.sources.iter().map(|source| source.issuer()).collect();
        f.debug_struct("Jwks")
            .field("issuers", &issuers)
            .finish_non_exhaustive()
    }
}

impl KeyStore<VerificationKeyId> for Jwks {
    type Key = VerificationKey;
    type Future = JwksFuture;

    fn key(&self, id: &VerificationKeyId) -> JwksFuture {
        let Some(source) = self.source(id.issuer()) else {
            tracing::debug!(issuer = ?id.issuer(), "there are no keys of this issuer here");
            return JwksFuture(Inner::Ready(Some(Ok(None))));
        };
        source.keep_fresh();
        let judged = match source.known(id) {
            Some(key) => Judged::Answer(Ok(Some(key))),
            None => source.judge(id, None),
        };
        let waiting = match judged {
            Judged::Answer(answer) => return JwksFuture(Inner::Ready(Some(answer))),
            Judged::Wait(waiting) => Some(waiting),
            // There may be one when it is polled.
            Judged::NoRuntime => None,
        };
        let answer = Arc::clone(source).find_out(id.clone(), waiting);
        JwksFuture(Inner::Pending(Box::pin(answer)))
    }
}

/// What [`Jwks`] answers with: at once where the key is known.
#[must_use]
pub struct JwksFuture(Inner);

enum Inner {
    Ready(Option<Answer>),
    Pending(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

impl fmt::Debug for JwksFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksFuture").finish_non_exhaustive()
    }
}

impl Future for JwksFuture {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match &mut self.0 {
            Inner::Ready(answer) => Poll::Ready(
                answer
                    .take()
                    .unwrap_or_else(|| Err(StoreError::new("the answer was already taken"))),
            ),
            Inner::Pending(answer) => answer.as_mut().poll(cx),
        }
    }
}
