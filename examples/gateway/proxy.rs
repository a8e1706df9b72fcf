//! The proxy: a service that asks the upstream what it was asked, and streams both ways.

use std::{
    convert::Infallible,
    future::{self, Future, Ready},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Method, Request, Response, StatusCode, Version, header::LOCATION};
use http_body::Body;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, ResponseFuture, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use mcp_auth::{McpRequest, Rejection};
use tower_service::Service;

use crate::{
    headers::{prepare_for_upstream, strip_hop_by_hop},
    upstream::Upstream,
    wait::{Timer, Wait},
};

const CONNECT: Duration = Duration::from_secs(5);
const HEAD: Duration = Duration::from_secs(30);
/// Shorter than any usual server keeps an idle connection (5 s): a request is not sent into one
/// that is just being closed.
const IDLE: Duration = Duration::from_secs(3);

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type ProxyBody = UnsyncBoxBody<Bytes, BoxError>;

/// Passes requests on to one upstream. Dropping its future or its response's body drops the
/// request to the upstream.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    client: Transport,
    upstream: Arc<Upstream>,
    timer: Timer,
}

/// Certificates are read only where they are needed: a machine may have none.
#[derive(Clone, Debug)]
enum Transport {
    Plain(Client<HttpConnector, ProxyBody>),
    Tls(Client<HttpsConnector<HttpConnector>, ProxyBody>),
}

impl Proxy {
    /// A proxy to `upstream`. An `https` one is checked against the certificates of the system.
    pub(crate) fn new(upstream: Upstream) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        let client = if upstream.is_https() {
            connector.enforce_http(false);
            let connector = HttpsConnectorBuilder::new()
                .with_native_roots()?
                .https_only()
                .enable_http1()
                .wrap_connector(connector);
            Transport::Tls(client.build(connector))
        } else {
            Transport::Plain(client.build(connector))
        };
        Ok(Self {
            client,
            upstream: Arc::new(upstream),
            timer: Timer::default(),
        })
    }
}

impl<B> Service<Request<B>> for Proxy
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ProxyBody>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Self::Response, Infallible>>, Asking>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        // Of the extensions nothing else is kept while the upstream is at work, and none is for it.
        let asked = mem::take(&mut head.extensions).remove::<McpRequest>();
        let uri = self.upstream.locate(&head.uri);
        let (Some(uri), false) = (uri, head.method == Method::CONNECT) else {
            // The path climbs out of its place, or there is none.
            let nothing = Rejection::not_found(asked.as_ref());
            return Either::Left(future::ready(Ok(nothing.into_response())));
        };

        let mut outgoing = Request::new(body.map_err(Into::into).boxed_unsync());
        *outgoing.method_mut() = head.method;
        *outgoing.uri_mut() = uri;
        *outgoing.version_mut() = Version::HTTP_11;
        prepare_for_upstream(&mut head.headers);
        *outgoing.headers_mut() = head.headers;

        let answer = match &self.client {
            Transport::Plain(client) => client.request(outgoing),
            Transport::Tls(client) => client.request(outgoing),
        };
        Either::Right(Asking {
            answer,
            wait: self.timer.wait(HEAD),
            upstream: Arc::clone(&self.upstream),
            asked,
        })
    }
}

pin_project_lite::pin_project! {
    /// The upstream's answer, or ours where it gives none.
    pub(crate) struct Asking {
        #[pin]
        answer: ResponseFuture,
        wait: Wait,
        upstream: Arc<Upstream>,
        asked: Option<McpRequest>,
    }
}

impl Future for Asking {
    type Output = Result<Response<ProxyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let asked = this.asked.as_ref();
        let upstream = &**this.upstream;
        let failure = match this.answer.poll(context) {
            // Nobody asked to switch: an upstream that does is broken.
            Poll::Ready(Ok(response)) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
                return Poll::Ready(Ok(passed_back(response, this.upstream)));
            }
            Poll::Ready(Ok(_)) => {
                let error = "it switches protocols";
                tracing::warn!(upstream = upstream.origin(), error, "the upstream failed");
                Rejection::upstream_error(asked)
            }
            Poll::Ready(Err(error)) => {
                let error = chain(&error);
                tracing::warn!(upstream = upstream.origin(), error, "the upstream failed");
                Rejection::upstream_error(asked)
            }
            Poll::Pending => {
                ready!(this.wait.poll_over(context));
                let upstream = upstream.origin();
                tracing::warn!(upstream, "the upstream did not answer in time");
                Rejection::upstream_timeout(asked)
            }
        };
        Poll::Ready(Ok(failure.into_response()))
    }
}

fn passed_back(response: Response<Incoming>, upstream: &Arc<Upstream>) -> Response<ProxyBody> {
    let (mut head, body) = response.into_parts();
    strip_hop_by_hop(&mut head.headers);
    if let Some(location) = head.headers.get_mut(LOCATION)
        && let Some(place) = location
            .to_str()
            .ok()
            .and_then(|it| upstream.redirect_to(it))
        && let Ok(place) = place.try_into()
    {
        *location = place;
    }
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let upstream = Arc::clone(upstream);
    let body = body.map_err(move |error| {
        // Nothing else tells: the audit event is of the head.
        let (upstream, cause) = (upstream.origin(), chain(&error));
        tracing::warn!(upstream, error = cause, "the upstream broke off its answer");
        error.into()
    });
    Response::from_parts(head, body.boxed_unsync())
}

/// An error with its causes: the first one alone says only that the request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
