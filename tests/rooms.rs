//! What holds for every layer alone, and for the stack: it calls only what is ready, it is as
//! `Clone`, `Debug`, `Send` and `Sync` as its parts, it shows no secret, it keeps the error of the
//! service inside, and it refuses everything where a layer that it needs is missing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/log.rs"]
mod log;

use std::{
    cell::Cell,
    collections::BTreeSet,
    convert::Infallible,
    fmt::Debug,
    future::{Ready, ready},
    mem,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use http::{Extensions, Request, Response, StatusCode, request::Parts};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use mcp_auth::{
    AuditLogLayer, Auth, AuthStack, AuthTrail, Decision, Granted, JwtValidateLayer, JwtValidator,
    KeyHeader, KeyMap, KeyMapLayer, KeyStore, ListFilterLayer, McpBody, McpRequest,
    McpRequestLayer, MemoryRateLimitStore, MemoryRevocationStore, MemorySessionStore, Off,
    OriginGuardLayer, Origins, PeerAddr, PolicyFn, Quota, RateKey, RateLimit, RateLimitLayer,
    RateLimitStore, RecordingSink, Rejection, ResourceMetadata, ResourceMetadataLayer, Revocation,
    RevocationLayer, RevocationStore, ScopeGuardLayer, SessionGuardLayer, StaticJwks, StoreError,
    StreamGuardLayer, UnixTime, UpstreamKey, UpstreamKeyId, Verdict, VerificationKey,
    VerificationKeyId, VerifiedToken, key_store_fn, policy_fn, revocation_store_fn,
    testing::TestIssuer,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use serde_json::{Value, json};
use tower::{
    Layer, Service, ServiceExt,
    limit::ConcurrencyLimit,
    service_fn,
    util::{BoxCloneSyncService, ServiceFn},
};
use tracing::{level_filters::LevelFilter, subscriber::DefaultGuard};

const RESOURCE: &str = "https://mcp.example/mcp";
const METADATA_PATH: &str = "/.well-known/oauth-protected-resource/mcp";

// What may be seen nowhere.
const KEY: &str = "canary-key-8e2d";
const CLAIM: &str = "canary-claim-41fb";
const ARGUMENT: &str = "canary-argument-7c90";

static ISSUER: LazyLock<TestIssuer> = LazyLock::new(|| TestIssuer::start().unwrap());
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let claims = ISSUER.claims().audience(RESOURCE).scope("read:data");
    ISSUER.token(&claims.jwt_id("t-1").claim("note", &format!("{CLAIM:?}")))
});

/// When a store, or a request's body, is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    AtOnce,
    Later,
}

impl When {
    async fn come(self) {
        if self == Self::Later {
            tokio::task::yield_now().await;
        }
    }
}

fn validator() -> JwtValidator {
    JwtValidator::new(ISSUER.url(), RESOURCE).unwrap()
}

fn metadata() -> ResourceMetadata {
    ResourceMetadata::new(RESOURCE, [ISSUER.url()]).unwrap()
}

fn jwks() -> StaticJwks {
    StaticJwks::from_json(ISSUER.url(), ISSUER.jwks().as_bytes()).unwrap()
}

fn verification_keys(
    when: When,
) -> impl KeyStore<VerificationKeyId, Key = VerificationKey> + Debug {
    let keys = jwks();
    key_store_fn(move |id: VerificationKeyId| {
        let key = keys.key(&id);
        async move {
            when.come().await;
            key.await
        }
    })
}

fn revocations(when: When) -> impl RevocationStore + Debug {
    revocation_store_fn(move |_| async move {
        when.come().await;
        Ok(Revocation::Active)
    })
}

fn upstream_keys(when: When) -> impl KeyStore<UpstreamKeyId, Key = UpstreamKey> + Debug {
    let key = UpstreamKey::new("ro", KEY).unwrap();
    key_store_fn(move |_: UpstreamKeyId| {
        let key = key.clone();
        async move {
            when.come().await;
            Ok(Some(key))
        }
    })
}

