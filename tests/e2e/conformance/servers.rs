//! The server as it is, and behind the whole stack.

use std::{
    future::ready,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, extract::Request, middleware::map_request};
use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use mcp_auth::{
    AuthStack, Jwks, JwtValidator, KeyHeader, KeyMap, MemoryRateLimitStore, MemoryRevocationStore,
    Quota, RateLimit, RateLimitLayer, RecordingSink, ResourceMetadata, ScopePolicy,
    testing::TestIssuer,
};
use tokio::net::TcpListener;

use super::{Failure, server::Server, support::eventually};

/// One scope opens everything that the server has.
pub(crate) const POLICY: &str = r#"{
    "base": ["mcp"],
    "methods": {"tasks/*": []},
    "tools": {"*": []},
    "prompts": {"*": []},
    "resources": {"*": []}
}"#;
pub(crate) const KEYS: &str = r#"{"alice": {"key": "internal-key", "scopes": ["mcp"]}}"#;
const KEY: &str = "internal-key";

fn service() -> Router {
    Router::new().route_service("/mcp", Server::default().into_service())
}

pub(crate) async fn listen() -> Result<(TcpListener, String), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    Ok((listener, url))
}

/// The server as it is. Gives its URL.
pub(crate) async fn bare() -> Result<String, Failure> {
    let (listener, url) = listen().await?;
    tokio::spawn(async move { axum::serve(listener, service()).await });
    Ok(url)
}

/// How many requests there were.
#[derive(Debug, Default)]
struct Counts {
    /// That the suite sent.
    sent: AtomicUsize,
    /// That the server got with the internal key and without a token, and otherwise.
    keyed: AtomicUsize,
    otherwise: AtomicUsize,
}

impl Counts {
    fn arrived(&self, request: &Request) {
        let headers = request.headers();
        let key = headers.get("x-api-key");
        let keyed = key.is_some_and(|key| key == KEY) && !headers.contains_key(AUTHORIZATION);
        let count = if keyed { &self.keyed } else { &self.otherwise };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

/// The server behind the whole stack.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// Where the token is added that the suite does not send.
    url: String,
    /// Where it is not.
    locked: String,
    counts: Arc<Counts>,
    audit: Arc<RecordingSink>,
    _issuer: TestIssuer,
}

impl Guarded {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let issuer = TestIssuer::start()?;
        let (listener, url) = listen().await?;
        let (locked_listener, locked) = listen().await?;
        let counts = Arc::<Counts>::default();
        let audit = Arc::new(RecordingSink::new());

        let generous = NonZeroU32::new(10_000).ok_or("no limit")?;
        let stack = AuthStack::new(
            JwtValidator::new(issuer.url(), &url)?,
            Jwks::discover(issuer.url())?,
            ResourceMetadata::new(&url, [issuer.url()])?,
            ScopePolicy::from_json(POLICY)?,
        )
        .with_revocation(MemoryRevocationStore::new())
        .with_rate_limit(RateLimitLayer::new(
            MemoryRateLimitStore::new(),
            RateLimit::new("all", Quota::per_second(generous)),
        ))
        .with_upstream_keys(KeyMap::from_json(KEYS)?, KeyHeader::default())
        .with_audit(Arc::clone(&audit));

        let counting = Arc::clone(&counts);
        let guarded = service()
            .layer(map_request(move |request: Request| {
                counting.arrived(&request);
                ready(request)
            }))
            .layer(stack);

        let token = issuer.token(&issuer.claims().audience(&url).scope("mcp"));
        let bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
        let counting = Arc::clone(&counts);
        let open = guarded
            .clone()
            .layer(map_request(move |mut request: Request| {
                counting.sent.fetch_add(1, Ordering::SeqCst);
                request.headers_mut().insert(AUTHORIZATION, bearer.clone());
                ready(request)
            }));
        tokio::spawn(async move { axum::serve(listener, open).await });
        tokio::spawn(async move { axum::serve(locked_listener, guarded).await });
        Ok(Self {
            url,
            locked,
            counts,
            audit,
            _issuer: issuer,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Makes sure that the stack stood there and did its work all the time.
    pub(crate) async fn was_guarded(&self) -> Result<(), Failure> {
        let [sent, keyed, otherwise] = [
            &self.counts.sent,
            &self.counts.keyed,
            &self.counts.otherwise,
        ]
        .map(|count| count.load(Ordering::SeqCst));
        println!("{sent} requests were sent through the stack, {keyed} came through");
        if keyed == 0 || otherwise > 0 {
            let why = format!("{otherwise} requests came through as they should not");
            return Err(why.into());
        }
        // That a client went away is noticed after it went.
        eventually("one audit event for each request", || {
            let events = self.audit.events();
            let asked = events.iter().filter(|event| event.action() != "stream_end");
            (asked.count() == sent).then_some(())
        })
        .await;
        let answer = reqwest::Client::new().post(&self.locked).send().await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            let why = format!("a request without a token got {}", answer.status());
            return Err(why.into());
        }
        Ok(())
    }
}
