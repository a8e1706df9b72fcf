//! Who reaches the service, by which name and from which page, and what pages get to read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use mcp_auth::{
    AuditLogLayer, AuthStack, Decision, JwtValidator, McpBody, OriginGuardLayer, Origins,
    RecordingSink, Rejection, ResourceMetadata, ResourceMetadataLayer, StaticJwks, policy_fn,
    reject_fn, testing::TestIssuer,
};
use serde_json::Value;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const RESOURCE: &str = "https://mcp.example/mcp";
const DOCUMENT: &str = "/.well-known/oauth-protected-resource/mcp";
const APP: &str = "https://app.example";
const EXPOSED: &str = "WWW-Authenticate, Mcp-Session-Id, Retry-After, MCP-Protocol-Version";

fn metadata() -> ResourceMetadata {
    ResourceMetadata::new(RESOURCE, ["https://idp.example"]).unwrap()
}

fn guard() -> OriginGuardLayer {
    let origins = Origins::new(&metadata()).allow_origin(APP).unwrap();
    OriginGuardLayer::new(&metadata()).with_origins(origins)
}

fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

/// What became of a request.
struct Outcome {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    reason: String,
    action: String,
    /// How often the service behind was called.
    calls: usize,
}

impl Outcome {
    /// The values of a field, all of them.
    fn all(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    /// Whether it is a refusal of the guard, whole and without a word too many.
    fn assert_denied(&self, reason: &str, case: &str) {
        assert_eq!(self.status, StatusCode::FORBIDDEN, "{case}");
        assert_eq!(self.reason, reason, "{case}");
        assert_eq!(self.calls, 0, "{case}");
        assert_eq!(self.all("www-authenticate"), [""; 0], "{case}");
        assert_eq!(self.all("access-control-allow-origin"), [""; 0], "{case}");
        assert_eq!(self.all("vary"), ["Origin"], "{case}");
        assert_eq!(self.all("cache-control"), ["no-store"], "{case}");
        let description = match reason {
            "host_denied" => "The Host is not allowed",
            _ => "The Origin is not allowed",
        };
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        let expected =
            serde_json::json!({"error": "access_denied", "error_description": description});
        assert_eq!(body, expected, "{case}");
    }
}

/// Sends a request through the audit log, the guard, the metadata and a service that says of CORS
/// what it should not.
async fn send(guard: OriginGuardLayer, request: Request<Full<Bytes>>) -> Outcome {
    let sink = Arc::new(RecordingSink::new());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = ServiceBuilder::new()
        .layer(AuditLogLayer::new(Arc::clone(&sink)))
        .layer(guard)
        .layer(ResourceMetadataLayer::new(&metadata()))
        .service(service_fn(move |_: Request<Full<Bytes>>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let response = Response::builder()
                .header("access-control-allow-origin", "*")
                .header("access-control-allow-credentials", "true")
                .header("access-control-expose-headers", "*")
                .header("vary", "Accept")
                .body(Full::<Bytes>::from("inside"));
            async { Ok::<_, Infallible>(response.unwrap()) }
        }));
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let events = sink.events();
    assert_eq!(events.len(), 1);
    Outcome {
        status: head.status,
        headers: head.headers,
        body: body.collect().await.unwrap().to_bytes(),
        reason: events[0].reason().to_string(),
        action: events[0].action().to_owned(),
        calls: calls.load(Ordering::Relaxed),
    }
}

#[tokio::test]
async fn only_the_right_host_passes() {
    for (uri, fields, passes) in [
        ("/mcp", &[("host", "mcp.example")][..], true),
        ("/mcp", &[("host", "MCP.example:443")], true),
        // The authority of an HTTP/2 request, with and without a Host beside it.
        ("https://mcp.example/mcp", &[], true),
        ("https://mcp.example/mcp", &[("host", "mcp.example")], true),
        (
            "https://mcp.example/mcp",
            &[("host", "evil.example")],
            false,
        ),
        (
            "https://evil.example/mcp",
            &[("host", "mcp.example")],
            false,
        ),
        (
            "https://mcp.example/mcp",
            &[("host", "mcp.example:443")],
            false,
        ),
        ("https://mcp.example/mcp", &[("host", "")], false),
        ("https://evil.example/mcp", &[], false),
        ("https://user@mcp.example/mcp", &[], false),
        ("/mcp", &[], false),
        ("/mcp", &[("host", "")], false),
        ("/mcp", &[("host", "evil.example")], false),
        ("/mcp", &[("host", "mcp.example.evil.example")], false),
        ("/mcp", &[("host", "mcp.example:8443")], false),
        ("/mcp", &[("host", "mcp.example, evil.example")], false),
        (
            "/mcp",
            &[("host", "mcp.example"), ("host", "mcp.example")],
            false,
        ),
        (
            "/mcp",
            &[
                ("host", "evil.example"),
                ("x-forwarded-host", "mcp.example"),
            ],
            false,
        ),
        // An allowed page does not make a foreign host one of ours.
        ("/mcp", &[("host", "evil.example"), ("origin", APP)], false),
        (DOCUMENT, &[("host", "evil.example")], false),
    ] {
        let outcome = send(guard(), request("POST", uri, fields)).await;
        let case = format!("{uri} {fields:?}");
        if passes {
            assert_eq!(outcome.status, StatusCode::OK, "{case}");
            assert_eq!(
                (&*outcome.reason, outcome.calls, &*outcome.body),
                ("ok", 1, &b"inside"[..])
            );
        } else {
            outcome.assert_denied("host_denied", &case);
        }
    }
    let host_beyond_text = Request::post("/mcp")
        .header("host", b"mcp.example\xff".as_slice())
        .body(Full::default())
        .unwrap();
    let outcome = send(guard(), host_beyond_text).await;
    outcome.assert_denied("host_denied", "a host that is no text");
}

