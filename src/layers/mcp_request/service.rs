use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, header, request::Parts};
use http_body::Body;
use tower_service::Service;

use super::{
    McpBody,
    future::ReadFuture,
    gate::{expects_message, message, no_message},
    layer::Config,
    reading::Reading,
};
use crate::{
    layers::shared::{remove_rare, trail},
    mcp::McpRequest,
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
        // What is said after an upgrade is judged by nobody.
        remove_rare(&mut head.headers, [header::UPGRADE]);
        let body = match expects_message(&head.method, &head.headers) {
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
            Ok(false) => no_message(&head.method, &mut head.headers).map(|asked| {
                insert(&mut head, asked);
                McpBody::default()
            }),
            Err(rejection) => Err(rejection),
        };
        match body {
            Ok(body) => ReadFuture::call(&mut self.inner, Request::from_parts(head, body)),
            Err(rejection) => ReadFuture::refuse(&config.common, rejection),
        }
    }
}

/// Puts into the head what the body says, for the layers inside, and gives the body for them.
pub(super) fn with_message(head: &mut Parts, body: Bytes) -> Result<McpBody, Rejection> {
    let asked = message(&head.headers, &body)?;
    insert(head, asked);
    Ok(McpBody::new(body))
}

fn insert(head: &mut Parts, asked: McpRequest) {
    if let Some(trail) = trail(&head.extensions) {
        trail.set_request(asked.clone());
    }
    head.extensions.insert(asked);
}
