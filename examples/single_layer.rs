//! Scope guard, limit and audit behind somebody else's token check.
//!
//! ```sh
//! cargo run --example single_layer
//! ```
//!
//! It asserts what it shows.

use std::{convert::Infallible, error::Error, num::NonZeroU32, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use mcp_auth::{
    AuditLogLayer, AuthTrail, Claims, McpBody, McpRequestLayer, MemoryRateLimitStore, Quota,
    RateLimit, RateLimitLayer, RecordingSink, ScopeGuardLayer, ScopePolicy, VerifiedToken,
};
use tower::{ServiceBuilder, ServiceExt, service_fn};

/// What your own check found out, in the place where the layers inside look for it.
fn introspected(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    // Here you would ask the issuer (RFC 7662), and refuse what it does not know.
    let answer = r#"{"iss": "https://idp.example", "sub": "alice", "exp": 4102444800,
                     "client_id": "cli", "scope": "read:data"}"#;
    if let Ok(claims) = Claims::from_json(answer) {
        let token = VerifiedToken::assertion(claims);
        if let Some(trail) = request.extensions().get::<AuthTrail>() {
            trail.set_token(&token);
        }
        request.extensions_mut().insert(token);
    }
    request
}

fn call(tool: &str) -> Result<Request<Full<Bytes>>, http::Error> {
    let message = format!(
        r#"{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {{"name": "{tool}"}}}}"#
    );
    Request::post("/mcp")
        .header("content-type", "application/json")
        .body(Full::new(message.into()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let audit = Arc::new(RecordingSink::new());
    let two = NonZeroU32::new(2).ok_or("not zero")?;
    let policy = ScopePolicy::from_json(
        r#"{"base": ["read:data"], "tools": {"get_*": [], "put_*": ["write:data"]}}"#,
    )?;

    // Outermost first. The order is yours to keep here: the audit log sees all that is refused
    // inside of it, and a layer finds what the ones in front of it left.
    let service = ServiceBuilder::new()
        .layer(AuditLogLayer::new(Arc::clone(&audit)))
        .map_request(introspected)
        .layer(McpRequestLayer::new())
        .layer(ScopeGuardLayer::new(policy))
        .layer(RateLimitLayer::new(
            MemoryRateLimitStore::new(),
            RateLimit::new("calls", Quota::per_hour(two)),
        ))
        .service(service_fn(async |_: Request<McpBody>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
        }));

    for (tool, expected) in [
        ("get_note", StatusCode::OK),
        ("put_note", StatusCode::FORBIDDEN),
        ("get_note", StatusCode::OK),
        ("get_note", StatusCode::TOO_MANY_REQUESTS),
    ] {
        let response = service.clone().oneshot(call(tool)?).await?;
        assert_eq!(response.status(), expected, "{tool}");
        println!("{tool}: {}", response.status());
    }
    let events = audit.events();
    let reasons: Vec<_> = events.iter().map(|event| event.reason().as_str()).collect();
    assert_eq!(reasons, ["ok", "insufficient_scope", "ok", "rate_limited"]);
    assert!(events.iter().all(|event| event.user() == Some("alice")));
    Ok(())
}
