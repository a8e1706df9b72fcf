//! The whole stack around a service, with real signatures: what passes, what is refused, and that
//! nothing of a refused request reaches the service.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::{
    convert::Infallible,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use mcp_auth::{
    AuditEvent, AuditLogLayer, AuditRateLimit, AuthStack, Decision, JwtValidator, KeyHeader,
    KeyStore, McpBody, MemoryRateLimitStore, MemoryRevocationStore, Quota, RateLimit,
    RateLimitLayer, RecordingSink, ResourceMetadata, StaticJwks, Target, UnixTime, UpstreamKey,
    UpstreamKeyId, key_store_fn, policy_fn,
};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

const ISSUER: &str = "https://idp.example";
const RESOURCE: &str = "https://mcp.example/mcp";
const CHALLENGE_END: &str =
    r#"resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp""#;

struct House {
    key: Ed25519KeyPair,
    revocations: MemoryRevocationStore,
    audit: Arc<RecordingSink>,
    /// The headers of every request that reached the service.
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    limit: u32,
}

impl House {
    fn new() -> Self {
        Self {
            key: Ed25519KeyPair::generate().unwrap(),
            revocations: MemoryRevocationStore::new(),
            audit: Arc::new(RecordingSink::new()),
            seen: Arc::default(),
            limit: 100,
        }
    }

    fn now() -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    }

    fn token(&self, changes: &[(&str, Value)]) -> String {
        let mut claims = json!({
            "iss": ISSUER, "sub": "alice", "aud": RESOURCE, "exp": Self::now() + 600,
            "iat": Self::now(), "jti": "t-1", "client_id": "cli", "scope": "read:data",
        });
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The stack, which tells no audit log.
    fn stack(
        &self,
    ) -> AuthStack<
        StaticJwks,
        MemoryRevocationStore,
        MemoryRateLimitStore,
        impl KeyStore<UpstreamKeyId, Key = UpstreamKey>,
    > {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key());
        let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]});
        let policy = policy_fn(|access| match access.operation.target() {
            Some(Target::Tool(name)) if name.starts_with("put_") => {
                let needed = "write:data".parse().unwrap();
                if access.token.scope().contains("write:data") {
                    Decision::allow_by(needed)
                } else {
                    Decision::needs(needed)
                }
            }
            Some(Target::Tool(name)) if &**name == "drop_all" => Decision::forbid(),
            _ => Decision::allow(),
        });
        let keys = key_store_fn(|id: UpstreamKeyId| async move {
            Ok((id.token().principal().subject() == "alice")
                .then(|| UpstreamKey::new("ro", "internal-key-1").unwrap()))
        });
        AuthStack::new(
            JwtValidator::new(ISSUER, RESOURCE).unwrap(),
            StaticJwks::from_json(ISSUER, jwks.to_string().as_bytes()).unwrap(),
            ResourceMetadata::new(RESOURCE, [ISSUER]).unwrap(),
            policy,
        )
        .with_revocation(self.revocations.clone())
        .with_rate_limit(RateLimitLayer::new(
            MemoryRateLimitStore::new(),
            RateLimit::new(
                "calls",
                Quota::per_hour(NonZeroU32::new(self.limit).unwrap()),
            ),
        ))
        .with_upstream_keys(keys, KeyHeader::default())
    }

    async fn send(
        &self,
        requests: Vec<Request<Full<Bytes>>>,
    ) -> Vec<(StatusCode, HeaderMap, Value)> {
        let stack = self.stack().with_audit(Arc::clone(&self.audit));
        let seen = Arc::clone(&self.seen);
        let service = stack.layer(service_fn(move |request: Request<McpBody>| {
            let seen = Arc::clone(&seen);
            async move {
                seen.lock().unwrap().push(request.headers().clone());
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        }));
        let mut answers = Vec::new();
        for request in requests {
            let (head, body) = service.clone().oneshot(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            answers.push((head.status, head.headers, body));
        }
        answers
    }

    async fn one(&self, request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Value) {
        self.send(vec![request]).await.remove(0)
    }

    fn upstream_calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn reasons(&self) -> Vec<String> {
        let events = self.audit.events();
        events
            .iter()
            .map(|event| event.reason().to_string())
            .collect()
    }
}

fn call(token: Option<&str>, tool: &str) -> Request<Full<Bytes>> {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool}});
    let mut request = Request::post(RESOURCE).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Full::new(body.to_string().into())).unwrap()
}