#[tokio::test]
async fn only_pages_of_allowed_origins_pass() {
    for origins in [
        &["https://evil.example"][..],
        &["null"],
        &[""],
        &["https://app.example.evil.example"],
        &["http://app.example"],
        &["https://app.example:8443"],
        &["https://app.example/"],
        &["https://app.example https://app.example"],
        &["https://app.example", "https://app.example"],
        &["https://app.example", "https://evil.example"],
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let mut fields = vec![
                ("host", "mcp.example"),
                ("access-control-request-method", "POST"),
            ];
            fields.extend(origins.iter().map(|origin| ("origin", *origin)));
            let outcome = send(guard(), request(method, "/mcp", &fields)).await;
            outcome.assert_denied("origin_denied", &format!("{method} {origins:?}"));
            let action = if method == "OPTIONS" {
                "preflight"
            } else {
                method
            };
            assert_eq!(outcome.action, action);
        }
    }
    for origin in [APP, "https://mcp.example"] {
        let fields = [("host", "mcp.example"), ("origin", origin)];
        let outcome = send(guard(), request("POST", "/mcp", &fields)).await;
        assert_eq!((outcome.status, outcome.calls), (StatusCode::OK, 1));
        assert_eq!(outcome.all("access-control-allow-origin"), [origin]);
        assert_eq!(outcome.all("access-control-expose-headers"), [EXPOSED]);
        assert_eq!(outcome.all("access-control-allow-credentials"), [""; 0]);
        assert_eq!(outcome.all("vary"), ["Accept", "Origin"]);
    }
}

#[tokio::test]
async fn without_an_origin_no_page_may_read() {
    let outcome = send(guard(), request("POST", RESOURCE, &[])).await;
    assert_eq!((outcome.status, outcome.calls), (StatusCode::OK, 1));
    assert_eq!(outcome.all("access-control-allow-origin"), [""; 0]);
    assert_eq!(outcome.all("access-control-allow-credentials"), [""; 0]);
    assert_eq!(outcome.all("access-control-expose-headers"), [EXPOSED]);
    assert_eq!(outcome.all("vary"), ["Accept", "Origin"]);
}

#[tokio::test]
async fn a_preflight_is_answered_here() {
    let asked = "authorization,content-type,mcp-protocol-version,mcp-param-region";
    let fields = [
        ("origin", APP),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", asked),
    ];
    let outcome = send(guard(), request("OPTIONS", RESOURCE, &fields)).await;
    assert_eq!((outcome.status, outcome.calls), (StatusCode::NO_CONTENT, 0));
    assert_eq!((&*outcome.action, &*outcome.reason), ("preflight", "ok"));
    assert_eq!(outcome.all("access-control-allow-origin"), [APP]);
    assert_eq!(
        outcome.all("access-control-allow-methods"),
        ["GET,POST,DELETE"]
    );
    assert_eq!(outcome.all("access-control-allow-headers"), [asked]);
    assert_eq!(outcome.all("access-control-max-age"), ["600"]);
    assert_eq!(outcome.all("access-control-allow-credentials"), [""; 0]);
    assert_eq!(outcome.all("vary"), ["Origin"]);
    assert!(outcome.body.is_empty());

    // Without an origin it is no preflight, and the layers inside have the word.
    let outcome = send(guard(), request("OPTIONS", RESOURCE, &[])).await;
    assert_eq!((outcome.calls, &*outcome.action), (1, "OPTIONS"));
}

