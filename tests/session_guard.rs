//! Sessions and the principals that opened them: what is bound, what is refused, and what the
//! service behind sees.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use mcp_auth::{
    Algorithm, AuditDecision, AuthBody, AuthStack, BoxSessionStore, Clock, Decision, JwtValidator,
    McpBody, McpRequestLayer, MemorySessionStore, Reason, RecordingSink, Rejection,
    ResourceMetadata, SessionGuardLayer, SessionHash, SessionOwner, SessionStore, StaticJwks,
    StoreError, UnixTime, policy_fn,
    testing::{ClaimsBuilder, TestClock, TestIssuer},
};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
const START: UnixTime = UnixTime::from_secs(1_700_000_000);

/// One request as it reached the service.
type Seen = (Method, HeaderMap);

/// A service behind the layers, that answers as the test says.
struct House {
    store: BoxSessionStore,
    clock: TestClock,
    seen: Arc<Mutex<Vec<Seen>>>,
    status: StatusCode,
    /// The `Mcp-Session-Id` fields of its answers.
    sessions: Vec<&'static str>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    reason: Option<Reason>,
    body: Value,
}

impl House {
    fn new() -> Self {
        Self::with_store(MemorySessionStore::new())
    }

    fn with_store(store: impl SessionStore) -> Self {
        Self {
            store: BoxSessionStore::new(store),
            clock: TestClock::new(START),
            seen: Arc::default(),
            status: StatusCode::OK,
            sessions: Vec::new(),
        }
    }

