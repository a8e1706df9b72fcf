//! Several servers behind one axum router, each under a path that the router strips and in a stack
//! of its own: what each has of its own, and what they share.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::{
    num::NonZeroU32,
    sync::{Arc, LazyLock, Mutex},
};

use axum::{Router, body::Body, routing::any};
use http::{Request, StatusCode, Uri};
use http_body_util::BodyExt;
use mcp_auth::{
    AuthStack, Jwks, JwtValidator, MemoryRateLimitStore, MemoryRevocationStore, Quota, RateLimit,
    RateLimitLayer, Reason, RecordingSink, ResourceMetadata, ResourceMetadataEndpoint, ScopePolicy,
    UnixTime, VerifiedToken,
    testing::{ClaimsBuilder, TestIssuer},
};
use serde_json::{Value, json};
use tower::ServiceExt;

const HOST: &str = "https://mcp.example.com";
const ROOT: &str = "/.well-known/oauth-protected-resource";

static ISSUER: LazyLock<TestIssuer> = LazyLock::new(|| TestIssuer::start().unwrap());

/// Two servers, `/notes` and `/files/a`.
struct Servers {
    app: Router,
    /// Which server was asked for which path, by whom.
    seen: Arc<Mutex<Vec<String>>>,
    audit: Arc<RecordingSink>,
    revocations: MemoryRevocationStore,
}

struct Answer {
    status: StatusCode,
    challenge: String,
    body: Value,
}

impl Servers {
    fn new() -> Self {
        let mut servers = Self {
            app: Router::new(),
            seen: Arc::default(),
            audit: Arc::new(RecordingSink::new()),
            revocations: MemoryRevocationStore::new(),
        };
        let keys = Jwks::discover(ISSUER.url()).unwrap();
        let counts = MemoryRateLimitStore::new();
        for path in ["/notes", "/files/a"] {
            let server = servers.server(path, keys.clone(), counts.clone());
            servers.app = servers.app.merge(server);
        }
        servers
    }

    fn server(&self, path: &'static str, keys: Jwks, counts: MemoryRateLimitStore) -> Router {
        let resource = format!("{HOST}{path}");
        let scope = path.replace('/', "");
        let policy = json!({"base": [scope], "tools": {scope: []}});
        let quota = Quota::per_hour(NonZeroU32::new(2).unwrap());
        let auth = AuthStack::new(
            JwtValidator::new(ISSUER.url(), &resource).unwrap(),
            keys,
            ResourceMetadata::new(&resource, [ISSUER.url()])
                .unwrap()
                .without_root_alias(),
            ScopePolicy::from_json(&policy.to_string()).unwrap(),
        )
        .with_rate_limit(RateLimitLayer::new(counts, RateLimit::new("tools", quota)))
        .with_revocation(self.revocations.clone())
        .with_audit(Arc::clone(&self.audit));
        let document = auth.metadata();
        let seen = Arc::clone(&self.seen);
        let service = any(move |token: VerifiedToken, uri: Uri| {
            let line = format!("{path} {uri} {}", token.principal().subject());
            seen.lock().unwrap().push(line);
            async { [("mcp-session-id", "session-1")] }
        });
        let server = Router::new()
            .route("/", service.clone())
            .route("/{*rest}", service)
            .layer(auth);
        Router::new()
            .nest(path, server)
            .route_service(document.path(), ResourceMetadataEndpoint::new(&document))
    }

