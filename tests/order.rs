//! The order of the stack: when a stage says no, nothing behind it has run, and everything in front
//! of it has, down to the one audit event that says which stage it was.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::{
    convert::Infallible,
    num::NonZeroU32,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use mcp_auth::{
    Access, AuditDecision, AuditLogLayer, AuditRateLimit, AuditRevocation, AuthStack, Clock,
    Decision, JwtValidator, KeyHeader, KeyStore, McpBody, Quota, RateKey, RateLimit,
    RateLimitLayer, RateLimitStore, RecordingSink, ResourceMetadata, Revocation, StaticJwks,
    StoreError, SystemClock, UnixTime, UpstreamKey, UpstreamKeyId, Verdict, VerificationKeyId,
    VerifiedToken, key_store_fn, policy_fn, revocation_store_fn,
    testing::{TestIssuer, WrongToken},
};
use tower::{Layer, Service, ServiceExt, service_fn};

const RESOURCE: &str = "https://mcp.example/mcp";

static ISSUER: LazyLock<TestIssuer> = LazyLock::new(|| TestIssuer::start().unwrap());

/// What can be seen to run, outermost first.
#[derive(Clone, Copy, Debug)]
enum Stage {
    VerificationKeys,
    Revocations,
    Body,
    Policy,
    Limits,
    UpstreamKeys,
    Upstream,
}

const STAGES: usize = 7;

/// How often each stage ran.
#[derive(Debug, Default)]
struct Runs([AtomicUsize; STAGES]);

impl Runs {
    fn ran(&self, stage: Stage) {
        self.0[stage as usize].fetch_add(1, SeqCst);
    }

    fn counts(&self) -> [usize; STAGES] {
        std::array::from_fn(|stage| self.0[stage].load(SeqCst))
    }
}

/// What a stage says when it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Says {
    #[default]
    Yes,
    No,
    /// A store cannot answer; a policy knows no such method.
    Unknown,
    /// What no scope can change.
    Never,
}

/// What each stage says.
#[derive(Clone, Copy, Debug, Default)]
struct Script {
    verification_keys: Says,
    revocations: Says,
    policy: Says,
    limits: Says,
    upstream_keys: Says,
    upstream: Says,
}

fn outage<T>() -> Result<T, StoreError> {
    Err(StoreError::new("down"))
}

/// Whether stores answer at once or later: the order is the same.
async fn come(later: bool) {
    if later {
        tokio::task::yield_now().await;
    }
}

#[derive(Clone)]
struct Limits {
    runs: Arc<Runs>,
    says: Says,
    later: bool,
}

impl RateLimitStore for Limits {
    type Future = BoxFuture<'static, Result<Verdict, StoreError>>;

    fn take(&self, _: &RateKey, _: &Quota, _: NonZeroU32, _: UnixTime) -> Self::Future {
        self.runs.ran(Stage::Limits);
        let (says, later) = (self.says, self.later);
        Box::pin(async move {
            come(later).await;
            match says {
                Says::Yes => Ok(Verdict::allowed(1)),
                Says::No => Ok(Verdict::limited(Duration::from_secs(3))),
                _ => outage(),
            }
        })
    }
}

/// A body that tells when it is read.
struct Watched {
    runs: Arc<Runs>,
    text: Option<Bytes>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let text = self.text.take();
        if text.is_some() {
            self.runs.ran(Stage::Body);
        }
        Poll::Ready(text.map(|text| Ok(Frame::data(text))))
    }
}

