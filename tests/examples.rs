//! The official client calls the servers of the examples, with tokens of every kind of key.
#![allow(clippy::unwrap_used, missing_docs)]
// Each example brings its parts along.
#![allow(clippy::duplicate_mod)]

#[path = "../examples/axum_service.rs"]
#[allow(dead_code)]
mod axum_service;
#[path = "../examples/common/client.rs"]
mod client;
#[path = "../examples/hyper_service.rs"]
#[allow(dead_code)]
mod hyper_service;

use mcp_auth::{Algorithm, testing::TestIssuer};
use tokio::net::TcpListener;

const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

async fn check(issuer: &TestIssuer, resource: &str) {
    for algorithm in ALGORITHMS {
        let claims = issuer.claims().audience(resource).scope("read:data");
        let token = issuer.token_signed_with(algorithm, &claims);
        let said = client::whoami(resource, &token).await.unwrap();
        assert_eq!(said, "You came with the key ro", "{algorithm}");

        let elsewhere = claims.audience("https://elsewhere.example/mcp");
        let token = issuer.token_signed_with(algorithm, &elsewhere);
        assert!(
            client::whoami(resource, &token).await.is_err(),
            "{algorithm}"
        );
    }
}

#[tokio::test]
async fn the_axum_service_knows_the_caller() {
    let issuer = TestIssuer::start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resource = format!("http://{}/mcp", listener.local_addr().unwrap());
    let app = axum_service::app(issuer.url(), &resource).unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    check(&issuer, &resource).await;
    server.abort();
}

#[tokio::test]
async fn the_hyper_service_knows_the_caller() {
    let issuer = TestIssuer::start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resource = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (url, trusted) = (resource.clone(), issuer.url().to_owned());
    let server =
        tokio::spawn(async move { hyper_service::serve(listener, &trusted, &url).await.is_ok() });
    check(&issuer, &resource).await;
    server.abort();
}
