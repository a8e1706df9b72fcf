//! What the benches share: an issuer, a token of alice, a `tools/call` of 264 bytes, and the default
//! stack around a service that does nothing.
#![allow(
    dead_code,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic
)]

use std::{convert::Infallible, num::NonZeroU32, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use mcp_auth::{
    Algorithm, AuditEvent, AuthStack, Claims, Clock, JwtValidator, KeyHeader, KeyMap, McpBody,
    MemoryRateLimitStore, MemoryRevocationStore, Quota, RateLimit, RateLimitLayer,
    ResourceMetadata, ScopePolicy, StaticJwks, SystemClock, UpstreamKey, VerifiedToken,
    audit_sink_fn,
    testing::{ClaimsBuilder, TestIssuer},
};
use tower::{Layer, Service, ServiceExt, service_fn};

pub const RESOURCE: &str = "https://mcp.example.com/mcp";

/// A `tools/call` of 264 bytes.
pub const CALL: &str = concat!(
    r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"get_note","arguments":"#,
    r#"{"path":"projects/2026/plan.md","format":"markdown","limit":50,"tags":["work","q3"],"#,
    r#""options":{"follow":true,"depth":3}},"_meta":{"progressToken":"b1f2c3d4-0001-4abc-9def-01"}}}"#,
);

/// The claims of RFC 9068, good for an hour.
pub fn claims(issuer: &str, subject: &str) -> ClaimsBuilder {
    let now = SystemClock.now();
    ClaimsBuilder::new()
        .issuer(issuer)
        .audience(RESOURCE)
        .subject(subject)
        .client_id("claude-desktop")
        .jwt_id(&format!("5f2c6a0e-0c6d-4a57-9f0e-{subject:0>12}"))
        .scope("openid profile offline_access read:data write:data admin:notes")
        .issued_at(now)
        .not_before(now)
        .expires_at(now.saturating_add(Duration::from_secs(3600)))
}

/// A token that was verified.
pub fn verified(subject: &str) -> VerifiedToken {
    let json = claims("https://idp.example.com", subject).to_json();
    VerifiedToken::assertion(Claims::from_json(&json).expect("claims"))
}

pub fn validator(issuer: &TestIssuer) -> JwtValidator {
    JwtValidator::new(issuer.url(), RESOURCE).expect("a validator")
}

pub fn keys(issuer: &TestIssuer) -> StaticJwks {
    StaticJwks::from_json(issuer.url(), issuer.jwks().as_bytes()).expect("keys")
}

/// A policy of so many rules, of which the first lets `get_note` through.
pub fn policy(rules: usize) -> ScopePolicy {
    let more: String = (1..rules)
        .map(|n| {
            format!(
                r#","tool_{n}{}":["read:data"]"#,
                if n % 2 == 0 { "*" } else { "" }
            )
        })
        .collect();
    let json = format!(r#"{{"tools":{{"get_note":["read:data"]{more}}}}}"#);
    ScopePolicy::from_json(&json).expect("a policy")
}

/// The head of a `tools/call` with this token.
pub fn headers(token: &str) -> HeaderMap {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token");
    let fixed = HeaderValue::from_static;
    HeaderMap::from_iter([
        (header::HOST, fixed("mcp.example.com")),
        (header::ACCEPT, fixed("application/json, text/event-stream")),
        (header::CONTENT_TYPE, fixed("application/json")),
        (header::AUTHORIZATION, bearer),
    ])
}

/// The default stack with a cache of so many tokens, and one request to it again and again.
pub struct Scene<S> {
    service: S,
    headers: HeaderMap,
}

pub fn scene(
    algorithm: Algorithm,
    cache: usize,
) -> Scene<impl Service<Request<Body>, Response = Response<impl Sized>, Error = Infallible> + Clone>
{
    let issuer = TestIssuer::start().expect("an issuer");
    let token = issuer.token_signed_with(algorithm, &claims(issuer.url(), "alice"));
    let key = UpstreamKey::new("ro", "internal-key-1").expect("a key");
    let upstream_keys =
        KeyMap::new().with_user("alice", key, "read:data".parse().expect("a scope"));
    let plenty = Quota::per_second(NonZeroU32::new(1_000_000_000).expect("not zero"));
    let stack = AuthStack::new(
        validator(&issuer),
        keys(&issuer),
        ResourceMetadata::new(RESOURCE, [issuer.url()]).expect("metadata"),
        policy(10),
    )
    .with_token_cache(cache)
    .with_revocation(MemoryRevocationStore::new())
    .with_rate_limit(RateLimitLayer::new(
        MemoryRateLimitStore::new(),
        RateLimit::new("calls", plenty),
    ))
    .with_upstream_keys(upstream_keys, KeyHeader::default())
    .with_audit(Arc::new(audit_sink_fn(|event: AuditEvent| drop(event))));
    let inner = service_fn(|_: Request<McpBody>| async {
        Ok::<_, Infallible>(Response::new(Body::from(
            r#"{"jsonrpc":"2.0","id":42,"result":{}}"#,
        )))
    });
    let scene = Scene {
        service: stack.layer(inner),
        headers: headers(&token),
    };
    scene.send();
    scene
}

impl<S, R> Scene<S>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone,
{
    /// Sends the request, which must be let through.
    pub fn send(&self) {
        let mut request = Request::new(Body::from(Bytes::from_static(CALL.as_bytes())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/mcp");
        *request.headers_mut() = self.headers.clone();
        let answer = self.service.clone().oneshot(request);
        let answer = answer.now_or_never().expect("it is ready at once");
        let status = answer.unwrap_or_else(|never| match never {}).status();
        assert_eq!(status, StatusCode::OK);
    }
}