/// Sends a request through a stack that follows the script.
async fn send(
    request: Request<String>,
    script: Script,
    later: bool,
) -> (StatusCode, Arc<Runs>, Arc<RecordingSink>) {
    let runs = Arc::new(Runs::default());
    let sink = Arc::new(RecordingSink::new());
    let jwks = StaticJwks::from_json(ISSUER.url(), ISSUER.jwks().as_bytes()).unwrap();
    let ran = |stage| {
        let runs = Arc::clone(&runs);
        move || runs.ran(stage)
    };

    let asked = ran(Stage::VerificationKeys);
    let verification_keys = key_store_fn(move |id: VerificationKeyId| {
        asked();
        let key = jwks.key(&id);
        async move {
            come(later).await;
            match script.verification_keys {
                Says::Yes => key.await,
                Says::No => Ok(None),
                _ => outage(),
            }
        }
    });
    let asked = ran(Stage::Revocations);
    let revocations = revocation_store_fn(move |_: VerifiedToken| {
        asked();
        async move {
            come(later).await;
            match script.revocations {
                Says::Yes => Ok(Revocation::Active),
                Says::No => Ok(Revocation::Revoked),
                _ => outage(),
            }
        }
    });
    let asked = ran(Stage::Policy);
    let policy = policy_fn(move |_: &Access<'_>| {
        asked();
        match script.policy {
            Says::Yes => Decision::allow(),
            Says::No => Decision::needs("write:data".parse().unwrap()),
            Says::Unknown => Decision::unknown_method(),
            Says::Never => Decision::forbid(),
        }
    });
    let asked = ran(Stage::UpstreamKeys);
    let upstream_keys = key_store_fn(move |_: UpstreamKeyId| {
        asked();
        async move {
            come(later).await;
            match script.upstream_keys {
                Says::Yes => Ok(Some(UpstreamKey::new("ro", "internal-key-1").unwrap())),
                Says::No => Ok(None),
                _ => outage(),
            }
        }
    });
    let limits = Limits {
        runs: Arc::clone(&runs),
        says: script.limits,
        later,
    };
    let limit = RateLimit::new("calls", Quota::per_second(NonZeroU32::MIN));
    let asked = ran(Stage::Upstream);
    let service = AuthStack::new(
        JwtValidator::new(ISSUER.url(), RESOURCE).unwrap(),
        verification_keys,
        ResourceMetadata::new(RESOURCE, [ISSUER.url()]).unwrap(),
        policy,
    )
    .with_revocation(revocations)
    .with_rate_limit(RateLimitLayer::new(limits, limit))
    .with_upstream_keys(upstream_keys, KeyHeader::default())
    .with_audit(Arc::clone(&sink))
    .with_max_body(1000)
    .layer(service_fn(move |request: Request<McpBody>| {
        asked();
        async move {
            request.into_body().collect().await.unwrap();
            let mut response = Response::new(Full::<Bytes>::default());
            if script.upstream == Says::No {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            Ok::<_, Infallible>(response)
        }
    }));
    let request = request.map(|text| Watched {
        runs: Arc::clone(&runs),
        text: Some(text.into()),
    });
    let status = service.oneshot(request).await.unwrap().status();
    (status, runs, sink)
}

fn claims() -> mcp_auth::testing::ClaimsBuilder {
    ISSUER.claims().audience(RESOURCE).scope("read:data")
}

/// A call of a tool by a good caller.
fn call() -> Request<String> {
    with_token(&ISSUER.token(&claims()))
}

fn with_token(token: &str) -> Request<String> {
    let message = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_note"}}"#;
    Request::post(RESOURCE)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"))
        .body(message.to_owned())
        .unwrap()
}

fn changed(change: impl FnOnce(&mut Request<String>)) -> Request<String> {
    let mut request = call();
    change(&mut request);
    request
}