fn policy() -> PolicyFn<impl Fn(&mcp_auth::Access<'_>) -> Decision + Send + Sync + Clone> {
    policy_fn(
        |access: &mcp_auth::Access<'_>| match access.operation.target() {
            Some(target) if target.name().starts_with("drop_") => Decision::forbid(),
            _ => Decision::allow(),
        },
    )
}

/// Counts in memory.
#[derive(Clone, Debug)]
struct Counts(When, MemoryRateLimitStore);

impl RateLimitStore for Counts {
    type Future = BoxFuture<'static, Result<Verdict, StoreError>>;

    fn take(&self, key: &RateKey, quota: &Quota, cost: NonZeroU32, now: UnixTime) -> Self::Future {
        let (when, verdict) = (self.0, self.1.take(key, quota, cost, now));
        Box::pin(async move {
            when.come().await;
            verdict.await
        })
    }
}

fn limits(when: When) -> RateLimitLayer<Counts> {
    let quota = Quota::per_hour(NonZeroU32::new(100).unwrap());
    RateLimitLayer::new(
        Counts(when, MemoryRateLimitStore::new()),
        RateLimit::new("calls", quota),
    )
}

fn stack(
    when: When,
    sink: Arc<RecordingSink>,
) -> AuthStack<
    impl KeyStore<VerificationKeyId, Key = VerificationKey> + Debug,
    impl RevocationStore + Debug,
    Counts,
    impl KeyStore<UpstreamKeyId, Key = UpstreamKey> + Debug,
> {
    AuthStack::new(validator(), verification_keys(when), metadata(), policy())
        .with_token_cache(0)
        .with_revocation(revocations(when))
        .with_rate_limit(limits(when))
        .with_upstream_keys(upstream_keys(when), KeyHeader::default())
        .with_audit(sink)
}

/// A body that is there at once, or at the second look.
#[derive(Debug)]
struct Text {
    when: When,
    text: Option<Bytes>,
}

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if mem::replace(&mut self.when, When::AtOnce) == When::Later {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.text.take().map(|text| Ok(Frame::data(text))))
    }
}

/// A call of a tool, as a client sends it.
fn sent(when: When, tool: &str) -> Request<Text> {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"text":"{ARGUMENT}"}}}}}}"#
    );
    Request::post(RESOURCE)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", *TOKEN))
        .body(Text {
            when,
            text: Some(text.into()),
        })
        .unwrap()
}

/// The same with all that layers outside of any layer leave in it.
async fn request(when: When, tool: &str) -> Request<Text> {
    let probe = Probe::new();
    let outside = McpRequestLayer::new().layer(probe.clone());
    let verified = JwtValidateLayer::new(validator(), jwks()).layer(outside);
    let _ = verified.oneshot(sent(When::AtOnce, tool)).await.unwrap();
    let mut request = sent(when, tool);
    *request.extensions_mut() = probe.seen()[0].extensions.clone();
    let extensions = request.extensions_mut();
    extensions.insert(PeerAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let trail = AuthTrail::default();
    trail.set_token(extensions.get().unwrap());
    extensions.insert(trail);
    request
}

/// A service that panics when it is called without having said that it is ready: this very one, not
/// one that it is a clone of. It is ready, and it answers, at the second look.
#[derive(Debug)]
struct Probe<E = Infallible> {
    looks: usize,
    /// In place of being ready, and in place of an answer.
    fails_to_be_ready: Option<E>,
    fails: Option<E>,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    seen: Mutex<Vec<Parts>>,
    busy: AtomicUsize,
    most_busy: AtomicUsize,
}

impl Probe {
    fn new() -> Self {
        Self {
            looks: 0,
            fails_to_be_ready: None,
            fails: None,
            log: Arc::default(),
        }
    }
}

impl<E> Probe<E> {
    fn seen(&self) -> Vec<Parts> {
        self.log.seen.lock().unwrap().clone()
    }
}

impl<E: Clone> Clone for Probe<E> {
    fn clone(&self) -> Self {
        Self {
            looks: 0,
            fails_to_be_ready: self.fails_to_be_ready.clone(),
            fails: self.fails.clone(),
            log: Arc::clone(&self.log),
        }
    }
}

impl<E: Send + 'static, B> Service<Request<B>> for Probe<E> {
    type Response = Response<Full<Bytes>>;
    type Error = E;
    type Future = BoxFuture<'static, Result<Self::Response, E>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.looks += 1;
        if self.looks == 1 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.fails_to_be_ready.take().map_or(Ok(()), Err))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(mem::take(&mut self.looks) > 1, "called and not ready");
        let log = Arc::clone(&self.log);
        log.seen.lock().unwrap().push(request.into_parts().0);
        let failed = self.fails.take();
        Box::pin(async move {
            let busy = log.busy.fetch_add(1, SeqCst) + 1;
            log.most_busy.fetch_max(busy, SeqCst);
            tokio::task::yield_now().await;
            log.busy.fetch_sub(1, SeqCst);
            failed.map_or_else(|| Ok(Response::default()), Err)
        })
    }
}

