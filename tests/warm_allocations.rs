//! A token that was seen before is let through without many allocations: their number is exact, so
//! that none comes in unseen.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{convert::Infallible, num::NonZeroU32, sync::LazyLock};

use axum::body::Body;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode, header};
use mcp_auth::{
    AuthStack, JwtValidateLayer, JwtValidator, KeyHeader, KeyMap, McpBody, MemoryRateLimitStore,
    MemoryRevocationStore, Quota, RateLimit, RateLimitLayer, Requirement, ResourceMetadata,
    ScopePolicy, StaticJwks, UnixTime, UpstreamKey, audit_sink_fn, testing::TestIssuer,
};
use tower::{Layer, Service, ServiceExt, service_fn};

const RESOURCE: &str = "https://mcp.example/mcp";
const CALL: &str = r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"get_note","arguments":{"path":"plan.md"}}}"#;

static ISSUER: LazyLock<TestIssuer> = LazyLock::new(|| TestIssuer::start().unwrap());
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let claims = ISSUER.claims().audience(RESOURCE);
    let claims = claims
        .subject("alice")
        .client_id("inspector")
        .jwt_id("a-token")
        .scope("profile read:data");
    ISSUER.token(&claims)
});

fn keys() -> StaticJwks {
    StaticJwks::from_json(ISSUER.url(), ISSUER.jwks().as_bytes()).unwrap()
}

fn validator() -> JwtValidator {
    JwtValidator::new(ISSUER.url(), RESOURCE).unwrap()
}

/// Metadata, token, revocation, message, sessions, scopes, limit, upstream key, lists, streams, audit.
fn stack() -> AuthStack<StaticJwks, MemoryRevocationStore, MemoryRateLimitStore, KeyMap> {
    let read_data = || "read:data".parse().unwrap();
    let policy = ScopePolicy::new()
        .tool("get_*", Requirement::all(read_data()))
        .unwrap();
    let revocations = MemoryRevocationStore::new();
    revocations.revoke_token(ISSUER.url(), "another", UnixTime::MAX);
    revocations.revoke_session(ISSUER.url(), "another", UnixTime::MAX);
    revocations.revoke_client(ISSUER.url(), "another", UnixTime::MAX);
    revocations.revoke_subject(ISSUER.url(), "another", UnixTime::MAX, UnixTime::MAX);
    let quota = Quota::per_second(NonZeroU32::new(1000).unwrap());
    let limit = RateLimitLayer::new(MemoryRateLimitStore::new(), RateLimit::new("calls", quota));
    let key = UpstreamKey::new("ro", "internal-key-1").unwrap();
    let metadata = ResourceMetadata::new(RESOURCE, [ISSUER.url()]).unwrap();
    AuthStack::new(validator(), keys(), metadata, policy)
        .with_revocation(revocations)
        .with_rate_limit(limit)
        .with_upstream_keys(
            KeyMap::new().with_user("alice", key, read_data()),
            KeyHeader::default(),
        )
        .with_audit(audit_sink_fn(drop))
}

/// The allocations of one request, from where it is handed in to where the response is dropped.
fn allocations<S, ResB>(service: &S) -> u64
where
    S: Service<Request<Body>, Response = Response<ResB>, Error = Infallible> + Clone,
{
    let send = |request| {
        let mut status = None;
        let info = allocation_counter::measure(|| {
            let answer = service.clone().oneshot(request);
            status = answer.now_or_never().map(|it| it.unwrap().status());
        });
        assert_eq!(status, Some(StatusCode::OK));
        info.count_total
    };
    let request = || {
        Request::post("/mcp")
            .header(header::HOST, "mcp.example")
            .header(header::USER_AGENT, "test/1")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", *TOKEN))
            .header("mcp-protocol-version", "2025-06-18")
            .body(Body::from(CALL))
            .unwrap()
    };
    send(request());
    let second = send(request());
    assert_eq!(send(request()), second);
    second
}

async fn answer<B>(_: Request<B>) -> Result<Response<Body>, Infallible> {
    Ok(Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"jsonrpc":"2.0","id":42,"result":{}}"#))
        .unwrap())
}

#[test]
fn the_token_check_makes_three() {
    let bare = allocations(&service_fn(answer::<Body>));
    let checked = JwtValidateLayer::new(validator(), keys()).layer(service_fn(answer::<Body>));
    // The extensions: their table and its place, and the token in it.
    assert_eq!(allocations(&checked) - bare, 3);
}

#[test]
fn the_whole_stack_makes_six() {
    let bare = allocations(&service_fn(answer::<Body>));
    let guarded = stack().layer(service_fn(answer::<McpBody>));
    // The extensions, their table and the three things in them; the message.
    assert_eq!(allocations(&guarded) - bare, 6);
}