    fn answers(mut self, status: u16, sessions: &[&'static str]) -> Self {
        self.status = StatusCode::from_u16(status).unwrap();
        self.sessions = sessions.to_vec();
        self
    }

    async fn send(
        &self,
        who: Option<&ClaimsBuilder>,
        request: http::request::Builder,
        body: &'static str,
    ) -> Answer {
        let (seen, status, sessions) = (Arc::clone(&self.seen), self.status, self.sessions.clone());
        let inner = service_fn(move |request: Request<McpBody>| {
            let headers = request.headers().clone();
            seen.lock()
                .unwrap()
                .push((request.method().clone(), headers));
            let mut response = Response::builder().status(status);
            for session in &sessions {
                response = response.header("mcp-session-id", *session);
            }
            let response = response.body(Full::<Bytes>::default()).unwrap();
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let guard = SessionGuardLayer::new(self.store.clone()).with_clock(self.clock.clone());
        let service = McpRequestLayer::new().layer(guard.layer(inner));
        let mut request = request
            .uri("/mcp")
            .header("content-type", "application/json")
            .body(Full::from(body))
            .unwrap();
        if let Some(who) = who {
            let token = who.to_verified().unwrap();
            request.extensions_mut().insert(token);
        }
        let (head, body) = service.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            reason: head.extensions.get::<Rejection>().map(Rejection::reason),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    /// Opens a session in the service's name.
    async fn open(&self, who: &ClaimsBuilder) -> Answer {
        self.send(Some(who), post(None), INITIALIZE).await
    }

    /// Lists tools in a session.
    async fn list(&self, who: &ClaimsBuilder, session: &str) -> Answer {
        self.send(Some(who), post(Some(session)), LIST).await
    }

    /// What reached the service since the last question.
    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn request(method: Method, session: Option<&str>) -> http::request::Builder {
    let builder = Request::builder().method(method);
    match session {
        Some(session) => builder.header("mcp-session-id", session),
        None => builder,
    }
}

fn post(session: Option<&str>) -> http::request::Builder {
    request(Method::POST, session)
}

fn alice() -> ClaimsBuilder {
    ClaimsBuilder::new()
}

fn bob() -> ClaimsBuilder {
    ClaimsBuilder::new().subject("bob")
}

#[track_caller]
fn assert_no_such_session(answer: &Answer, is_message: bool) {
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.reason, Some(Reason::SessionMismatch));
    let expected = if is_message {
        json!({
            "jsonrpc": "2.0",
            "id": 7,
            "error": {"code": -31404, "message": "There is no such session"},
        })
    } else {
        json!({"error": "session_mismatch", "error_description": "There is no such session"})
    };
    assert_eq!(answer.body, expected);
    assert!(!answer.headers.contains_key("www-authenticate"));
    assert!(!answer.headers.contains_key("mcp-session-id"));
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn a_session_serves_its_principal_with_every_method() {
    let house = House::new().answers(200, &["s-1"]);
    let opened = house.open(&alice()).await;
    assert_eq!(opened.status, StatusCode::OK);
    assert_eq!(opened.headers["mcp-session-id"], "s-1");
    house.seen();

    // A new token: another id, another time, other scopes.
    let refreshed = alice()
        .jwt_id("another")
        .scope("write:data")
        .made_at(UnixTime::from_secs(1_800_000_000));
    for who in [alice(), refreshed] {
        for method in [Method::POST, Method::GET, Method::HEAD] {
            let body = if method == Method::POST { LIST } else { "" };
            let request = request(method.clone(), Some("s-1")).header("last-event-id", "e-9");
            let answer = house.send(Some(&who), request, body).await;
            assert_eq!(answer.status, StatusCode::OK, "{method}");
            // It is the session that was named.
            assert_eq!(answer.headers["mcp-session-id"], "s-1");
            let [(seen, headers)] = &house.seen()[..] else {
                panic!("the service saw not one request");
            };
            assert_eq!(seen, method);
            assert_eq!(headers["mcp-session-id"], "s-1");
            assert_eq!(headers["last-event-id"], "e-9");
        }
    }
    let delete = request(Method::DELETE, Some("s-1"));
    let answer = house.send(Some(&alice()), delete, "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(house.seen().len(), 1);
}

#[tokio::test]
async fn anybody_elses_session_is_like_one_that_never_was() {
    let house = House::new().answers(200, &["s-1"]);
    house.open(&alice()).await;
    house.seen();
    for who in [
        bob(),
        alice().issuer("https://other.example"),
        alice().client_id("client-2"),
        alice().without("client_id"),
    ] {
        for (session, whose) in [("s-1", &who), ("unknown", &who), ("unknown", &alice())] {
            for method in [Method::POST, Method::GET, Method::DELETE] {
                let is_message = method == Method::POST;
                let body = if is_message { LIST } else { "" };
                let request = request(method, Some(session)).header("last-event-id", "e-9");
                let answer = house.send(Some(whose), request, body).await;
                assert_no_such_session(&answer, is_message);
            }
        }
        // Nor can it be taken over.
        let answer = house.send(Some(&who), post(Some("s-1")), INITIALIZE).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(house.seen(), []);
    assert_eq!(house.list(&alice(), "s-1").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_answer_to_initialize_alone_binds() {
    let notification = r#"{"jsonrpc":"2.0","method":"initialize"}"#;
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}]"#;
    let stateless = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let modern = || {
        post(None)
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "initialize")
    };
    for (status, request, body) in [
        (200, post(None), LIST),
        (200, post(None), notification),
        (200, post(None), batch),
        (200, modern(), stateless),
        (200, request(Method::GET, None), ""),
        (200, request(Method::DELETE, None), ""),
        (400, post(None), INITIALIZE),
        (302, post(None), INITIALIZE),
        (500, post(None), INITIALIZE),
    ] {
        let house = House::new().answers(status, &["s-1"]);
        let answer = house.send(Some(&alice()), request, body).await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(house.seen().len(), 1, "{body}");
        assert!(!answer.headers.contains_key("mcp-session-id"), "{body}");
        assert_no_such_session(&house.list(&alice(), "s-1").await, true);
        assert_eq!(house.seen(), [], "{body}");
    }
}

#[tokio::test]
async fn clients_of_older_servers_have_sessions_too() {
    // The revision that a server chose is named by its clients, also where it is older than the header.
    for version in ["2024-11-05", "2024-10-07"] {
        let house = House::new().answers(200, &["s-1"]);
        let post = |session| post(session).header("mcp-protocol-version", version);
        let answer = house.send(Some(&alice()), post(None), INITIALIZE).await;
        assert_eq!(answer.headers["mcp-session-id"], "s-1", "{version}");
        house.seen();
        let answer = house.send(Some(&alice()), post(Some("s-1")), LIST).await;
        assert_eq!(answer.status, StatusCode::OK, "{version}: {}", answer.body);
        let [(_, headers)] = &house.seen()[..] else {
            panic!("one request");
        };
        assert_eq!(headers["mcp-session-id"], "s-1");
        assert_eq!(headers["mcp-protocol-version"], version);
        let answer = house.send(Some(&bob()), post(Some("s-1")), LIST).await;
        assert_no_such_session(&answer, true);
    }
}

#[tokio::test]
async fn an_answer_names_no_session_but_the_callers() {
    let house = House::new().answers(200, &["s-1"]);
    house.open(&bob()).await;
    let house = House {
        sessions: vec!["s-2"],
        ..house
    };
    house.open(&alice()).await;
    for (sessions, kept) in [
        (&["s-2"] as &[_], Some("s-2")),
        (&["s-1"], None),
        (&["s-3"], None),
        (&["s-2", "s-1"], None),
        (&[], None),
    ] {
        let store = house.store.clone();
        let house = House::with_store(store).answers(200, sessions);
        let answer = house.list(&alice(), "s-2").await;
        assert_eq!(answer.status, StatusCode::OK);
        let names = answer.headers.get("mcp-session-id");
        assert_eq!(names.map(|it| it.to_str().unwrap()), kept, "{sessions:?}");
    }
}

#[tokio::test]
async fn a_server_that_gives_out_a_session_twice_is_502() {
    let house = House::new().answers(200, &["s-1"]);
    house.open(&alice()).await;
    let answer = house.open(&bob()).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.reason, Some(Reason::UpstreamError));
    assert_eq!(answer.body["error"]["code"], -31502);
    assert_eq!(answer.body["id"], 1);
    assert!(!answer.headers.contains_key("mcp-session-id"));
    house.seen();
    assert_no_such_session(&house.list(&bob(), "s-1").await, true);
    assert_eq!(house.seen(), []);
    assert_eq!(house.list(&alice(), "s-1").await.status, StatusCode::OK);
    // To give it to the same principal again is nobody's harm.
    assert_eq!(house.open(&alice()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_server_that_gives_out_what_no_client_may_send_is_502() {
    for sessions in [&["two words"] as &[_], &[""], &["s-1", "s-1"]] {
        let house = House::new().answers(200, sessions);
        let answer = house.open(&alice()).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{sessions:?}");
        assert!(!answer.headers.contains_key("mcp-session-id"));
    }
    // A server without sessions is none the worse.
    let house = House::new();
    assert_eq!(house.open(&alice()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_malformed_session_is_400() {
    let house = House::new();
    let too_long = "a".repeat(4097);
    for session in ["", "two words", "caf\u{e9}", &too_long] {
        let answer = house.list(&alice(), session).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{session:?}");
        assert_eq!(answer.reason, Some(Reason::HeaderMismatch));
        assert_eq!(answer.body["error"]["code"], -32020);
        assert_eq!(answer.body["id"], 7);
        // Where no message was read, none is answered.
        let get = request(Method::GET, Some(session));
        let answer = house.send(Some(&alice()), get, "").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{session:?}");
        assert_eq!(answer.body["error"], "invalid_request", "{session:?}");
    }
    for twice in [["s-1", "s-1"], ["s-1", "s-2"]] {
        let request = post(Some(twice[0])).header("mcp-session-id", twice[1]);
        let answer = house.send(Some(&alice()), request, LIST).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.reason, Some(Reason::HeaderMismatch));
    }
    assert_eq!(house.seen(), []);
}

#[tokio::test]
async fn a_revision_without_sessions_passes_on_none() {
    let house = House::new().answers(200, &["s-1"]);
    house.open(&alice()).await;
    house.seen();
    let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    for (who, session) in [
        (alice(), "s-1"),
        (bob(), "s-1"),
        (bob(), "unknown"),
        (bob(), "a b"),
    ] {
        for (method, body) in [
            (Method::POST, list),
            (Method::GET, ""),
            (Method::DELETE, ""),
        ] {
            let request = request(method, Some(session))
                .header("mcp-protocol-version", "2026-07-28")
                .header("mcp-method", "tools/list")
                .header("last-event-id", "e-9");
            let answer = house.send(Some(&who), request, body).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert!(!answer.headers.contains_key("mcp-session-id"));
            let [(_, headers)] = &house.seen()[..] else {
                panic!("the service saw not one request");
            };
            assert!(!headers.contains_key("mcp-session-id"));
            assert!(!headers.contains_key("last-event-id"));
        }
    }
    // One that is not known is held to the newest.
    for method in [Method::GET, Method::DELETE] {
        let request = request(method, Some("s-1")).header("mcp-protocol-version", "2099-01-01");
        house.send(Some(&bob()), request, "").await;
        let [(_, headers)] = &house.seen()[..] else {
            panic!("the service saw not one request");
        };
        assert!(!headers.contains_key("mcp-session-id"));
    }
    // And none of them has ended.
    assert_eq!(house.list(&alice(), "s-1").await.status, StatusCode::OK);
}

#[tokio::test]
async fn events_are_asked_for_within_a_session_alone() {
    let house = House::new();
    let request = request(Method::GET, None).header("last-event-id", "e-9");
    let answer = house.send(Some(&alice()), request, "").await;
    assert_eq!(answer.status, StatusCode::OK);
    let seen = house.seen();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].1.contains_key("last-event-id"));
}

#[tokio::test]
async fn delete_ends_a_session_where_it_succeeds() {
    let house = House::new().answers(200, &["s-1"]);
    house.open(&alice()).await;
    for (status, expected) in [(405, 200), (500, 200), (204, 404)] {
        let house = House::with_store(house.store.clone()).answers(status, &[]);
        let delete = request(Method::DELETE, Some("s-1"));
        let answer = house.send(Some(&alice()), delete, "").await;
        assert_eq!(answer.status, status);
        let house = House::with_store(house.store.clone());
        assert_eq!(house.list(&alice(), "s-1").await.status, expected);
    }
}

#[tokio::test]
async fn a_session_ends_a_day_after_its_last_use() {
    let house = House::new().answers(200, &["s-1"]);
    house.open(&alice()).await;
    let day = Duration::from_secs(86_400);
    for _ in 0..3 {
        house.clock.advance(day);
        assert_eq!(house.list(&alice(), "s-1").await.status, StatusCode::OK);
    }
    house.clock.advance(day + Duration::from_secs(1));
    house.seen();
    assert_no_such_session(&house.list(&alice(), "s-1").await, true);
    assert_eq!(house.seen(), []);
    assert_eq!(
        house.clock.now().as_secs(),
        START.as_secs() + 4 * 86_400 + 1
    );
}

/// A memory store of which parts are down, and whose answers come later.
#[derive(Clone, Default)]
struct Shaky {
    memory: MemorySessionStore,
    owner_down: bool,
    bind_down: bool,
    forget_down: bool,
}

type Later = Pin<Box<dyn Future<Output = Result<Option<SessionOwner>, StoreError>> + Send>>;

fn later(is_down: bool, answer: <MemorySessionStore as SessionStore>::Future) -> Later {
    Box::pin(async move {
        tokio::task::yield_now().await;
        if is_down {
            return Err(StoreError::new("the store is down"));
        }
        answer.await
    })
}

impl SessionStore for Shaky {
    type Future = Later;

    fn owner(&self, session: SessionHash, now: UnixTime) -> Later {
        later(self.owner_down, self.memory.owner(session, now))
    }

    fn bind(&self, session: SessionHash, owner: SessionOwner, now: UnixTime) -> Later {
        later(self.bind_down, self.memory.bind(session, owner, now))
    }

    fn forget(&self, session: SessionHash) -> Later {
        later(self.forget_down, self.memory.forget(session))
    }
}

#[tokio::test]
async fn a_store_that_answers_later_serves_as_well() {
    let house = House::with_store(Shaky::default()).answers(200, &["s-1"]);
    let opened = house.open(&alice()).await;
    assert_eq!(opened.headers["mcp-session-id"], "s-1");
    assert_eq!(house.list(&alice(), "s-1").await.status, StatusCode::OK);
    assert_no_such_session(&house.list(&bob(), "s-1").await, true);
    let delete = request(Method::DELETE, Some("s-1"));
    house.send(Some(&alice()), delete, "").await;
    assert_no_such_session(&house.list(&alice(), "s-1").await, true);
    assert_eq!(house.seen().len(), 3);
}

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.reason, Some(Reason::StoreUnavailable));
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.body["error"]["code"], -31503);
    assert!(!answer.headers.contains_key("mcp-session-id"));
}

#[tokio::test]
async fn a_store_that_is_down_is_503() {
    let owner_down = Shaky {
        owner_down: true,
        ..Shaky::default()
    };
    let house = House::with_store(owner_down).answers(200, &["s-1"]);
    assert_unavailable(&house.list(&alice(), "s-1").await);
    assert_eq!(house.seen(), []);
    // Without a session there is nothing to ask.
    assert_eq!(
        house.send(Some(&alice()), post(None), LIST).await.status,
        StatusCode::OK
    );

    let bind_down = Shaky {
        bind_down: true,
        ..Shaky::default()
    };
    let house = House::with_store(bind_down).answers(200, &["s-1"]);
    assert_unavailable(&house.open(&alice()).await);

    // The session has ended, whatever the store can do.
    let forget_down = Shaky {
        forget_down: true,
        ..Shaky::default()
    };
    let house = House::with_store(forget_down).answers(200, &["s-1"]);
    house.open(&alice()).await;
    let delete = request(Method::DELETE, Some("s-1"));
    let answer = house.send(Some(&alice()), delete, "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.reason, None);
}

/// Never keeps anything.
#[derive(Clone)]
struct Sieve;

impl SessionStore for Sieve {
    type Future = std::future::Ready<Result<Option<SessionOwner>, StoreError>>;

    fn owner(&self, _: SessionHash, _: UnixTime) -> Self::Future {
        std::future::ready(Ok(None))
    }

    fn bind(&self, _: SessionHash, _: SessionOwner, _: UnixTime) -> Self::Future {
        std::future::ready(Ok(None))
    }

    fn forget(&self, _: SessionHash) -> Self::Future {
        std::future::ready(Ok(None))
    }
}

#[tokio::test]
async fn a_session_that_was_not_kept_is_not_given_out() {
    let house = House::with_store(Sieve).answers(200, &["s-1"]);
    assert_unavailable(&house.open(&alice()).await);
}

#[tokio::test]
async fn without_the_layers_in_front_nothing_passes() {
    let house = House::new();
    let answer = house.send(None, post(None), LIST).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.reason, Some(Reason::LayerMissing));
    assert_eq!(house.seen(), []);

    let inner = service_fn(
        async |_: Request<Full<Bytes>>| -> Result<Response<Full<Bytes>>, Infallible> {
            panic!("it passed")
        },
    );
    let service = SessionGuardLayer::new(MemorySessionStore::new()).layer(inner);
    let mut request = Request::post("/mcp").body(Full::from(LIST)).unwrap();
    request
        .extensions_mut()
        .insert(alice().to_verified().unwrap());
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

/// A service that opens the session `s-1`, and must be asked whether it is ready before each call,
/// by the clone that is called.
#[derive(Default)]
struct Opening {
    is_ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Opening {
    fn clone(&self) -> Self {
        Self {
            is_ready: false,
            calls: Arc::clone(&self.calls),
        }
    }
}

impl tower::Service<Request<McpBody>> for Opening {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<McpBody>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "it was not ready");
        self.calls.fetch_add(1, Ordering::Relaxed);
        let response = Response::builder().header("mcp-session-id", "s-1");
        std::future::ready(Ok(response.body(Full::default()).unwrap()))
    }
}

#[tokio::test]
async fn the_service_that_was_ready_is_the_one_that_is_called() {
    for store in [
        BoxSessionStore::new(MemorySessionStore::new()),
        BoxSessionStore::new(Shaky::default()),
    ] {
        let guard = SessionGuardLayer::new(store);
        let mut service = McpRequestLayer::new().layer(guard.layer(Opening::default()));
        for (session, body) in [(None, INITIALIZE), (Some("s-1"), LIST), (Some("s-1"), LIST)] {
            let mut request = post(session)
                .header("content-type", "application/json")
                .body(Full::<Bytes>::from(body))
                .unwrap();
            request
                .extensions_mut()
                .insert(alice().to_verified().unwrap());
            let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service)
                .await
                .unwrap();
            let answer = tower::Service::call(ready, request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
}

/// A whole stack, whose policy decides the same about everything.
struct Stacked {
    issuer: TestIssuer,
    audit: Arc<RecordingSink>,
    inner: Opening,
}

impl Stacked {
    fn new() -> Self {
        Self {
            issuer: TestIssuer::start().unwrap(),
            audit: Arc::default(),
            inner: Opening::default(),
        }
    }

    fn token(&self, who: ClaimsBuilder) -> String {
        let who = who.issuer(self.issuer.url());
        self.issuer.token_signed_with(Algorithm::ES256, &who)
    }

    fn around<T: SessionStore>(&self, decide: fn() -> Decision, store: T) -> impl Ask {
        let (issuer, resource) = (self.issuer.url(), "https://mcp.example.com/mcp");
        AuthStack::new(
            JwtValidator::new(issuer, resource).unwrap(),
            StaticJwks::from_json(issuer, self.issuer.jwks().as_bytes()).unwrap(),
            ResourceMetadata::new(resource, [issuer]).unwrap(),
            policy_fn(move |_| decide()),
        )
        .with_audit(Arc::clone(&self.audit))
        .with_sessions(store)
        .layer(self.inner.clone())
    }

    fn calls(&self) -> usize {
        self.inner.calls.load(Ordering::Relaxed)
    }
}

/// A service to be asked.
trait Ask:
    tower::Service<
        Request<Full<Bytes>>,
        Response = Response<AuthBody<Full<Bytes>>>,
        Error = Infallible,
    > + Clone
{
    async fn ask(&self, method: Method, token: Option<&str>, session: Option<&str>) -> StatusCode {
        let body = match (&method, session) {
            (&Method::POST, None) => INITIALIZE,
            (&Method::POST, Some(_)) => LIST,
            _ => "",
        };
        self.ask_this(method, token, session, body).await
    }

    async fn ask_this(
        &self,
        method: Method,
        token: Option<&str>,
        session: Option<&str>,
        body: &'static str,
    ) -> StatusCode {
        let mut request = request(method, session)
            .header("host", "mcp.example.com")
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::from(body)).unwrap();
        self.clone().oneshot(request).await.unwrap().status()
    }
}

impl<S> Ask for S where
    S: tower::Service<
            Request<Full<Bytes>>,
            Response = Response<AuthBody<Full<Bytes>>>,
            Error = Infallible,
        > + Clone
{
}

#[tokio::test]
async fn get_and_delete_are_the_principals_own_as_well() {
    let house = Stacked::new();
    let stack = house.around(Decision::allow, MemorySessionStore::new());
    let (alice, bob) = (house.token(alice()), house.token(bob()));
    assert_eq!(stack.ask(Method::POST, Some(&alice), None).await, 200);
    assert_eq!(house.calls(), 1);
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let ask = |token| stack.ask(method.clone(), token, Some("s-1"));
        assert_eq!(ask(None).await, 401, "{method}");
        assert_eq!(ask(Some(&bob)).await, 404, "{method}");
    }
    assert_eq!(house.calls(), 1);
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let answer = stack.ask(method, Some(&alice), Some("s-1")).await;
        assert_eq!(answer, 200);
    }
    assert_eq!(house.calls(), 4);
}

#[tokio::test]
async fn a_session_authenticates_nobody() {
    let house = Stacked::new();
    let stack = house.around(Decision::allow, MemorySessionStore::new());
    let expired = house.token(alice().made_at(START));
    let alice = house.token(alice());
    assert_eq!(stack.ask(Method::POST, Some(&alice), None).await, 200);
    assert_eq!(
        stack.ask(Method::POST, Some(&alice), Some("s-1")).await,
        200
    );
    assert_eq!(house.calls(), 2);
    for method in [Method::POST, Method::GET, Method::DELETE] {
        for token in [None, Some(&*expired), Some("no.token.atall")] {
            let answer = stack.ask(method.clone(), token, Some("s-1")).await;
            assert_eq!(answer, 401, "{method} {token:?}");
        }
    }
    assert_eq!(house.calls(), 2);
}

#[tokio::test]
async fn the_stack_tells_the_audit_log_before_it_asks_the_policy() {
    let house = Stacked::new();
    let stack = house.around(Decision::forbid, MemorySessionStore::new());
    let bob = house.token(bob());
    assert_eq!(stack.ask(Method::POST, Some(&bob), Some("s-1")).await, 404);
    let events = house.audit.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].user(), Some("bob"));
    assert_eq!(events[0].action(), "tools/list");
    assert_eq!(events[0].decision(), AuditDecision::Deny);
    assert_eq!(events[0].reason(), Reason::SessionMismatch);
    assert_eq!(events[0].status(), Some(404));
    let fingerprint = SessionHash::of(b"s-1").unwrap().to_string();
    assert_eq!(events[0].session(), fingerprint.get(..8));
    assert_eq!(house.calls(), 0);
}

#[tokio::test]
async fn the_session_is_asked_for_between_message_and_policy() {
    let house = Stacked::new();
    let down = Shaky {
        owner_down: true,
        ..Shaky::default()
    };
    let stack = house.around(Decision::forbid, down);
    let alice = house.token(alice());
    let ask = |body| stack.ask_this(Method::POST, Some(&alice), Some("s-1"), body);
    assert_eq!(ask("{}").await, 400);
    assert_eq!(ask(LIST).await, 503);
    // Where no session is named, the policy has its say.
    let answer = stack.ask_this(Method::POST, Some(&alice), None, LIST).await;
    assert_eq!(answer, 403);
    assert_eq!(house.calls(), 0);
}

#[tokio::test]
async fn two_stacks_share_a_store() {
    let house = Stacked::new();
    let store = MemorySessionStore::new();
    let one = house.around(Decision::allow, store.clone());
    let other = house.around(Decision::allow, store);
    let third = house.around(Decision::allow, MemorySessionStore::new());
    let (alice, bob) = (house.token(alice()), house.token(bob()));
    assert_eq!(one.ask(Method::POST, Some(&alice), None).await, 200);
    for (stack, token, expected) in [(&one, &alice, 200), (&one, &bob, 404)] {
        assert_eq!(
            stack.ask(Method::POST, Some(token), Some("s-1")).await,
            expected
        );
    }
    for (token, expected) in [(&alice, 200), (&bob, 404)] {
        assert_eq!(
            other.ask(Method::POST, Some(token), Some("s-1")).await,
            expected
        );
    }
    assert_eq!(
        third.ask(Method::POST, Some(&alice), Some("s-1")).await,
        404
    );
}