/// Waits, and not for ever.
async fn soon<F: Future>(future: F) -> F::Output {
    let waited = tokio::time::timeout(Duration::from_secs(20), future).await;
    waited.expect("waited in vain")
}

/// A layer's service calls the one inside only when that very one is ready, with an answer that is
/// there at once and with one that is not.
async fn calls_only_what_is_ready<L, ResB>(layer: impl Fn(When) -> L)
where
    L: Layer<Probe>,
    L::Service: Service<Request<Text>, Response = Response<ResB>, Error = Infallible> + Clone,
{
    for when in [When::AtOnce, When::Later] {
        let probe = Probe::new();
        let mut service = layer(when).layer(probe.clone());
        for _ in 0..2 {
            let ready = service.ready().await.unwrap();
            let response = ready.call(request(when, "get_note").await).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{when:?}");
        }
        // Two at a time, of one service: the second is asked for before the first has ended.
        let first = service.ready().await.unwrap();
        let first = first.call(request(when, "get_note").await);
        let second = service.ready().await.unwrap();
        let second = second.call(request(when, "get_note").await);
        join_all([first, second]).await;
        let other = service.clone();
        let _ = other.oneshot(request(when, "get_note").await).await;
        assert_eq!(probe.seen().len(), 5, "{when:?}");
    }
}

