//! Streams end when their token does. Time is paused, and the clock goes with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use mcp_auth::{
    AuditEvent, AuditLogLayer, AuthStack, BoxRevocationStore, Clock, Decision, JwtValidator,
    McpBody, McpRequestLayer, MemoryRevocationStore, RecordingSink, Rejection, ResourceMetadata,
    Revocation, RevocationLayer, SessionHash, SessionOwner, SessionStore, StaticJwks, StoreError,
    StreamGuardLayer, UnixTime, VerifiedToken,
    layers::stream_guard::StreamGuardBody,
    policy_fn, revocation_store_fn,
    testing::{ClaimsBuilder, TestIssuer},
};
use tokio::{
    sync::mpsc,
    time::{Instant, advance, sleep, timeout},
};
use tower::{Layer, Service, ServiceExt, service_fn, util::ServiceFn};

type Error = &'static str;
type Frames = mpsc::UnboundedSender<Result<Frame<Bytes>, Error>>;
type Inner = BoxBody<Bytes, Error>;
type Guarded = Response<StreamGuardBody<Inner>>;

const START: UnixTime = UnixTime::from_secs(1_900_000_000);
const LISTEN: &str = r#"{"jsonrpc":"2.0","id":"a b","method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_note"}}"#;
const RESULT: &str = "data: {\"jsonrpc\":\"2.0\",\"id\":\"a b\",\"result\":{\"resultType\":\"complete\",\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":\"a b\"}}}\n\n";

/// Goes with tokio's time.
#[derive(Clone, Copy, Debug)]
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> UnixTime {
        START.saturating_add(self.0.elapsed())
    }
}

/// The layer between an audit log and a server whose streams the test feeds.
struct House {
    clock: Paused,
    layer: StreamGuardLayer<BoxRevocationStore>,
    audit: Arc<RecordingSink>,
    streams: Arc<Mutex<Vec<Frames>>>,
    media_type: &'static str,
    encoding: &'static str,
}

impl House {
    fn new(store: BoxRevocationStore) -> Self {
        Self::with(store, |layer| layer)
    }

    fn with(
        store: BoxRevocationStore,
        set: impl FnOnce(StreamGuardLayer<BoxRevocationStore>) -> StreamGuardLayer<BoxRevocationStore>,
    ) -> Self {
        let clock = Paused(Instant::now());
        Self {
            clock,
            layer: set(StreamGuardLayer::new(store)).with_clock(clock),
            audit: Arc::default(),
            streams: Arc::default(),
            media_type: "text/event-stream",
            encoding: "identity",
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Guarded {
        let (media_type, encoding) = (self.media_type, self.encoding);
        let streams = Arc::clone(&self.streams);
        let inner = service_fn(move |_: Request<McpBody>| {
            let (sender, receiver) = mpsc::unbounded_channel();
            streams.lock().unwrap().push(sender);
            let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
                let frame = receiver.recv().await?;
                Some((frame, receiver))
            });
            let response = Response::builder()
                .header("content-type", media_type)
                .header("content-encoding", encoding)
                .header("content-length", "1000")
                .body(BodyExt::boxed(StreamBody::new(frames)))
                .unwrap();
            async { Ok::<_, Error>(response) }
        });
        let read = McpRequestLayer::new().layer(self.layer.clone().layer(inner));
        let service = AuditLogLayer::new(Arc::clone(&self.audit))
            .with_clock(self.clock)
            .layer(read);
        service.oneshot(request).await.unwrap()
    }

    /// The stream that was opened last.
    fn stream(&self) -> Frames {
        self.streams.lock().unwrap().last().unwrap().clone()
    }

    fn feed(&self, text: &'static str) {
        let frame = Frame::data(Bytes::from_static(text.as_bytes()));
        self.stream().send(Ok(frame)).unwrap();
    }

    /// Action, decision, reason, revocation and whether it was cancelled, of each event.
    fn audited(&self) -> Vec<String> {
        let word = |event: &AuditEvent| {
            format!(
                "{} {} {} {} {}",
                event.action(),
                event.decision().as_str(),
                event.reason(),
                event.revocation().map_or("-", |it| it.as_str()),
                event.is_cancelled()
            )
        };
        self.audit.events().iter().map(word).collect()
    }
}

/// A token of Alice that expires so many seconds after the start.
fn token(subject: &str, expires: u64) -> VerifiedToken {
    let claims = ClaimsBuilder::new().subject(subject).jwt_id("t-1");
    let claims = claims.made_at(START);
    let expires = START.saturating_add(Duration::from_secs(expires));
    claims.expires_at(expires).to_verified().unwrap()
}