#[tokio::test]
async fn the_metadata_is_open_to_every_origin_and_nothing_else_is() {
    for origin in ["https://evil.example", "null", APP] {
        let fields = [
            ("host", "mcp.example"),
            ("origin", origin),
            ("access-control-request-method", "GET"),
        ];
        for (method, status) in [
            ("GET", StatusCode::OK),
            ("HEAD", StatusCode::OK),
            ("OPTIONS", StatusCode::NO_CONTENT),
        ] {
            let outcome = send(guard(), request(method, DOCUMENT, &fields)).await;
            assert_eq!((outcome.status, outcome.calls), (status, 0), "{method}");
            assert_eq!(outcome.action, "metadata");
            assert_eq!(outcome.all("access-control-allow-origin"), ["*"]);
        }
    }
    for (method, path) in [
        ("POST", DOCUMENT),
        ("GET", "/.well-known/oauth-protected-resource/mcp/"),
        ("GET", "/.well-known/oauth-protected-resource/other"),
        ("GET", "/.well-known/oauth-protected-resource/../mcp"),
        ("GET", "/mcp/.well-known/oauth-protected-resource/mcp"),
    ] {
        let fields = [("host", "mcp.example"), ("origin", "https://evil.example")];
        let outcome = send(guard(), request(method, path, &fields)).await;
        outcome.assert_denied("origin_denied", &format!("{method} {path}"));
    }
}

#[tokio::test]
async fn the_body_of_a_refusal_can_be_shaped() {
    let plain = reject_fn(|rejection: &Rejection| {
        Response::builder()
            .header("access-control-allow-origin", "*")
            .body(Bytes::from_static(rejection.message().as_bytes()))
            .unwrap()
    });
    let fields = [("origin", "https://evil.example")];
    let outcome = send(
        guard().with_reject(plain),
        request("POST", RESOURCE, &fields),
    )
    .await;
    assert_eq!(outcome.status, StatusCode::FORBIDDEN);
    assert_eq!(outcome.body, "The Origin is not allowed");
    assert_eq!(outcome.all("access-control-allow-origin"), [""; 0]);
}

/// The whole stack: what asks for no token needs none, and an allowed page can read why it was
/// refused.
#[tokio::test]
async fn trap_15_neither_metadata_nor_preflight_asks_for_a_token_and_pages_read_the_challenge() {
    let issuer = TestIssuer::start().unwrap();
    let metadata = ResourceMetadata::new(RESOURCE, [issuer.url()]).unwrap();
    let stack = |origins: Option<Origins>| {
        let mut stack = AuthStack::new(
            JwtValidator::new(issuer.url(), RESOURCE).unwrap(),
            StaticJwks::from_json(issuer.url(), br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#).unwrap(),
            metadata.clone(),
            policy_fn(|_| Decision::allow()),
        );
        if let Some(origins) = origins {
            stack = stack.with_origins(origins);
        }
        stack.layer(service_fn(
            async |_: Request<McpBody>| -> Result<_, Infallible> {
                Ok(Response::new(Full::<Bytes>::from("reached")))
            },
        ))
    };
    let post = |origin| request("POST", RESOURCE, &[("origin", origin)]);

    let denied = stack(None).oneshot(post(APP)).await.unwrap();
    assert_eq!(denied.status(), StatusCode::FORBIDDEN);
    assert!(!denied.headers().contains_key("www-authenticate"));
    let foreign_host = request("POST", "https://evil.example/mcp", &[]);
    let denied = stack(None).oneshot(foreign_host).await.unwrap();
    assert_eq!(denied.status(), StatusCode::FORBIDDEN);

    let origins = Origins::new(&metadata).allow_origin(APP).unwrap();
    let stack = stack(Some(origins));
    let document = format!("https://mcp.example{DOCUMENT}");
    for (url, origin, status) in [
        (RESOURCE, APP, StatusCode::NO_CONTENT),
        (&*document, "https://evil.example", StatusCode::NO_CONTENT),
        (RESOURCE, "https://evil.example", StatusCode::FORBIDDEN),
    ] {
        let fields = [("origin", origin), ("access-control-request-method", "GET")];
        let answer = stack.clone().oneshot(request("OPTIONS", url, &fields));
        assert_eq!(answer.await.unwrap().status(), status, "{url} {origin}");
    }
    let evil = [("origin", "https://evil.example")];
    let answer = stack
        .clone()
        .oneshot(request("GET", &document, &evil))
        .await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");

    let refused = stack.oneshot(post(APP)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let headers = refused.headers();
    assert!(headers.contains_key("www-authenticate"));
    assert_eq!(headers["access-control-allow-origin"], APP);
    assert_eq!(headers["access-control-expose-headers"], EXPOSED);
    assert_eq!(headers["vary"], "Origin");
}