/// The place that the service inside kept is the one that the request takes, and is given back.
async fn keeps_to_a_limit_of_one<L, ResB>(layer: impl Fn(When) -> L)
where
    L: Layer<ConcurrencyLimit<Probe>>,
    L::Service: Service<Request<Text>, Response = Response<ResB>, Error = Infallible> + Clone,
{
    for when in [When::AtOnce, When::Later] {
        let probe = Probe::new();
        let service = layer(when).layer(ConcurrencyLimit::new(probe.clone(), 1));
        let calls = (0..4).map(|_| {
            let service = service.clone();
            async move { service.oneshot(request(when, "get_note").await).await }
        });
        for response in soon(join_all(calls)).await {
            assert_eq!(response.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(probe.seen().len(), 4);
        assert_eq!(probe.log.most_busy.load(SeqCst), 1);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Broken;

/// The error of the service inside comes out as it is.
async fn keeps_the_error<L, ResB>(layer: L)
where
    L: Layer<Probe<Broken>>,
    L::Service: Service<Request<Text>, Response = Response<ResB>, Error = Broken>,
{
    for (fails_to_be_ready, fails) in [(Some(Broken), None), (None, Some(Broken))] {
        let service = layer.layer(Probe {
            looks: 0,
            fails_to_be_ready,
            fails,
            log: Arc::default(),
        });
        let answer = service.oneshot(request(When::AtOnce, "get_note").await);
        assert_eq!(answer.await.map(|_| ()), Err(Broken));
    }
}

/// Layer, service, future and body are what their parts are.
async fn is_what_its_parts_are<L, ResB>(layer: L)
where
    L: Layer<Probe> + Clone + Debug + Send + Sync + 'static,
    L::Service: Service<Request<Text>, Response = Response<ResB>, Error = Infallible>
        + Clone
        + Debug
        + Send
        + Sync
        + 'static,
    <L::Service as Service<Request<Text>>>::Future: Debug + Send + 'static,
    ResB: Body<Data = Bytes, Error = Infallible> + Debug + Send + Sync + 'static,
{
    let service = layer.clone().layer(Probe::new());
    let request = request(When::Later, "get_note").await;
    // As a server runs it: moved to a task.
    let answer = tokio::spawn(service.oneshot(request)).await.unwrap();
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}

/// No `Debug`, log, header or body shows a token, a key, a claim that is nobody's name, or an argument.
async fn shows_no_secret<L, ResB>(layer: L)
where
    L: Layer<Probe> + Debug,
    L::Service: Service<Request<Text>, Response = Response<ResB>, Error = Infallible> + Debug,
    <L::Service as Service<Request<Text>>>::Future: Debug,
    ResB: Body<Data = Bytes, Error = Infallible> + Debug,
{
    let log = Logged::from_here_on();
    let mut shown = vec![format!("{layer:?} {layer:#?}")];
    let probe = Probe::new();
    let mut service = layer.layer(probe.clone());
    for tool in ["get_note", "drop_all"] {
        let request = request(When::Later, tool).await;
        shown.push(extensions(request.extensions()));
        let answer = service.ready().await.unwrap().call(request);
        shown.push(format!("{answer:?}"));
        let (head, body) = answer.await.unwrap().into_parts();
        shown.push(format!("{head:?} {body:?}"));
        shown.push(format!("{:?}", head.extensions.get::<Rejection>()));
        let body = body.collect().await.unwrap().to_bytes();
        shown.push(String::from_utf8(body.to_vec()).unwrap());
    }
    let seen = probe.seen();
    assert!(!seen.is_empty(), "nothing came through");
    for head in seen {
        shown.push(extensions(&head.extensions));
        shown.push(format!("{:?}", head.headers.get("x-api-key")));
    }
    // The probe itself holds the request's headers as they came.
    probe.log.seen.lock().unwrap().clear();
    shown.push(format!("{service:?} {service:#?}"));
    shown.push(log.text());
    assert_no_canary(&shown);
}

/// What a request carries, which `Extensions` does not show.
fn extensions(of: &Extensions) -> String {
    let key = of.get::<UpstreamKey>();
    let id = of.get::<VerifiedToken>().map(|token| {
        let asked = of.get::<McpRequest>().cloned();
        UpstreamKeyId::new(
            token.clone(),
            asked,
            of.get::<Granted>().map(|granted| granted.grant().clone()),
        )
    });
    let (granted, trail) = (of.get::<Granted>(), of.get::<AuthTrail>());
    format!(
        "{key:?} {id:#?} {granted:?} {trail:?} {:?}",
        of.get::<PeerAddr>()
    )
}

fn assert_no_canary(shown: &[String]) {
    let parts = TOKEN.split('.');
    let canaries: Vec<&str> = parts.chain([KEY, CLAIM, ARGUMENT]).collect();
    assert_eq!(canaries.len(), 6);
    for text in shown {
        for canary in &canaries {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}

/// What a layer needs: its type's name, and how it goes from one request's extensions to another's.
type Need = (&'static str, fn(&mut Extensions, &mut Extensions));

fn moved<T: Clone + Send + Sync + 'static>(from: &mut Extensions, to: &mut Extensions) {
    to.insert(from.remove::<T>().unwrap());
}

/// Without what it needs a layer refuses everything, and says in the log, once, what to add.
async fn refuses_without<L, ResB>(layer: impl Fn(When) -> L, needs: &[Need])
where
    L: Layer<Probe>,
    L::Service: Service<Request<Text>, Response = Response<ResB>, Error = Infallible>,
    ResB: Body<Data = Bytes, Error = Infallible>,
{
    for (name, moved) in needs {
        let log = Logged::from_here_on();
        let probe = Probe::new();
        let mut service = layer(When::AtOnce).layer(probe.clone());
        for _ in 0..2 {
            let mut request = request(When::AtOnce, "get_note").await;
            moved(request.extensions_mut(), &mut Extensions::new());
            let ready = service.ready().await.unwrap();
            let (head, body) = ready.call(request).await.unwrap().into_parts();
            assert_eq!(head.status, StatusCode::INTERNAL_SERVER_ERROR, "{name}");
            let rejection = head.extensions.get::<Rejection>().unwrap();
            assert_eq!(rejection.reason().as_str(), "layer_missing");
            let body = body.collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"], "server_error", "{name}");
        }
        assert!(probe.seen().is_empty(), "{name}: it passed");
        let from = match *name {
            "VerifiedToken" => "JwtValidateLayer",
            "McpRequest" => "McpRequestLayer",
            name => name,
        };
        let log = log.text();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
        assert_eq!(errors.len(), 1, "{log}");
        assert!(errors[0].contains(&format!("add {from}")), "{log}");
    }
}

/// With what it needs, and nothing else, it lets a good request through.
async fn is_content_with<L, ResB>(layer: L, needs: &[Need])
where
    L: Layer<Probe>,
    L::Service: Service<Request<Text>, Response = Response<ResB>, Error = Infallible>,
{
    let mut request = request(When::AtOnce, "get_note").await;
    let mut full = mem::take(request.extensions_mut());
    for (_, moved) in needs {
        moved(&mut full, request.extensions_mut());
    }
    let probe = Probe::new();
    let answer = layer.layer(probe.clone()).oneshot(request).await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    assert_eq!(probe.seen().len(), 1);
}

/// All that this thread logs, at any level, while it lives.
struct Logged {
    log: log::Log,
    _until_dropped: DefaultGuard,
}

impl Logged {
    fn from_here_on() -> Self {
        let log = log::Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        Self {
            log,
            _until_dropped: tracing::subscriber::set_default(subscriber),
        }
    }

    fn text(&self) -> String {
        self.log.text()
    }
}

/// The tests that every room passes.
macro_rules! passes {
    ($room:ident, needs [$($need:ident),*], $layer:expr) => {
        mod $room {
            use super::*;

            #[tokio::test]
            async fn calls_only_what_is_ready() {
                super::calls_only_what_is_ready($layer).await;
                super::keeps_to_a_limit_of_one($layer).await;
            }

            #[tokio::test]
            async fn keeps_the_error() {
                super::keeps_the_error($layer(When::AtOnce)).await;
            }

            #[tokio::test]
            async fn is_what_its_parts_are() {
                super::is_what_its_parts_are($layer(When::Later)).await;
            }

            #[tokio::test]
            async fn stands_in_an_axum_router() {
                let routed = Router::new()
                    .route("/mcp", axum::routing::any(|| async { "Here" }))
                    .layer($layer(When::Later));
                let request = request(When::Later, "get_note").await;
                let answer = routed.oneshot(request.map(axum::body::Body::new)).await;
                let body = answer.unwrap().into_body().collect().await.unwrap();
                assert_eq!(body.to_bytes(), "Here");
            }

            #[tokio::test]
            async fn shows_no_secret() {
                super::shows_no_secret($layer(When::Later)).await;
            }

            #[tokio::test]
            async fn refuses_without_what_it_needs() {
                let needs: &[Need] = &[$((stringify!($need), moved::<$need>)),*];
                super::refuses_without($layer, needs).await;
                super::is_content_with($layer(When::AtOnce), needs).await;
            }
        }
    };
}

macro_rules! rooms {
    ($($room:ident needs $needs:tt: $layer:expr;)*) => {
        const ROOMS: &[&str] = &[$(stringify!($room)),*];
        $(passes!($room, needs $needs, $layer);)*
    };
}

rooms! {
    audit_log needs []: |_: When| AuditLogLayer::new(RecordingSink::new());
    origin_guard needs []: |_: When| OriginGuardLayer::new(&metadata());
    resource_metadata needs []: |_: When| ResourceMetadataLayer::new(&metadata());
    jwt_validate needs []: |when: When| {
        JwtValidateLayer::new(validator(), verification_keys(when))
    };
    revocation needs [VerifiedToken]: |when: When| RevocationLayer::new(revocations(when));
    session_guard needs [VerifiedToken, McpRequest]: |_: When| {
        SessionGuardLayer::new(MemorySessionStore::new())
    };
    mcp_request needs []: |_: When| McpRequestLayer::new();
    scope_guard needs [VerifiedToken, McpRequest]: |_: When| ScopeGuardLayer::new(policy());
    rate_limit needs [VerifiedToken, McpRequest, PeerAddr]: |when: When| {
        let quota = Quota::per_hour(NonZeroU32::new(100).unwrap());
        let counts = Counts(when, MemoryRateLimitStore::new());
        RateLimitLayer::new(counts, RateLimit::new("calls", quota).per_peer())
    };
    key_map needs [VerifiedToken]: |when: When| KeyMapLayer::new(upstream_keys(when));
    list_filter needs [VerifiedToken, McpRequest]: |_: When| ListFilterLayer::new(policy());
    stream_guard needs [VerifiedToken, McpRequest]: |when: When| {
        StreamGuardLayer::new(revocations(when))
    };
}

passes!(whole_stack, needs [], |when: When| stack(when, Arc::default()));

#[test]
fn no_room_is_missing_from_the_list() {
    let layers = concat!(env!("CARGO_MANIFEST_DIR"), "/src/layers");
    let folders = std::fs::read_dir(layers).unwrap().map(Result::unwrap);
    let rooms: BTreeSet<String> = folders
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name != "shared")
        .collect();
    assert_eq!(rooms, ROOMS.iter().map(ToString::to_string).collect());
}

#[tokio::test]
async fn the_audit_log_of_the_stack_shows_no_secret() {
    let sink = Arc::new(RecordingSink::new());
    let probe = Probe::new();
    let service = stack(When::AtOnce, Arc::clone(&sink)).layer(probe.clone());
    for tool in ["get_note", "drop_all"] {
        let _ = service.clone().oneshot(sent(When::AtOnce, tool)).await;
    }
    assert_eq!(probe.seen()[0].headers["x-api-key"], KEY);
    assert!(!probe.seen()[0].headers.contains_key("authorization"));
    let events = sink.events();
    assert_eq!(events.len(), 2);
    let shown: Vec<String> = events
        .iter()
        .map(|event| format!("{event:?} {}", event.to_json()))
        .collect();
    assert_no_canary(&shown);
}

#[tokio::test]
async fn the_body_of_a_request_that_was_read_shows_no_secret() {
    let service = McpRequestLayer::new().layer(service_fn(|request: Request<McpBody>| async {
        let shown = format!("{:?}", request.body());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains(ARGUMENT));
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(shown))))
    }));
    let answer = service.oneshot(sent(When::AtOnce, "get_note")).await;
    let shown = answer.unwrap().into_body().collect().await.unwrap();
    assert_eq!(shown.to_bytes(), "McpBody { .. }");
}

type Answer = Ready<Result<Response<Full<Bytes>>, Infallible>>;
type Plain = ServiceFn<fn(Request<McpBody>) -> Answer>;
type Boxed =
    BoxCloneSyncService<Request<Text>, Response<mcp_auth::AuthBody<Full<Bytes>>>, Infallible>;
type Rmcp = StreamableHttpService<Silent, LocalSessionManager>;

/// The stack and its service with every type named, and boxed.
#[derive(Clone, Debug)]
struct Stored {
    stack: AuthStack<StaticJwks, MemoryRevocationStore, MemoryRateLimitStore, KeyMap>,
    plain: Auth<Plain, StaticJwks, MemoryRevocationStore, MemoryRateLimitStore, KeyMap>,
    least: Auth<Plain, StaticJwks>,
    limited: Auth<Plain, StaticJwks, Off, MemoryRateLimitStore>,
    boxed: Boxed,
}

fn named() -> AuthStack<StaticJwks, MemoryRevocationStore, MemoryRateLimitStore, KeyMap> {
    let keys = KeyMap::from_json(&format!(r#"{{"alice":{KEY:?}}}"#)).unwrap();
    // The official server answers loopback names alone.
    let origins = Origins::new(&metadata()).allow_loopback();
    limited()
        .with_origins(origins)
        .with_revocation(MemoryRevocationStore::new())
        .with_upstream_keys(keys, KeyHeader::default())
}

/// The parts in between that are left out have a name too.
fn limited() -> AuthStack<StaticJwks, Off, MemoryRateLimitStore> {
    let quota = Quota::per_hour(NonZeroU32::new(100).unwrap());
    let limit = RateLimit::new("calls", quota);
    least().with_rate_limit(RateLimitLayer::new(MemoryRateLimitStore::new(), limit))
}

fn least() -> AuthStack<StaticJwks> {
    AuthStack::new(validator(), jwks(), metadata(), policy())
}

fn plain() -> Plain {
    service_fn(|request| {
        let key = request.headers().get("x-api-key").cloned();
        let body = key.map_or_else(Bytes::new, |key| Bytes::copy_from_slice(key.as_bytes()));
        ready(Ok(Response::new(Full::new(body))))
    })
}

#[tokio::test]
async fn the_stack_is_named_stored_and_boxed() {
    let stack = named();
    let stored = Stored {
        plain: stack.layer(plain()),
        least: least().layer(plain()),
        limited: limited().layer(plain()),
        boxed: BoxCloneSyncService::new(stack.layer(plain())),
        stack,
    };
    let again = stored.clone().stack.layer(plain());
    for (service, body) in [
        (BoxCloneSyncService::new(stored.plain), KEY),
        (BoxCloneSyncService::new(stored.least), ""),
        (BoxCloneSyncService::new(stored.limited), ""),
        (BoxCloneSyncService::new(again), KEY),
        (stored.boxed, KEY),
    ] {
        let answer = service.oneshot(sent(When::Later, "get_note")).await;
        let answer = answer.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), body);
    }
}

/// Nothing asks of the service inside what only some servers need: it may stay on its thread.
#[tokio::test]
async fn the_stack_stands_over_a_service_that_is_not_send() {
    let calls = Rc::new(Cell::new(0));
    let inside = Rc::clone(&calls);
    let service = named().layer(service_fn(move |_: Request<McpBody>| {
        inside.set(inside.get() + 1);
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    }));
    let answer = service.oneshot(sent(When::Later, "get_note")).await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    assert_eq!(calls.get(), 1);
}

/// An MCP server of the official kind, without tools.
#[derive(Clone, Debug)]
struct Silent;

impl rmcp::ServerHandler for Silent {}

fn rmcp() -> Rmcp {
    StreamableHttpService::new(
        || Ok(Silent),
        Arc::default(),
        StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true),
    )
}

