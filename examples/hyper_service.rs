//! An MCP server of the official SDK on bare hyper, under the whole stack.
//!
//! ```sh
//! cargo run --example hyper_service
//! ```
//!
//! It serves, calls itself with the official client, checks what comes back, and ends.

#[path = "common/client.rs"]
mod client;
#[path = "gateway/notes.rs"]
#[allow(dead_code)]
mod notes;

use std::{collections::BTreeMap, error::Error, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use mcp_auth::{
    AuthStack, Jwks, JwtValidator, KeyHeader, KeyMap, ResourceMetadata, ScopePolicy,
    testing::TestIssuer,
};
use tokio::{net::TcpListener, time::sleep};
use tower::Layer;

/// Serves until it is dropped. In a service of yours `issuer` and `resource` come from its
/// configuration.
///
/// # Errors
///
/// Where one of the two is no URL that can be used.
pub(crate) async fn serve(
    listener: TcpListener,
    issuer: &str,
    resource: &str,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let keys = r#"{"alice": {"key": "internal-key-ro", "scopes": ["read:data"]}}"#;
    let names = BTreeMap::from([("internal-key-ro".to_owned(), "ro".to_owned())]);

    let service = AuthStack::new(
        JwtValidator::new(issuer, resource)?,
        Jwks::discover(issuer)?,
        ResourceMetadata::new(resource, [issuer])?,
        ScopePolicy::from_json(
            r#"{"base": ["read:data"], "tools": {"put_*": ["write:data"], "whoami": []}}"#,
        )?,
    )
    .with_upstream_keys(KeyMap::from_json(keys)?, KeyHeader::default())
    .layer(notes::Notes::new(names).into_service());

    let mut server = auto::Builder::new(TokioExecutor::new());
    // Without a timer the head of a request may take for ever.
    server.http1().timer(TokioTimer::new());
    loop {
        // It failed for one client, or for all until a connection ends: no reason to end for good.
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (server, service) = (server.clone(), service.clone());
        tokio::spawn(async move {
            let service = TowerToHyperService::new(service);
            server.serve_connection(TokioIo::new(stream), service).await
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let issuer = TestIssuer::start()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    let (url, trusted) = (resource.clone(), issuer.url().to_owned());
    tokio::spawn(async move { serve(listener, &trusted, &url).await });

    let claims = issuer.claims().audience(&resource).scope("read:data");
    let said = client::whoami(&resource, &issuer.token(&claims)).await?;
    assert_eq!(said, "You came with the key ro");
    println!("alice, by her token: {said}");
    Ok(())
}
