use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

use crate::{
    error::Reason,
    layers::shared::{Passing, trail},
    oauth::ResourceMetadata,
    reject::{RejectBody, Rejection},
};

const METHODS: &str = "GET, HEAD, OPTIONS";

/// The service of [`ResourceMetadataLayer`](crate::ResourceMetadataLayer).
#[derive(Clone, Debug)]
pub struct ResourceMetadataService<S> {
    inner: S,
    document: Arc<Document>,
}

/// The document, as it is served.
#[derive(Debug)]
pub(crate) struct Document {
    metadata: ResourceMetadata,
    json: Bytes,
}

impl<S> ResourceMetadataService<S> {
    #[inline]
    pub(super) fn new(inner: S, metadata: &ResourceMetadata) -> Self {
        Self {
            inner,
            document: Document::new(metadata),
        }
    }
}

/// A plain service to mount at the document's path: it answers at whatever path it is asked.
#[derive(Clone, Debug)]
pub struct ResourceMetadataEndpoint {
    document: Arc<Document>,
}

impl ResourceMetadataEndpoint {
    /// Serves `metadata`.
    #[must_use]
    pub fn new(metadata: &ResourceMetadata) -> Self {
        Self {
            document: Document::new(metadata),
        }
    }
}

impl Document {
    #[inline]
    pub(crate) fn new(metadata: &ResourceMetadata) -> Arc<Self> {
        Arc::new(Self {
            json: metadata.to_json(),
            metadata: metadata.clone(),
        })
    }

    /// Whether this is its path.
    #[inline]
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.metadata.is_at(path)
    }

    pub(crate) fn answer<ResB: RejectBody>(
        &self,
        method: &Method,
        asked: &HeaderMap,
    ) -> Response<ResB> {
        let (status, body) = match *method {
            Method::GET => (StatusCode::OK, self.json.clone()),
            Method::HEAD => (StatusCode::OK, Bytes::new()),
            Method::OPTIONS => (StatusCode::NO_CONTENT, Bytes::new()),
            _ => return read_only(),
        };
        let mut response = Response::new(ResB::from_bytes(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        if status == StatusCode::OK {
            set(header::CONTENT_TYPE, "application/json");
            set(header::CACHE_CONTROL, "public, max-age=300");
        } else {
            set(header::ALLOW, METHODS);
        }
        if *method == Method::OPTIONS {
            set(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
                headers.insert(
                    header::VARY,
                    HeaderValue::from_static("Access-Control-Request-Headers"),
                );
            }
        }
        if *method == Method::HEAD {
            headers.insert(header::CONTENT_LENGTH, self.json.len().into());
        }
        response
    }
}

/// The answer to a method that would write.
fn read_only<ResB: RejectBody>() -> Response<ResB> {
    let mut response = Rejection::new(
        Reason::MethodNotAllowed,
        StatusCode::METHOD_NOT_ALLOWED,
        "The metadata can only be read",
    )
    .into_response::<ResB>();
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::ALLOW, METHODS);
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    response
}

impl<S, B, ResB> Service<Request<B>> for ResourceMetadataService<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Passing<S::Future, S::Response>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !self.document.is_at(request.uri().path()) {
            return Passing::inner(self.inner.call(request));
        }
        if let Some(trail) = trail(request.extensions()) {
            trail.set_action("metadata");
        }
        Passing::answered(self.document.answer(request.method(), request.headers()))
    }
}

impl<B> Service<Request<B>> for ResourceMetadataEndpoint {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self
            .document
            .answer(request.method(), request.headers())))
    }
}