/// A request, what the stages say to it, and what comes of it: the status, the reason, and how many
/// stages ran.
type Case = (Request<String>, Script, u16, &'static str, usize);

fn metadata_of(host: &str, method: &str) -> Request<String> {
    let url = format!("https://{host}/.well-known/oauth-protected-resource/mcp");
    let request = Request::builder().method(method).uri(url);
    request.body(String::new()).unwrap()
}

fn answered_for_the_way_it_came() -> Vec<Case> {
    let good = Script::default();
    let foreign_host =
        changed(|request| *request.uri_mut() = "https://evil.example/mcp".parse().unwrap());
    let from = |origin: &str, method: http::Method| {
        changed(|request| {
            let origin = origin.parse().unwrap();
            request.headers_mut().insert("origin", origin);
            *request.method_mut() = method;
        })
    };
    let foreign_page = from("https://evil.example", http::Method::POST);
    let preflight = from("https://mcp.example", http::Method::OPTIONS);
    vec![
        (foreign_host, good, 403, "host_denied", 0),
        // In front of the metadata as well.
        (
            metadata_of("evil.example", "GET"),
            good,
            403,
            "host_denied",
            0,
        ),
        (foreign_page, good, 403, "origin_denied", 0),
        (preflight, good, 204, "ok", 0),
    ]
}

fn answered_without_a_token() -> Vec<Case> {
    let metadata = |method: &str| metadata_of("mcp.example", method);
    let good = Script::default();
    vec![
        (metadata("GET"), good, 200, "ok", 0),
        (metadata("OPTIONS"), good, 204, "ok", 0),
        (metadata("POST"), good, 405, "method_not_allowed", 0),
    ]
}

fn refused_for_the_token() -> Vec<Case> {
    let good = Script::default();
    let no_token = changed(|request| drop(request.headers_mut().remove("authorization")));
    let two_tokens = changed(|request| {
        let another = "Bearer a.b.c".parse().unwrap();
        request.headers_mut().append("authorization", another);
    });
    let long_ago = UnixTime::from_secs(SystemClock.now().as_secs() - 3600);
    let expired = ISSUER.token(&claims().made_at(long_ago));
    let forged = ISSUER.wrong_token(WrongToken::ForeignKey, &claims());
    let (mut no_key, mut no_keys) = (good, good);
    no_key.verification_keys = Says::No;
    no_keys.verification_keys = Says::Unknown;
    let (mut revoked, mut unchecked) = (good, good);
    revoked.revocations = Says::No;
    unchecked.revocations = Says::Unknown;
    vec![
        (no_token, good, 401, "no_token", 0),
        (two_tokens, good, 400, "malformed_request", 0),
        (with_token(&expired), good, 401, "expired", 0),
        (call(), no_key, 401, "unknown_key", 1),
        (call(), no_keys, 503, "keys_unavailable", 1),
        (with_token(&forged), good, 401, "bad_signature", 1),
        (call(), revoked, 401, "revoked", 2),
        (call(), unchecked, 503, "store_unavailable", 2),
    ]
}

fn refused_for_the_message() -> Vec<Case> {
    let good = Script::default();
    let options = changed(|request| *request.method_mut() = http::Method::OPTIONS);
    let no_json = changed(|request| {
        let text = "text/plain".parse().unwrap();
        request.headers_mut().insert("content-type", text);
    });
    let mismatch = changed(|request| {
        let other = "tools/list".parse().unwrap();
        request.headers_mut().insert("mcp-method", other);
    });
    let malformed = changed(|request| request.body_mut().push('}'));
    let large = changed(|request| request.body_mut().push_str(&" ".repeat(1000)));
    vec![
        (options, good, 405, "method_not_allowed", 2),
        (no_json, good, 415, "unsupported_media", 2),
        (large, good, 413, "too_large", 3),
        (malformed, good, 400, "malformed_message", 3),
        (mismatch, good, 400, "header_mismatch", 3),
    ]
}

fn refused_for_what_is_asked() -> Vec<Case> {
    let script = |change: fn(&mut Script)| {
        let mut script = Script::default();
        change(&mut script);
        script
    };
    let no_scope = script(|script| script.policy = Says::No);
    let forbidden = script(|script| script.policy = Says::Never);
    let no_method = script(|script| script.policy = Says::Unknown);
    let limited = script(|script| script.limits = Says::No);
    let uncounted = script(|script| script.limits = Says::Unknown);
    let no_key = script(|script| script.upstream_keys = Says::No);
    let no_keys = script(|script| script.upstream_keys = Says::Unknown);
    let key_refused = script(|script| script.upstream = Says::No);
    vec![
        (call(), no_scope, 403, "insufficient_scope", 4),
        (call(), forbidden, 403, "denied", 4),
        (call(), no_method, 404, "unknown_method", 4),
        (call(), limited, 429, "rate_limited", 5),
        (call(), uncounted, 503, "store_unavailable", 5),
        (call(), no_key, 403, "no_key", 6),
        (call(), no_keys, 503, "store_unavailable", 6),
        (call(), key_refused, 502, "upstream_error", 7),
        (call(), Script::default(), 200, "ok", 7),
    ]
}

/// Asserts the status, which stages ran, and all that the one audit event knows of them.
async fn assert_order(cases: fn() -> Vec<Case>) {
    for later in [false, true] {
        for (request, script, status, reason, reached) in cases() {
            let method = request.method().to_string();
            let is_metadata = request.uri().path() != "/mcp" && reason != "host_denied";
            let is_preflight = status == 204 && !is_metadata;
            let (answered, runs, sink) = send(request, script, later).await;
            assert_eq!(answered.as_u16(), status, "{reason}");
            let expected = std::array::from_fn(|stage| usize::from(stage < reached));
            assert_eq!(runs.counts(), expected, "{reason}: which stages ran");

            let events = sink.events();
            assert_eq!(events.len(), 1, "{reason}");
            let event = &events[0];
            assert_eq!(event.reason().as_str(), reason);
            assert_eq!(event.status(), Some(status), "{reason}");
            let decision = match (reason, status) {
                ("ok", _) => AuditDecision::Allow,
                (_, 500..) => AuditDecision::Error,
                _ => AuditDecision::Deny,
            };
            assert_eq!(event.decision(), decision, "{reason}");
            // The token was verified.
            let user = (reached >= 2).then_some("alice");
            assert_eq!(event.user(), user, "{reason}");
            let revocation = match reached {
                0 | 1 => None,
                2 if reason == "revoked" => Some(AuditRevocation::Revoked),
                2 if reason == "store_unavailable" => Some(AuditRevocation::Unchecked),
                _ => Some(AuditRevocation::Active),
            };
            assert_eq!(event.revocation(), revocation, "{reason}");
            // The message was read.
            let (action, tool) = match reached {
                _ if is_metadata => ("metadata", None),
                _ if is_preflight => ("preflight", None),
                ..4 => (&*method, None),
                _ => ("tools/call", Some("get_note")),
            };
            assert_eq!((event.action(), event.tool()), (action, tool), "{reason}");
            let required = if reason == "insufficient_scope" {
                "write:data"
            } else {
                ""
            };
            assert_eq!(event.required_scopes().to_string(), required, "{reason}");
            let rate_limit = match (reached, reason) {
                (..5, _) | (5, "store_unavailable") => None,
                (5, _) => Some(AuditRateLimit::Limited),
                _ => Some(AuditRateLimit::Ok),
            };
            assert_eq!(event.rate_limit(), rate_limit, "{reason}");
            // The upstream was called, with the key.
            let key_name = (reached == STAGES).then_some("ro");
            assert_eq!(event.key_name(), key_name, "{reason}");
            assert_eq!(event.upstream().is_some(), reached == STAGES, "{reason}");
        }
    }
}

#[tokio::test]
async fn a_foreign_host_or_page_is_refused_before_anything_is_answered() {
    assert_order(answered_for_the_way_it_came).await;
}

#[tokio::test]
async fn the_metadata_asks_nobody() {
    assert_order(answered_without_a_token).await;
}

#[tokio::test]
async fn a_bad_token_is_refused_before_the_body_is_read() {
    assert_order(refused_for_the_token).await;
}

#[tokio::test]
async fn a_bad_message_is_refused_before_the_policy_is_asked() {
    assert_order(refused_for_the_message).await;
}

#[tokio::test]
async fn policy_then_limits_then_keys_then_the_upstream() {
    assert_order(refused_for_what_is_asked).await;
}

/// What the service inside does with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    PanicAtOnce,
    PanicLater,
    Fail,
    Hang,
}