    async fn send(&self, request: http::request::Builder, body: Value) -> Answer {
        let request = request
            .header("host", "mcp.example.com")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let challenge = response.headers().get("www-authenticate");
        let challenge = challenge.map_or("", |value| value.to_str().unwrap());
        let challenge = challenge.to_owned();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            challenge,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    async fn call(&self, path: &str, claims: &ClaimsBuilder, tool: &str) -> Answer {
        let params = json!({"name": tool, "arguments": {}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let token = ISSUER.token(claims);
        let request = Request::post(path).header("authorization", format!("Bearer {token}"));
        self.send(request, message).await
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn alice(server: &str) -> ClaimsBuilder {
    let claims = ISSUER.claims().subject("alice").scope("notes filesa");
    claims.audience(&format!("{HOST}{server}"))
}

#[tokio::test]
async fn a_token_for_one_server_is_refused_by_the_other() {
    let servers = Servers::new();
    for (server, other, scope) in [
        ("/notes", "/files/a", "filesa"),
        ("/files/a", "/notes", "notes"),
    ] {
        let answer = servers.call(other, &alice(server), scope).await;
        let expected = format!(
            r#"Bearer error="invalid_token", scope="{scope}", resource_metadata="{HOST}{ROOT}{other}", error_description="The access token is meant for another resource""#
        );
        assert_eq!((answer.status.as_u16(), answer.challenge), (401, expected));
    }
    assert_eq!(servers.seen(), [""; 0]);
    let reasons: Vec<_> = servers
        .audit
        .events()
        .iter()
        .map(|event| event.reason())
        .collect();
    assert_eq!(reasons, [Reason::WrongAudience; 2]);

    for (path, server, scope) in [
        ("/notes", "/notes", "notes"),
        ("/files/a/mcp", "/files/a", "filesa"),
    ] {
        let answer = servers.call(path, &alice(server), scope).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(servers.seen(), ["/notes / alice", "/files/a /mcp alice"]);
}

#[tokio::test]
async fn each_server_has_its_own_policy() {
    let servers = Servers::new();
    let answer = servers.call("/notes", &alice("/notes"), "filesa").await;
    assert_eq!((answer.status.as_u16(), &*answer.challenge), (403, ""));
    let answer = servers
        .call("/files/a", &alice("/files/a").scope("notes"), "filesa")
        .await;
    assert_eq!(answer.status, 403);
    let expected = r#"Bearer error="insufficient_scope", scope="filesa", "#;
    assert!(
        answer.challenge.starts_with(expected),
        "{}",
        answer.challenge
    );
    assert_eq!(servers.seen(), [""; 0]);
}

#[tokio::test]
async fn each_server_is_described_at_its_own_path_and_none_at_the_root() {
    let servers = Servers::new();
    for (path, scope) in [("/notes", "notes"), ("/files/a", "filesa")] {
        let answer = servers
            .send(Request::get(format!("{ROOT}{path}")), Value::Null)
            .await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.body,
            json!({
                "resource": format!("{HOST}{path}"),
                "authorization_servers": [ISSUER.url()],
                "bearer_methods_supported": ["header"],
                "scopes_supported": [scope],
            })
        );
        let answer = servers.send(Request::get(path), Value::Null).await;
        let expected = format!(r#"Bearer scope="{scope}", resource_metadata="{HOST}{ROOT}{path}""#);
        assert_eq!((answer.status.as_u16(), answer.challenge), (401, expected));
    }
    for path in ["", "/", "/files", "/notes/x"] {
        let answer = servers
            .send(Request::get(format!("{ROOT}{path}")), Value::Null)
            .await;
        assert_eq!(answer.status, 404, "{path}");
    }
    // Nor is the root alias of a stack where its router puts it.
    let answer = servers
        .send(Request::get(format!("/notes{ROOT}")), Value::Null)
        .await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn limits_and_revocations_are_shared_where_their_stores_are() {
    let servers = Servers::new();
    for (path, scope, status) in [
        ("/notes", "notes", 200),
        ("/files/a", "filesa", 200),
        ("/notes", "notes", 429),
        ("/files/a", "filesa", 429),
    ] {
        let answer = servers.call(path, &alice(path), scope).await;
        assert_eq!(answer.status, status, "{path}");
    }
    let until = UnixTime::MAX;
    servers
        .revocations
        .revoke_token(ISSUER.url(), "gone", until);
    for (path, scope) in [("/notes", "notes"), ("/files/a", "filesa")] {
        let answer = servers.call(path, &alice(path).jwt_id("gone"), scope).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    assert_eq!(servers.audit.events().len(), 6);
}

#[tokio::test]
async fn a_session_of_one_server_is_unknown_to_the_other() {
    let servers = Servers::new();
    let post = async |path: &str, session: &str, message: Value| {
        let token = ISSUER.token(&alice(path));
        let mut request = Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .header("mcp-protocol-version", "2025-11-25");
        if !session.is_empty() {
            request = request.header("mcp-session-id", session);
        }
        servers.send(request, message).await.status.as_u16()
    };
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    let open = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    assert_eq!(post("/notes", "", open).await, 200);
    assert_eq!(post("/notes", "session-1", ping.clone()).await, 200);
    assert_eq!(post("/files/a", "session-1", ping).await, 404);
    assert_eq!(servers.seen().len(), 2);
}

#[tokio::test]
async fn a_document_that_the_router_asks_nobody_for_is_mounted() {
    let resource = format!("{HOST}/mcp");
    let auth = AuthStack::new(
        JwtValidator::new(ISSUER.url(), &resource).unwrap(),
        Jwks::discover(ISSUER.url()).unwrap(),
        ResourceMetadata::new(&resource, [ISSUER.url()]).unwrap(),
        ScopePolicy::new(),
    );
    let document = auth.metadata();
    let status = async |app: Router| {
        let request = Request::get(document.path()).header("host", "mcp.example.com");
        let answer = app.oneshot(request.body(Body::empty()).unwrap()).await;
        answer.unwrap().status()
    };
    let app = Router::new().route("/mcp", any(async || ()));
    assert_eq!(status(app.clone().layer(auth.clone())).await, 200);
    let app = app.route_layer(auth);
    assert_eq!(status(app.clone()).await, 404);
    let endpoint = ResourceMetadataEndpoint::new(&document);
    let app = app.route_service(document.path(), endpoint);
    assert_eq!(status(app).await, 200);
}