/// A stack over the official server, as a field.
struct OverRmcp {
    service: Auth<Rmcp, StaticJwks, MemoryRevocationStore, MemoryRateLimitStore, KeyMap>,
}

/// Asks whether the server is there, with the token or without.
async fn ping<S, ReqB, ResB>(service: S, with_token: bool) -> (StatusCode, Value)
where
    S: Service<Request<ReqB>, Response = Response<ResB>, Error = Infallible>,
    ReqB: From<String>,
    ResB: Body<Data = Bytes, Error: Debug>,
{
    let mut request = Request::post("/mcp")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-06-18");
    if with_token {
        request = request.header("authorization", format!("Bearer {}", *TOKEN));
    }
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_owned();
    let request = request.body(message.into()).unwrap();
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, serde_json::from_slice(&body).unwrap())
}

async fn assert_guards<S, ReqB, ResB>(service: S)
where
    S: Service<Request<ReqB>, Response = Response<ResB>, Error = Infallible> + Clone,
    ReqB: From<String>,
    ResB: Body<Data = Bytes, Error: Debug>,
{
    let (status, body) = ping(service.clone(), false).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body["error"], "invalid_token");
    let (status, body) = ping(service, true).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
}

#[tokio::test]
async fn the_stack_stands_over_the_official_server() {
    let over = OverRmcp {
        service: named().layer(rmcp()),
    };
    assert_guards::<_, Full<Bytes>, _>(over.service.clone()).await;
    let boxed = BoxCloneSyncService::new(over.service);
    assert_guards::<_, Full<Bytes>, _>(boxed).await;
}

#[tokio::test]
async fn the_stack_stands_in_an_axum_router() {
    use axum::body::Body;

    let routed = Router::new().route_service("/mcp", rmcp()).layer(named());
    assert_guards::<_, Body, _>(routed.clone()).await;
    let asked = Request::get(METADATA_PATH).header("host", "localhost");
    let asked = asked.body(Body::empty()).unwrap();
    let answer = routed.oneshot(asked).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    let nested = Router::new().nest_service("/mcp", named().layer(rmcp()));
    assert_guards::<_, Body, _>(nested).await;
}
