//! The gateway fetches keys and asks its upstream over TLS, from servers that prove who they are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::net::SocketAddr;

use mcp_auth::testing::TestIssuer;

use support::{
    gateway::Gateway,
    soon,
    tls::Certificates,
    upstream::{Upstream, json},
};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
const AUDIENCE: &str = "litellm-mcp";

/// Where a URL of a test server leads.
fn addr(url: &str) -> SocketAddr {
    let url = reqwest::Url::parse(url).unwrap();
    url.socket_addrs(|| None).unwrap()[0]
}

/// What a gateway says to a valid token, with the authorities of this file trusted: status and body.
async fn answer(
    issuer: &TestIssuer,
    [keys, upstream]: [&str; 2],
    authorities: &str,
) -> (u16, String) {
    let gateway = Gateway::start(
        [
            "--upstream",
            upstream,
            "--issuer",
            issuer.url(),
            "--jwks-uri",
            keys,
            "--audience",
            AUDIENCE,
            "--no-key-map",
        ],
        [("SSL_CERT_FILE", authorities)],
    )
    .await;
    let token = issuer.token(&issuer.claims().audience(AUDIENCE));
    let answer = reqwest::Client::new()
        .post(gateway.url("/mcp"))
        .bearer_auth(token)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .body(CALL)
        .send();
    let answer = soon("an answer", answer).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn only_servers_that_prove_who_they_are_are_asked() {
    let issuer = TestIssuer::start().unwrap();
    let upstream = Upstream::start(|_| async { json(ANSWER) }).await;
    let certificates = Certificates::new();
    let https = async |url: &str| {
        let front = certificates.in_front_of(addr(url)).await;
        format!("https://{front}")
    };
    let keys = https(issuer.url()).await + reqwest::Url::parse(&issuer.jwks_uri()).unwrap().path();
    let secured = https(&upstream.url()).await;
    let authority = certificates.authority();
    let right = authority.to_str().unwrap();
    let stranger = Certificates::new();
    let wrong = stranger.authority();
    let wrong = wrong.to_str().unwrap();

    let (status, body) = answer(&issuer, [&keys, &secured], right).await;
    assert_eq!((status, &*body), (200, ANSWER));
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(issuer.fetches(), 1);

    // Keys that may come from anybody are none.
    let (status, body) = answer(&issuer, [&keys, &upstream.url()], wrong).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(issuer.fetches(), 1);

    let (status, body) = answer(&issuer, [&issuer.jwks_uri(), &secured], wrong).await;
    assert_eq!(status, 502, "{body}");
    assert_eq!(upstream.seen().len(), 1);
}
