//! Handlers that check again where the work is done: one of axum, one tool of the official SDK.
//!
//! ```sh
//! cargo run --example check_again
//! ```
//!
//! The policy in front lets every caller use the tool `tidy`, which deletes only what its caller
//! may delete. It asserts what it shows.

use std::error::Error;

use axum::{Router, body::Body, routing::post};
use http::{Request, request::Parts};
use http_body_util::BodyExt;
use mcp_auth::{
    AuthStack, Granted, JwtValidator, Operation, ResourceMetadata, ScopePolicy, StaticJwks,
    testing::TestIssuer,
};
use rmcp::{
    ServerHandler,
    handler::server::tool::Extension,
    model::{ServerCapabilities, ServerConfig},
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use tower::ServiceExt;

/// The work, and the check that stands beside it.
fn tidy(granted: &Granted) -> &'static str {
    if granted.decide(&Operation::tool("delete_note")).is_allowed() {
        "tidied"
    } else {
        "nothing that you may delete"
    }
}

/// An MCP server by hand: the extractor says who asks what, and by which policy.
async fn by_hand(granted: Granted) -> String {
    tidy(&granted).to_owned()
}

/// The same with the official SDK: the request's extensions reach the tool.
#[derive(Clone, Debug)]
struct Notes;

#[tool_router]
impl Notes {
    #[tool(description = "Deletes what is old")]
    fn tidy(&self, Extension(parts): Extension<Parts>) -> Result<String, String> {
        let granted = parts.extensions.get::<Granted>();
        let granted = granted.ok_or("this server stands without its guard")?;
        Ok(tidy(granted).to_owned())
    }
}

#[tool_handler]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::start()?;
    let resource = "https://mcp.example.com/mcp";
    let auth = AuthStack::new(
        JwtValidator::new(issuer.url(), resource)?,
        StaticJwks::from_json(issuer.url(), issuer.jwks().as_bytes())?,
        ResourceMetadata::new(resource, [issuer.url()])?,
        ScopePolicy::from_json(r#"{"tools": {"tidy": [], "delete_note": ["write:data"]}}"#)?,
    );
    let sdk = StreamableHttpService::new(
        || Ok(Notes),
        std::sync::Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .disable_allowed_hosts(),
    );
    let app = Router::new()
        .route("/by-hand", post(by_hand))
        .route_service("/mcp", sdk)
        .layer(auth);

    for (scope, expected) in [
        ("read:data", "nothing that you may delete"),
        ("write:data", "tidied"),
    ] {
        let token = issuer.token(&issuer.claims().audience(resource).scope(scope));
        for path in ["/by-hand", "/mcp"] {
            let request = Request::post(path)
                .header("host", "mcp.example.com")
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream")
                .body(Body::from(
                    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tidy"}}"#,
                ))?;
            let answer = app.clone().oneshot(request).await?;
            let body = answer.into_body().collect().await?.to_bytes();
            let said = String::from_utf8_lossy(&body);
            println!("{scope} at {path}: {said}");
            assert!(said.contains(expected), "{said}");
        }
    }
    Ok(())
}
