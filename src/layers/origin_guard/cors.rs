//! The CORS headers: `tower-http` makes them; what it leaves undone is here.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::shared::remove_rare;

/// How long a browser may remember a preflight.
const MAX_AGE: Duration = Duration::from_secs(600);

/// What a page needs to read: the challenge, the session, when to come back, the revision.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("WWW-Authenticate, Mcp-Session-Id, Retry-After, MCP-Protocol-Version");

/// Speaks CORS. Whoever asks is answered by name. The headers that a page may send are not ours to
/// list (`Mcp-Param-*` are of the tools), and each is judged when it comes.
static CORS: LazyLock<CorsLayer> = LazyLock::new(|| {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(MAX_AGE)
        // `Vary` belongs on every answer, and is added to every one below.
        .vary([])
});

/// What a page of an allowed origin is told: the headers that `tower-http` adds to the answer, or
/// gives to a preflight.
pub(super) fn headers(method: &Method, asked: &HeaderMap) -> HeaderMap {
    let mut request = Request::new(());
    request.method_mut().clone_from(method);
    for name in [
        header::ORIGIN,
        header::ACCESS_CONTROL_REQUEST_METHOD,
        header::ACCESS_CONTROL_REQUEST_HEADERS,
    ] {
        if let Some(value) = asked.get(&name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    let answer = pin!(CORS.layer(Empty).call(request));
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response.into_parts().0.headers,
        // Nothing in it waits. A page that is told nothing may do nothing.
        Poll::Pending => HeaderMap::new(),
    }
}

/// What every answer carries, whoever asked.
pub(super) fn sign(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// Takes out whom others allow: they do not know who asks.
pub(super) fn strip(headers: &mut HeaderMap) {
    remove_rare(
        headers,
        [
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ],
    );
}

/// The service that `tower-http` asks.
struct Empty;

impl Service<Request<()>> for Empty {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}
