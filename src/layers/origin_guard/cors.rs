//! The CORS headers: `tower-http` answers preflights and names the origin; what it leaves undone is
//! here.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use pin_project_lite::pin_project;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_service::Service;

use crate::layers::shared::remove_rare;

/// How long a browser may remember a preflight.
const MAX_AGE: Duration = Duration::from_secs(600);

/// What a page needs to read: the challenge, the session, when to come back, the revision.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("WWW-Authenticate, Mcp-Session-Id, Retry-After, MCP-Protocol-Version");

/// Speaks CORS; it is put around the service only for a page. Only requests of an allowed origin may
/// come here: whoever asks is answered by name. The headers that a page may send are not ours to list
/// (`Mcp-Param-*` are of the tools), and each is judged when it comes.
pub(super) fn layer() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(MAX_AGE)
        // `Vary` belongs on every answer, and is added to every one below.
        .vary([])
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
        &[
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ],
    );
}

/// A service whose body has a default, for the preflights that `tower-http` answers in its place.
#[derive(Clone, Debug)]
pub(super) struct Optional<S> {
    pub(super) inner: S,
}

impl<S, B, ResB> Service<Request<B>> for Optional<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
{
    type Response = Response<Option<ResB>>;
    type Error = S::Error;
    type Future = OptionalFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        OptionalFuture {
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    pub(super) struct OptionalFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, ResB, E> Future for OptionalFuture<F>
where
    F: Future<Output = Result<Response<ResB>, E>>,
{
    type Output = Result<Response<Option<ResB>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.project().inner.poll(context))?;
        strip(response.headers_mut());
        Poll::Ready(Ok(response.map(Some)))
    }
}
