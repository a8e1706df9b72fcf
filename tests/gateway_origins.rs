//! Under which names, and for pages of which origins, the gateway answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use support::{
    eventually,
    gateway::{Gateway, command},
    json_lines, soon,
    upstream::{Upstream, json},
};

const RIGHT: [&str; 5] = [
    "--no-key-map",
    "--issuer",
    "http://127.0.0.1:9",
    "--audience",
    "litellm-mcp",
];

/// Asks for `/mcp` without a token under a name: 401 is the answer of a gateway that is meant.
async fn status_under(gateway: &Gateway, host: &str, origin: Option<&str>) -> u16 {
    let mut request = reqwest::Client::new()
        .get(format!("http://127.0.0.1:{}/mcp", gateway.addr.port()))
        .header("host", host);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    let response = soon("an answer", request.send()).await.unwrap();
    response.status().as_u16()
}

#[tokio::test]
async fn on_loopback_every_loopback_name_is_answered() {
    let upstream = Upstream::start(async |_| json("{}")).await;
    let url = upstream.url();
    let directory = tempfile::tempdir().unwrap();
    let audit = directory.path().join("audit.jsonl");
    let mut flags = vec!["--upstream", &url, "--audit-log", audit.to_str().unwrap()];
    flags.extend(["--resource", "https://mcp.example.com/mcp"]);
    flags.extend(["--allow-origin", "https://app.example.com"]);
    flags.extend(["--allow-host", "mcp.internal"]);
    flags.extend(RIGHT);
    let gateway = Gateway::start(flags, []).await;

    for (host, origin, status) in [
        ("127.0.0.1:1", None, 401),
        ("localhost", None, 401),
        ("[::1]:8080", None, 401),
        ("mcp.example.com", None, 401),
        ("mcp.internal:81", None, 401),
        ("localhost", Some("http://localhost:6274"), 401),
        ("localhost", Some("https://mcp.example.com"), 401),
        ("localhost", Some("https://app.example.com"), 401),
        ("evil.example", None, 403),
        ("mcp.example.com:8080", None, 403),
        ("", None, 403),
        ("localhost", Some("http://app.example.com"), 403),
        ("localhost", Some("null"), 403),
        // The pair of a page whose name was rebound to this machine.
        ("evil.example", Some("http://evil.example"), 403),
    ] {
        let answered = status_under(&gateway, host, origin).await;
        assert_eq!(answered, status, "{host} {origin:?}");
    }
    let reasons = eventually("14 audit lines", || {
        let lines = json_lines(&audit);
        (lines.len() == 14).then(|| {
            let reason = |line: serde_json::Value| line["reason"].as_str().unwrap().to_owned();
            lines.into_iter().map(reason).collect::<Vec<_>>()
        })
    })
    .await;
    let count = |wanted: &str| reasons.iter().filter(|reason| *reason == wanted).count();
    assert_eq!(
        [
            count("no_token"),
            count("host_denied"),
            count("origin_denied")
        ],
        [8, 4, 2]
    );
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn elsewhere_the_resource_is_answered_under_its_own_name_alone() {
    let mut command = command();
    command
        .args(["--listen", "0.0.0.0:0", "--upstream", "http://127.0.0.1:9"])
        .args(["--resource", "http://127.0.0.1:8080/mcp"])
        .args(RIGHT);
    let gateway = Gateway::run(command).await;
    for (host, origin, status) in [
        ("127.0.0.1:8080", None, 401),
        ("127.0.0.1:8080", Some("http://127.0.0.1:8080"), 401),
        ("127.0.0.1:8081", None, 403),
        ("127.0.0.1", None, 403),
        ("localhost:8080", None, 403),
        ("127.0.0.1:8080", Some("http://localhost:8080"), 403),
    ] {
        let answered = status_under(&gateway, host, origin).await;
        assert_eq!(answered, status, "{host} {origin:?}");
    }
}

#[tokio::test]
async fn the_authority_of_http_2_is_the_host() {
    let mut flags = vec!["--upstream", "http://127.0.0.1:9"];
    flags.extend(RIGHT);
    let gateway = Gateway::start(flags, []).await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<Empty<Bytes>>();
    let authority = gateway.addr.to_string();
    for (host, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some(&*authority), StatusCode::UNAUTHORIZED),
        (Some("localhost"), StatusCode::FORBIDDEN),
        (Some("evil.example"), StatusCode::FORBIDDEN),
    ] {
        let mut request = Request::get(gateway.url("/mcp"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(Empty::new()).unwrap();
        let response = soon("an answer", client.request(request)).await.unwrap();
        assert_eq!(response.status(), status, "{host:?}");
    }
}