fn challenge(headers: &HeaderMap) -> &str {
    headers["www-authenticate"].to_str().unwrap()
}

#[tokio::test]
async fn a_good_call_reaches_the_service_with_the_key_and_without_the_token() {
    let house = House::new();
    let token = house.token(&[]);
    let mut request = call(Some(&token), "get_note");
    let spoofed = "spoofed".parse().unwrap();
    request.headers_mut().insert("x_api_key", spoofed);
    let (status, _, body) = house.one(request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["params"]["name"], "get_note");
    let seen = house.seen.lock().unwrap();
    assert_eq!(seen[0]["x-api-key"], "internal-key-1");
    assert!(!seen[0].contains_key("authorization") && !seen[0].contains_key("x_api_key"));
    let event = &house.audit.events()[0];
    assert_eq!(
        (event.user(), event.action(), event.tool()),
        (Some("alice"), "tools/call", Some("get_note"))
    );
    assert_eq!(event.to_json().matches("internal-key-1").count(), 0);
}

#[tokio::test]
async fn an_audit_log_outside_of_the_stack_is_told_the_same() {
    let house = House::new();
    let token = house.token(&[]);
    let requests = || {
        ["get_note", "put_note"]
            .map(|tool| call(Some(&token), tool))
            .into_iter()
            .chain([call(None, "get_note")])
    };
    house.send(requests().collect()).await;
    let inside = house.audit.events();

    let outside = Arc::new(RecordingSink::new());
    let answer = |_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) };
    let service = house.stack().layer(service_fn(answer));
    let audited = AuditLogLayer::new(Arc::clone(&outside)).layer(service);
    for request in requests() {
        audited.clone().oneshot(request).await.unwrap();
    }
    // One whose answer is still awaited when the client goes away.
    let never = |_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>();
    let service = house.stack().layer(service_fn(never));
    let audited = AuditLogLayer::new(Arc::clone(&outside)).layer(service);
    let left = audited
        .oneshot(call(Some(&token), "get_note"))
        .now_or_never();
    assert!(left.is_none());

    let told = |event: &AuditEvent| {
        let mut told: Value = serde_json::from_str(&event.to_json()).unwrap();
        for changing in ["timestamp", "request_id", "total_ms", "upstream_ms"] {
            told[changing] = Value::Null;
        }
        told
    };
    let mut expected: Vec<Value> = inside.iter().map(told).collect();
    assert_eq!(house.reasons(), ["ok", "insufficient_scope", "no_token"]);
    let mut cancelled = expected[0].clone();
    cancelled["decision"] = "error".into();
    cancelled["status"] = Value::Null;
    cancelled["cancelled"] = true.into();
    expected.push(cancelled);
    let outside: Vec<Value> = outside.events().iter().map(told).collect();
    assert_eq!(outside, expected);
}