fn by(token: VerifiedToken, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    request.extensions_mut().insert(token);
    request
}

fn get() -> Request<Full<Bytes>> {
    Request::get("/mcp").body(Full::default()).unwrap()
}

fn post(body: &'static str) -> Request<Full<Bytes>> {
    let mut request = Request::post("/mcp").header("content-type", "application/json");
    if body == LISTEN {
        request = request
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "subscriptions/listen");
    }
    request.body(Full::from(body)).unwrap()
}

fn active() -> BoxRevocationStore {
    BoxRevocationStore::new(MemoryRevocationStore::new())
}

async fn next(response: &mut Guarded) -> Option<Result<Bytes, Error>> {
    let frame = response.body_mut().frame().await?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

/// What else comes, and when the end does.
async fn rest(house: &House, response: &mut Guarded) -> (String, Duration) {
    let mut rest = Vec::new();
    while let Some(data) = next(response).await {
        rest.extend_from_slice(&data.unwrap());
    }
    (String::from_utf8(rest).unwrap(), house.clock.0.elapsed())
}

/// At this time, to the exactness of the timer.
fn assert_at(ended: Duration, seconds: f64) {
    let late = ended.as_secs_f64() - seconds;
    assert!((0.0..0.005).contains(&late), "{ended:?}, not {seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_token_expires() {
    for (leeway, ends) in [(None, 90.0), (Some(0), 60.0), (Some(7), 67.0)] {
        let house = House::with(active(), |layer| match leeway {
            None => layer,
            Some(seconds) => layer.with_leeway(Duration::from_secs(seconds)),
        });
        let mut response = house.send(by(token("alice", 60), get())).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("content-length"));
        house.feed("data: 1\n\n");
        assert_eq!(next(&mut response).await, Some(Ok("data: 1\n\n".into())));
        let (more, ended) = rest(&house, &mut response).await;
        assert_at(ended, ends);
        assert_eq!(more, "");
        assert!(house.stream().is_closed());
        assert_eq!(
            house.audited(),
            [
                "GET allow ok - false",
                "stream_end deny expired active false"
            ]
        );
        let events = house.audit.events();
        assert_eq!(events[0].request_id(), events[1].request_id());
        assert_eq!(events[1].user(), Some("alice"));
        assert_eq!(events[1].status(), Some(200));
        let ended = START.saturating_add(Duration::from_secs_f64(ends));
        let late = events[1].timestamp().saturating_since(ended);
        assert!(late < Duration::from_millis(5), "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shown_after_the_expiry_to_a_client_that_reads_late() {
    let house = House::new(active());
    let mut response = house.send(by(token("alice", 60), get())).await;
    house.feed("data: 1\n\n");
    assert!(next(&mut response).await.is_some());
    house.feed("data: late\n\n");
    advance(Duration::from_secs(1000)).await;
    assert_eq!(next(&mut response).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_within_5_seconds_of_a_revocation() {
    for revoked_after in [0, 1, 100, 2_900, 2_999, 3_000, 3_001, 60_000] {
        let revocations = MemoryRevocationStore::new();
        let house = House::new(BoxRevocationStore::new(revocations.clone()));
        let alice = token("alice", 3600);
        let issuer = alice.principal().issuer().to_string();
        let mut response = house.send(by(alice, get())).await;
        let at = Duration::from_millis(revoked_after);
        let revoke = async {
            sleep(at).await;
            revocations.revoke_token(&issuer, "t-1", UnixTime::MAX);
        };
        let ((more, ended), ()) = tokio::join!(rest(&house, &mut response), revoke);
        assert!(
            ended >= at && ended <= at + Duration::from_secs(5),
            "{ended:?}"
        );
        assert_eq!(more, "");
        assert!(house.stream().is_closed());
        assert_eq!(
            house.audited(),
            [
                "GET allow ok - false",
                "stream_end deny revoked revoked false"
            ]
        );
    }
}

/// A store that says what it is told, and counts how often it is asked.
fn script(
    says: impl Fn(usize) -> Option<Result<Revocation, StoreError>> + Clone + Send + Sync + 'static,
) -> (Arc<AtomicUsize>, BoxRevocationStore) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let store = revocation_store_fn(move |_| {
        let says = says(counts.fetch_add(1, SeqCst));
        async move {
            match says {
                Some(answer) => answer,
                None => pending().await,
            }
        }
    });
    (asked, BoxRevocationStore::new(store))
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_answer_ends_the_stream() {
    // At the third time, after 6 s: an error at once, or no answer within a second.
    for (answers, ends) in [(true, 6.0), (false, 7.0)] {
        let (_, store) = script(move |n| match n {
            0 | 1 => Some(Ok(Revocation::Active)),
            _ => answers.then(|| Err(StoreError::new("down"))),
        });
        let house = House::new(store);
        let mut response = house.send(by(token("alice", 60), get())).await;
        assert_at(rest(&house, &mut response).await.1, ends);
        assert_eq!(
            house.audited()[1],
            "stream_end error store_unavailable unchecked false"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_fails_open_the_stream_goes_on_until_the_store_is_back() {
    for answers in [true, false] {
        let (_, store) = script(move |n| match n {
            0..10 => answers.then(|| Err(StoreError::new("down"))),
            _ => Some(Ok(Revocation::Revoked)),
        });
        let house = House::with(store, StreamGuardLayer::dangerous_fail_open);
        let mut response = house.send(by(token("alice", 60), get())).await;
        assert_at(rest(&house, &mut response).await.1, 30.0);
        // The expiry is known without a store.
        let (_, store) = script(|_| None);
        let house = House::with(store, StreamGuardLayer::dangerous_fail_open);
        let mut response = house.send(by(token("alice", 62), get())).await;
        assert_at(rest(&house, &mut response).await.1, 92.0);
        assert_eq!(
            house.audited()[1],
            "stream_end deny expired unchecked false"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn timers_start_and_stores_are_asked_when_the_body_is_read() {
    let (asked, store) = script(|_| Some(Ok(Revocation::Active)));
    let house = House::new(store);
    let mut response = house.send(by(token("alice", 60), get())).await;
    advance(Duration::from_secs(10)).await;
    assert_eq!(asked.load(SeqCst), 0);
    house.feed("data: 1\n\n");
    assert!(next(&mut response).await.is_some());
    assert_eq!(asked.load(SeqCst), 1);
    assert_at(rest(&house, &mut response).await.1, 90.0);
    // Every 3 s.
    assert_eq!(asked.load(SeqCst), 27);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_result() {
    let acknowledged = "data: {}\r\n\r\n";
    for (last, expected) in [
        (None, RESULT),
        (Some(acknowledged), RESULT),
        (Some("data: 1\n\n: half"), ""),
        (Some("data: 1\n"), ""),
    ] {
        let house = House::new(active());
        let mut response = house.send(by(token("alice", 60), post(LISTEN))).await;
        if let Some(last) = last {
            house.feed(last);
            assert_eq!(next(&mut response).await, Some(Ok(last.into())));
        }
        let (more, ended) = rest(&house, &mut response).await;
        assert_eq!(more, expected, "{last:?}");
        assert_at(ended, 90.0);
        assert!(house.stream().is_closed());
        assert_eq!(
            house.audited(),
            [
                "subscriptions/listen allow ok - false",
                "stream_end deny expired active false"
            ]
        );
    }
    let house = House {
        encoding: "gzip",
        ..House::new(active())
    };
    let mut response = house.send(by(token("alice", 60), post(LISTEN))).await;
    assert_eq!(rest(&house, &mut response).await.0, "");
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_running_call_is_not_cut_unless_that_is_asked_for() {
    let house = House::new(active());
    let mut response = house.send(by(token("alice", 60), post(CALL))).await;
    assert_eq!(response.headers()["content-length"], "1000");
    sleep(Duration::from_secs(1000)).await;
    house.feed("data: done\n\n");
    assert_eq!(next(&mut response).await, Some(Ok("data: done\n\n".into())));
    drop(response);
    assert!(house.stream().is_closed());
    assert_eq!(house.audited(), ["tools/call allow ok - false"]);

    let house = House::with(active(), StreamGuardLayer::cut_answers);
    let mut response = house.send(by(token("alice", 60), post(CALL))).await;
    let (more, ended) = rest(&house, &mut response).await;
    assert_eq!(more, "");
    assert_at(ended, 90.0);
    assert!(house.stream().is_closed());
    assert_eq!(
        house.audited(),
        [
            "tools/call allow ok - false",
            "stream_end deny expired active false"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_stream_passes_untouched() {
    let house = House {
        media_type: "application/json",
        ..House::with(active(), StreamGuardLayer::cut_answers)
    };
    for request in [get(), post(LISTEN), post(CALL)] {
        let mut response = house.send(by(token("alice", 60), request)).await;
        assert_eq!(response.headers()["content-length"], "1000");
        sleep(Duration::from_secs(1000)).await;
        house.feed("{}");
        assert_eq!(next(&mut response).await, Some(Ok("{}".into())));
    }
    assert_eq!(house.audit.events().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn either_side_may_end_a_stream() {
    // The client.
    let house = House::new(active());
    let mut response = house.send(by(token("alice", 60), get())).await;
    assert!(
        timeout(Duration::from_secs(1), next(&mut response))
            .await
            .is_err()
    );
    assert!(!house.stream().is_closed());
    drop(response);
    assert!(house.stream().is_closed());
    // The service inside.
    let mut response = house.send(by(token("alice", 60), get())).await;
    house.streams.lock().unwrap().clear();
    assert_eq!(rest(&house, &mut response).await.0, "");
    drop(response);
    // With trailers, after which nobody looks for more.
    let mut response = house.send(by(token("alice", 60), get())).await;
    let trailers = Ok(Frame::trailers(http::HeaderMap::new()));
    house.stream().send(trailers).unwrap();
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert!(frame.is_trailers());
    drop(response);
    // It breaks.
    let mut response = house.send(by(token("alice", 60), get())).await;
    house.stream().send(Err("broken")).unwrap();
    assert_eq!(next(&mut response).await, Some(Err("broken")));
    drop(response);
    let audited = house.audited();
    let ends: Vec<_> = audited.iter().skip(1).step_by(2).collect();
    assert_eq!(
        ends,
        [
            "stream_end allow ok - true",
            "stream_end allow ok - false",
            "stream_end allow ok - false",
            "stream_end error upstream_error - false"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_principal_has_so_many_streams_at_once() {
    let house = House::with(active(), |layer| layer.with_max_streams(2));
    let opened = async |subject: &str, request| house.send(by(token(subject, 60), request)).await;
    let first = opened("alice", get()).await;
    let second = opened("alice", post(LISTEN)).await;
    // A call is no stream that stands.
    let call = opened("alice", post(CALL)).await;
    let refused = opened("alice", post(LISTEN)).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "10");
    assert!(!refused.headers().contains_key("www-authenticate"));
    let reason = refused.extensions().get::<Rejection>().unwrap().reason();
    assert_eq!(reason.as_str(), "rate_limited");
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        body,
        r#"{"jsonrpc":"2.0","id":"a b","error":{"code":-31429,"message":"Too many streams are open","data":{"retryAfterSeconds":10}}}"#
    );
    let refused = opened("alice", get()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(house.streams.lock().unwrap().len(), 3, "not passed on");
    assert_eq!(opened("bob", get()).await.status(), StatusCode::OK);
    drop((first, call));
    let mut third = opened("alice", get()).await;
    assert_eq!(third.status(), StatusCode::OK);
    assert_eq!(
        opened("alice", get()).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    // A stream that was ended is not open, though its response is still held.
    rest(&house, &mut third).await;
    assert_eq!(opened("alice", get()).await.status(), StatusCode::OK);
    drop(second);

    // What turned out to be no stream is not counted.
    let house = House {
        media_type: "application/json",
        ..House::with(active(), |layer| layer.with_max_streams(1))
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        let response = house.send(by(token("alice", 60), get())).await;
        assert_eq!(response.status(), StatusCode::OK);
        held.push(response);
    }
}

#[tokio::test(start_paused = true)]
async fn thirty_two_are_enough() {
    let house = House::new(active());
    let mut held = Vec::new();
    for n in 0..33 {
        let response = house.send(by(token("alice", 60), get())).await;
        assert_eq!(response.status().is_success(), n < 32, "{n}");
        held.push(response);
    }
}

/// A GET with a token that expires 60 s after the start, through a stack around a stream that never
/// ends, and when the stream ends.
async fn ended_by<S, B>(issuer: &TestIssuer, clock: Paused, stack: S) -> Duration
where
    S: Layer<Endless>,
    S::Service: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes>,
{
    let claims = issuer.claims().audience(RESOURCE).made_at(START);
    let expires = START.saturating_add(Duration::from_secs(60));
    let mut request = get();
    let bearer = format!("Bearer {}", issuer.token(&claims.expires_at(expires)));
    let headers = request.headers_mut();
    headers.insert("authorization", bearer.parse().unwrap());
    headers.insert("host", HeaderValue::from_static("mcp.example"));
    let inner: Endless = service_fn(|_| {
        let frames = futures_util::stream::pending::<Result<Frame<Bytes>, Error>>();
        let response = Response::builder().header("content-type", "text/event-stream");
        let body = BodyExt::boxed(StreamBody::new(frames));
        ready(Ok(response.body(body).unwrap()))
    });
    let response = stack.layer(inner).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = pin!(response.into_body());
    assert!(body.frame().await.is_none());
    clock.0.elapsed()
}

const RESOURCE: &str = "https://mcp.example/mcp";

type Endless = ServiceFn<fn(Request<McpBody>) -> Ready<Result<Response<Inner>, Infallible>>>;

#[tokio::test(start_paused = true)]
async fn the_stack_guards_streams_as_its_other_layers_are_set() {
    let issuer = TestIssuer::start().unwrap();
    let stack = |clock| {
        let validator = JwtValidator::new(issuer.url(), RESOURCE).unwrap();
        AuthStack::new(
            validator.with_leeway(Duration::from_secs(10)).unwrap(),
            StaticJwks::from_json(issuer.url(), issuer.jwks().as_bytes()).unwrap(),
            ResourceMetadata::new(RESOURCE, [issuer.url()]).unwrap(),
            policy_fn(|_| Decision::allow()),
        )
        .with_clock(clock)
    };
    let now = || Paused(Instant::now());
    let clock = now();
    assert_at(ended_by(&issuer, clock, stack(clock)).await, 70.0);
    // The store answers the request, and the watch once.
    let down = || {
        let store = script(|n| {
            Some(if n < 2 {
                Ok(Revocation::Active)
            } else {
                Err(StoreError::new("down"))
            })
        });
        RevocationLayer::new(store.1)
    };
    let clock = now();
    let closed = stack(clock).with_revocation_layer(down());
    assert_at(ended_by(&issuer, clock, closed).await, 3.0);
    let clock = now();
    let open = stack(clock).with_revocation_layer(down().dangerous_fail_open());
    assert_at(ended_by(&issuer, clock, open).await, 70.0);
}

/// A store that keeps a session late, not at all, or panics.
#[derive(Clone, Copy, Debug)]
enum Keeps {
    Never,
    Nothing,
    Panics,
}

impl SessionStore for Keeps {
    type Future = BoxFuture<'static, Result<Option<SessionOwner>, StoreError>>;

    fn owner(&self, _: SessionHash, _: UnixTime) -> Self::Future {
        Box::pin(ready(Ok(None)))
    }

    fn bind(&self, _: SessionHash, _: SessionOwner, _: UnixTime) -> Self::Future {
        let keeps = *self;
        Box::pin(async move {
            match keeps {
                Self::Never => pending().await,
                Self::Nothing => Ok(None),
                Self::Panics => panic!("bind"),
            }
        })
    }

    fn forget(&self, _: SessionHash) -> Self::Future {
        Box::pin(ready(Ok(None)))
    }
}

/// A stream whose head nobody sees has no end to tell.
#[tokio::test]
async fn an_answer_that_is_held_back_ends_no_stream() {
    let issuer = TestIssuer::start().unwrap();
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    for (keeps, told) in [
        (Keeps::Never, "initialize error ok - true"),
        (Keeps::Nothing, "initialize error store_unavailable - false"),
        (Keeps::Panics, "initialize error internal - false"),
    ] {
        let house = House::new(active());
        let stack = AuthStack::new(
            JwtValidator::new(issuer.url(), RESOURCE).unwrap(),
            StaticJwks::from_json(issuer.url(), issuer.jwks().as_bytes()).unwrap(),
            ResourceMetadata::new(RESOURCE, [issuer.url()]).unwrap(),
            policy_fn(|_| Decision::allow()),
        )
        .with_sessions(keeps)
        .cut_answers()
        .with_audit(Arc::clone(&house.audit));
        let opens = service_fn(|_: Request<McpBody>| {
            let response = Response::builder()
                .header("content-type", "text/event-stream")
                .header("mcp-session-id", "s-1");
            let body = BodyExt::boxed(Full::from("data: 1\n\n"));
            ready(Ok::<_, Infallible>(response.body(body).unwrap()))
        });
        let mut request = post(initialize);
        let bearer = issuer.token(&issuer.claims().audience(RESOURCE));
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {bearer}").parse().unwrap());
        headers.insert("host", HeaderValue::from_static("mcp.example"));
        // Kept for a while after a panic, as a layer outside that catches it keeps it.
        let mut answer =
            Box::pin(AssertUnwindSafe(stack.layer(opens).oneshot(request)).catch_unwind());
        let _ = (&mut answer).now_or_never();
        drop(answer);
        assert_eq!(house.audited(), [told], "{keeps:?}");
    }
}
