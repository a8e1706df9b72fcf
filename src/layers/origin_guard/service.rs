use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use tower_http::cors::CorsLayer;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    OriginGuardFuture,
    cors::{self, Optional},
    layer::Config,
};
use crate::{
    error::Reason,
    layers::shared::trail,
    reject::{RejectBody, Rejection},
};

/// The service of [`OriginGuardLayer`](crate::OriginGuardLayer).
#[derive(Clone, Debug)]
pub struct OriginGuardService<S> {
    inner: S,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    cors: CorsLayer,
}

impl<S> OriginGuardService<S> {
    #[inline]
    pub(super) fn new(inner: S, config: Config) -> Self {
        Self {
            inner,
            shared: Arc::new(Shared {
                config,
                cors: cors::layer(),
            }),
        }
    }
}

/// Who asks, where it may pass.
enum Asker {
    /// Whoever wants the resource metadata.
    Anybody,
    /// No page.
    Client,
    /// A page of an allowed origin.
    Page,
}

impl Config {
    fn judge<B>(&self, request: &Request<B>) -> Result<Asker, Rejection> {
        let denied = |reason, message| Err(Rejection::new(reason, StatusCode::FORBIDDEN, message));
        let host = host(request.uri(), request.headers());
        if !host.is_some_and(|host| self.origins.allows_host(host)) {
            return denied(Reason::HostDenied, "The Host is not allowed");
        }
        let is_metadata = self.metadata.is_at(request.uri().path());
        if is_metadata && is_read(request.method()) {
            return Ok(Asker::Anybody);
        }
        let origin = match only(request.headers(), &header::ORIGIN) {
            Ok(None) if is_metadata => return Ok(Asker::Anybody),
            Ok(None) => return Ok(Asker::Client),
            Ok(Some(origin)) => origin.to_str().ok(),
            Err(Several) => None,
        };
        if origin.is_some_and(|origin| self.origins.allows_origin(origin)) {
            Ok(Asker::Page)
        } else {
            denied(Reason::OriginDenied, "The Origin is not allowed")
        }
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The host that was asked for, if it is one.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let field = match only(headers, &header::HOST) {
        Ok(Some(field)) => Some(field.to_str().ok()?),
        Ok(None) => None,
        Err(Several) => return None,
    };
    let authority = uri.authority().map(http::uri::Authority::as_str);
    match (authority, field) {
        (Some(authority), Some(field)) => authority.eq_ignore_ascii_case(field).then_some(field),
        (authority, field) => authority.or(field),
    }
}

/// A field that may stand once stands several times.
struct Several;

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Several> {
    let mut fields = headers.get_all(name).iter();
    match (fields.next(), fields.next()) {
        (field, None) => Ok(field),
        _ => Err(Several),
    }
}

impl<S, B, ResB> Service<Request<B>> for OriginGuardService<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = OriginGuardFuture<S::Future, ResB>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Shared { config, cors } = &*self.shared;
        let inner = &mut self.inner;
        let judged = config.judge(&request);
        if *request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ORIGIN)
            && !matches!(judged, Ok(Asker::Anybody))
            && let Some(trail) = trail(request.extensions())
        {
            trail.set_action("preflight");
        }
        match judged {
            Ok(Asker::Anybody) => OriginGuardFuture::open(inner.call(request)),
            Ok(Asker::Client) => OriginGuardFuture::plain(inner.call(request)),
            Ok(Asker::Page) => {
                OriginGuardFuture::cors(cors.layer(Optional { inner }).call(request))
            }
            Err(rejection) => OriginGuardFuture::refused(config.common.respond(rejection)),
        }
    }
}