/// The one event of a request that nobody answers: its reason, its decision and whether it was
/// cancelled.
async fn unanswered(does: Does) -> (&'static str, AuditDecision, bool) {
    let sink = Arc::new(RecordingSink::new());
    let inside = service_fn(move |_: Request<String>| {
        assert!(!matches!(does, Does::PanicAtOnce), "at once");
        async move {
            tokio::task::yield_now().await;
            match does {
                Does::Fail => Err::<Response<String>, _>("failed"),
                Does::Hang => std::future::pending().await,
                _ => panic!("later"),
            }
        }
    });
    let mut service = AuditLogLayer::new(Arc::clone(&sink)).layer(inside);
    let called = panic::catch_unwind(AssertUnwindSafe(|| service.call(call())));
    if let Ok(future) = called {
        // Kept for a while after it panicked, as a layer outside that catches panics keeps it.
        let mut answer = Box::pin(AssertUnwindSafe(future).catch_unwind());
        let _ = (&mut answer).now_or_never();
        let _ = (&mut answer).now_or_never();
    }
    let events = sink.events();
    assert_eq!(events.len(), 1, "{does:?}");
    assert_eq!(events[0].status(), None);
    let event = &events[0];
    (
        event.reason().as_str(),
        event.decision(),
        event.is_cancelled(),
    )
}

#[tokio::test]
async fn a_request_without_an_answer_is_recorded_for_what_it_is() {
    for (does, reason, cancelled) in [
        (Does::PanicAtOnce, "internal", false),
        (Does::PanicLater, "internal", false),
        (Does::Fail, "upstream_error", false),
        (Does::Hang, "ok", true),
    ] {
        let expected = (reason, AuditDecision::Error, cancelled);
        assert_eq!(unanswered(does).await, expected, "{does:?}");
    }
}
