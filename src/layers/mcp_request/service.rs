use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use tower_service::Service;

use super::{
    McpBody, ReadFuture,
    headers::{is_plain_json, mirrored},
    layer::Config,
    reading::Reading,
};
use crate::{
    error::Reason,
    layers::shared::trail,
    mcp::{self, McpRequest, MessageError, MirroredHeaders, ProtocolVersion, RequestId},
    reject::{RejectBody, Rejection},
};

/// The service of [`McpRequestLayer`](crate::McpRequestLayer).
#[derive(Clone, Debug)]
pub struct McpRequestService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> McpRequestService<S> {
    #[inline]
    pub(super) fn new(inner: S, config: Config) -> Self {
        Self {
            inner,
            config: Arc::new(config),
        }
    }
}

impl<S, B, ResB> Service<Request<B>> for McpRequestService<S>
where
    S: Service<Request<McpBody>, Response = Response<ResB>> + Clone,
    B: Body<Data = Bytes> + Unpin,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ReadFuture<S, B>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let config = &self.config;
        let (mut head, body) = request.into_parts();
        let body = match expects_message(&head) {
            Ok(true) => {
                let mut reading = Reading::new(body);
                match Pin::new(&mut reading).poll_at_once(config) {
                    Poll::Ready(body) => body.and_then(|body| with_message(&mut head, body)),
                    // Only for a body that is late the service is taken, because a clone of it is a
                    // clone of all services inside.
                    Poll::Pending => {
                        let not_ready = self.inner.clone();
                        let ready = mem::replace(&mut self.inner, not_ready);
                        return ReadFuture::reading(Arc::clone(config), ready, head, reading);
                    }
                }
            }
            Ok(false) => without_message(&mut head),
            Err(rejection) => Err(rejection),
        };
        match body {
            Ok(body) => ReadFuture::call(&mut self.inner, Request::from_parts(head, body)),
            Err(rejection) => ReadFuture::refuse(&config.common, rejection),
        }
    }
}

/// Whether a message is to be read: for a POST of plain JSON; not for GET, HEAD and DELETE.
fn expects_message(head: &http::request::Parts) -> Result<bool, Rejection> {
    match head.method {
        Method::POST if is_plain_json(&head.headers) => Ok(true),
        Method::POST => Err(Rejection::new(
            Reason::UnsupportedMedia,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "A message is plain JSON in UTF-8",
        )),
        Method::GET | Method::HEAD | Method::DELETE => Ok(false),
        _ => Err(Rejection::new(
            Reason::MethodNotAllowed,
            StatusCode::METHOD_NOT_ALLOWED,
            "The method is not one of MCP's",
        )),
    }
}

/// Puts into the head what the body says, for the layers inside, and gives the body for them.
pub(super) fn with_message(
    head: &mut http::request::Parts,
    body: Bytes,
) -> Result<McpBody, Rejection> {
    let asked = {
        let headers = mirrored(&head.headers).map_err(|why| {
            const HEADER_MISMATCH: i32 = -32020;
            header_mismatch(why).with_rpc(HEADER_MISMATCH, id_in(&body))
        })?;
        mcp::read(body.clone(), &headers).map_err(refused)?
    };
    insert(head, asked);
    Ok(McpBody::new(body))
}

/// A request that carries no message, and so no body: one that it brings does not pass.
fn without_message(head: &mut http::request::Parts) -> Result<McpBody, Rejection> {
    let method = match head.method {
        Method::DELETE => "DELETE",
        _ => "GET",
    };
    let MirroredHeaders {
        protocol_version: version,
        has_session,
        ..
    } = mirrored(&head.headers).map_err(header_mismatch)?;
    let version = version.map_or(ProtocolVersion::V2025_03_26, |version| {
        ProtocolVersion::from_text(std::str::from_utf8(version).unwrap_or_default().trim())
    });
    insert(
        head,
        McpRequest::without_message(method, version, has_session),
    );
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONTENT_TYPE,
    ] {
        head.headers.remove(name);
    }
    Ok(McpBody::default())
}

fn insert(head: &mut http::request::Parts, asked: McpRequest) {
    if let Some(trail) = trail(&head.extensions) {
        trail.set_request(asked.clone());
    }
    head.extensions.insert(asked);
}

fn header_mismatch(why: &'static str) -> Rejection {
    Rejection::new(Reason::HeaderMismatch, StatusCode::BAD_REQUEST, why)
}

/// The `id` to answer with, of a body whose headers are not believed.
fn id_in(body: &Bytes) -> Option<RequestId> {
    match mcp::read(body.clone(), &MirroredHeaders::default()) {
        Ok(asked) => asked.id().cloned(),
        Err(error) => error.id().cloned(),
    }
}

fn refused(error: MessageError) -> Rejection {
    Rejection::new(error.reason(), StatusCode::BAD_REQUEST, error.message())
        .with_rpc(error.code(), error.id().cloned())
}
