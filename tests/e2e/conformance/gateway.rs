//! The gateway as a process of its own before the server, and what adds the token before that.

use std::sync::Arc;

use axum::{Router, body::Body, extract::Request, response::IntoResponse};
use http::{HeaderValue, StatusCode, Uri, header::AUTHORIZATION};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use mcp_auth::testing::TestIssuer;
use tempfile::NamedTempFile;

use super::{
    Failure,
    servers::{KEYS, POLICY, listen},
    support::gateway::Gateway,
};

const AUDIENCE: &str = "conformance";

/// The gateway, and what it needs while it runs.
#[derive(Debug)]
pub(crate) struct Gated {
    url: String,
    _gateway: Gateway,
    _policy: NamedTempFile,
    _issuer: TestIssuer,
}

impl Gated {
    /// Starts it before the server at `upstream`.
    pub(crate) async fn start(upstream: &str) -> Result<Self, Failure> {
        let issuer = TestIssuer::start()?;
        let policy = NamedTempFile::new()?;
        std::fs::write(policy.path(), POLICY)?;
        let gateway = Gateway::start(
            [
                ["--upstream", upstream.trim_end_matches("/mcp")],
                ["--issuer", issuer.url()],
                ["--audience", AUDIENCE],
                ["--policy", &policy.path().to_string_lossy()],
            ]
            .into_iter()
            .flatten(),
            [("MCP_PROXY_KEY_MAP", KEYS)],
        )
        .await;

        let token = issuer.token(&issuer.claims().audience(AUDIENCE).scope("mcp"));
        let bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
        let client = Arc::new(Client::builder(TokioExecutor::new()).build_http::<Body>());
        let to = gateway.url("");
        // Everything passes as it comes, `Host` too, and piece by piece.
        let forward = move |mut request: Request| {
            let path = request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str());
            let uri: Result<Uri, _> = format!("{to}{path}").parse();
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            let client = Arc::clone(&client);
            async move {
                let Ok(uri) = uri else {
                    return StatusCode::BAD_REQUEST.into_response();
                };
                *request.uri_mut() = uri;
                match client.request(request).await {
                    Ok(response) => response.into_response(),
                    Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
                }
            }
        };
        let (listener, url) = listen().await?;
        let app = Router::new().fallback(forward);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self {
            url,
            _gateway: gateway,
            _policy: policy,
            _issuer: issuer,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