#[tokio::test]
async fn bad_tokens_are_refused_each_for_its_reason() {
    let house = House::new();
    let hour_ago = json!(House::now() - 3600);
    let mut forged = house.token(&[]);
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    for (token, reason) in [
        (house.token(&[("exp", hour_ago)]), "expired"),
        (
            house.token(&[("nbf", json!(House::now() + 3600))]),
            "not_yet_valid",
        ),
        (
            house.token(&[("iss", json!("https://evil.example"))]),
            "wrong_issuer",
        ),
        (
            house.token(&[("aud", json!("https://mcp.example/mcp-evil"))]),
            "wrong_audience",
        ),
        (house.token(&[("nonce", json!("n"))]), "wrong_type"),
        (house.token(&[("cnf", json!({"jkt": "x"}))]), "wrong_type"),
        (forged, "bad_signature"),
        ("a.b.c".to_owned(), "invalid_token"),
    ] {
        let (status, headers, body) = house.one(call(Some(&token), "get_note")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{reason}");
        assert!(
            challenge(&headers).starts_with(r#"Bearer error="invalid_token", resource_metadata="#)
        );
        assert_eq!(body["error"], "invalid_token");
        assert_eq!(house.reasons().last().unwrap(), reason);
    }
    assert_eq!(house.upstream_calls(), 0);
}

#[tokio::test]
async fn without_a_token_the_challenge_names_no_error() {
    let house = House::new();
    let (status, headers, _) = house.one(call(None, "get_note")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(challenge(&headers), format!("Bearer {CHALLENGE_END}"));
    assert_eq!(house.reasons(), ["no_token"]);
    assert_eq!(house.upstream_calls(), 0);
}

#[tokio::test]
async fn a_missing_scope_is_named_and_any_other_no_is_not_a_challenge() {
    let house = House::new();
    let token = house.token(&[]);
    let (status, headers, body) = house.one(call(Some(&token), "put_note")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        challenge(&headers),
        format!(r#"Bearer error="insufficient_scope", scope="write:data", {CHALLENGE_END}"#)
    );
    assert_eq!(body["id"], 7);
    assert_eq!(body["error"]["code"], -31403);
    assert_eq!(body["error"]["data"]["required"], json!(["write:data"]));

    let (status, headers, _) = house.one(call(Some(&token), "drop_all")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(!headers.contains_key("www-authenticate"));

    let bob = house.token(&[("sub", json!("bob"))]);
    let (status, headers, _) = house.one(call(Some(&bob), "get_note")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(!headers.contains_key("www-authenticate"));
    assert_eq!(house.reasons(), ["insufficient_scope", "denied", "no_key"]);
    assert_eq!(house.upstream_calls(), 0);
}

#[tokio::test]
async fn a_revoked_token_is_refused_on_the_next_request() {
    let house = House::new();
    let token = house.token(&[]);
    assert_eq!(
        house.one(call(Some(&token), "get_note")).await.0,
        StatusCode::OK
    );
    house
        .revocations
        .revoke_token(ISSUER, "t-1", UnixTime::from_secs(House::now() + 700));
    let (status, headers, _) = house.one(call(Some(&token), "get_note")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(challenge(&headers).contains("The access token was revoked"));
    assert_eq!(house.reasons(), ["ok", "revoked"]);
    assert_eq!(house.upstream_calls(), 1);
}

#[tokio::test]
async fn the_limit_says_when_to_come_back() {
    let house = House {
        limit: 2,
        ..House::new()
    };
    let token = house.token(&[]);
    let calls = (0..3).map(|_| call(Some(&token), "get_note")).collect();
    let answers = house.send(calls).await;
    assert_eq!(answers[1].0, StatusCode::OK);
    let (status, headers, body) = &answers[2];
    assert_eq!(*status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "1800");
    assert_eq!(body["error"]["code"], -31429);
    assert_eq!(body["error"]["data"]["retryAfterSeconds"], 1800);
    assert_eq!(house.upstream_calls(), 2);
}

#[tokio::test]
async fn too_many_streams_are_told_where_a_limit_had_enough() {
    let house = House::new();
    let hundred = Quota::per_hour(NonZeroU32::new(100).unwrap());
    let limit = RateLimit::new("gets", hundred).with_methods(["GET"]);
    let service = house
        .stack()
        .with_rate_limit(RateLimitLayer::new(MemoryRateLimitStore::new(), limit))
        .with_max_streams(0)
        .with_audit(Arc::clone(&house.audit))
        .layer(service_fn(|_: Request<McpBody>| async {
            Ok::<_, Infallible>(Response::<Full<Bytes>>::default())
        }));
    let request = Request::get(RESOURCE)
        .header("accept", "text/event-stream")
        .header("authorization", format!("Bearer {}", house.token(&[])))
        .body(Full::<Bytes>::default())
        .unwrap();
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(house.reasons(), ["rate_limited"]);
    let told = house.audit.events()[0].rate_limit();
    assert_eq!(told, Some(AuditRateLimit::Limited));
}

#[tokio::test]
async fn the_metadata_is_open_to_everybody() {
    let house = House::new();
    let request = Request::get("https://mcp.example/.well-known/oauth-protected-resource/mcp")
        .body(Full::default())
        .unwrap();
    let (status, headers, body) = house.one(request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(body["resource"], RESOURCE);
    assert_eq!(house.audit.events()[0].action(), "metadata");
    assert_eq!(house.upstream_calls(), 0);
}

#[tokio::test]
async fn messages_that_two_parsers_could_read_differently_are_refused() {
    let house = House::new();
    let token = house.token(&[]);
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get","name":"drop_all"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["drop_all"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"} {}"#,
        "[]",
    ] {
        let mut request = call(Some(&token), "x");
        *request.body_mut() = Full::new(Bytes::from_static(body.as_bytes()));
        let (status, _, _) = house.one(request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(house.reasons().last().unwrap(), "malformed_message");
    }
    assert_eq!(house.upstream_calls(), 0);
}
