//! An MCP server of the official SDK in an axum router, under the whole stack.
//!
//! ```sh
//! cargo run --example axum_service
//! ```
//!
//! It serves, calls itself with the official client, checks what comes back, and ends.

#[path = "common/client.rs"]
mod client;
#[path = "gateway/notes.rs"]
#[allow(dead_code)]
mod notes;

use std::{collections::BTreeMap, error::Error};

use axum::Router;
use mcp_auth::{
    AuthStack, ConfigError, Jwks, JwtValidator, KeyHeader, KeyMap, ResourceMetadata, ScopePolicy,
    testing::TestIssuer,
};
use tokio::net::TcpListener;

/// The router. In a service of yours `issuer` and `resource` come from its configuration.
///
/// # Errors
///
/// [`ConfigError`] where one of the two is no URL that can be used.
pub(crate) fn app(issuer: &str, resource: &str) -> Result<Router, ConfigError> {
    let keys = r#"{"alice": {"key": "internal-key-ro", "scopes": ["read:data"]}}"#;
    let names = BTreeMap::from([("internal-key-ro".to_owned(), "ro".to_owned())]);

    let auth = AuthStack::new(
        JwtValidator::new(issuer, resource)?,
        Jwks::discover(issuer)?,
        ResourceMetadata::new(resource, [issuer])?,
        ScopePolicy::from_json(
            r#"{"base": ["read:data"], "tools": {"put_*": ["write:data"], "whoami": []}}"#,
        )?,
    )
    .with_upstream_keys(KeyMap::from_json(keys)?, KeyHeader::default());

    let service = notes::Notes::new(names).into_service();
    Ok(Router::new().route_service("/mcp", service).layer(auth))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let issuer = TestIssuer::start()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    let app = app(issuer.url(), &resource)?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    let claims = issuer.claims().audience(&resource).scope("read:data");
    let said = client::whoami(&resource, &issuer.token(&claims)).await?;
    assert_eq!(said, "You came with the key ro");
    println!("alice, by her token: {said}");
    Ok(())
}
