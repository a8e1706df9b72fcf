//! Calls the service behind, and keeps what it answers from giving the key away.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{KeyMapBody, layer::Config};
use crate::{
    keys::UpstreamKey, layers::shared::trail, mcp::McpRequest, reject::RejectBody, trail::AuthTrail,
};

/// The innermost half of the layer: what comes here goes upstream.
#[derive(Clone, Debug)]
pub struct KeyGuard<S, U> {
    inner: S,
    pub(super) config: Arc<Config<U>>,
    /// The key that the request which comes now was given.
    pub(super) key: Option<UpstreamKey>,
}

impl<S, U> KeyGuard<S, U> {
    #[inline]
    pub(super) const fn new(inner: S, config: Arc<Config<U>>) -> Self {
        Self {
            inner,
            config,
            key: None,
        }
    }
}

impl<S, U, B, ResB> Service<Request<B>> for KeyGuard<S, U>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: RejectBody,
{
    type Response = Response<KeyMapBody<ResB>>;
    type Error = S::Error;
    type Future = GuardFuture<S::Future, U>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let extensions = request.extensions();
        GuardFuture {
            timed: trail(extensions).cloned().map(Timed::new),
            config: Arc::clone(&self.config),
            key: self.key.take(),
            asked: extensions.get::<McpRequest>().cloned(),
            future: self.inner.call(request),
        }
    }
}

/// Notes how long the service behind took until this is dropped.
struct Timed {
    trail: AuthTrail,
    called: Instant,
}

impl Timed {
    fn new(trail: AuthTrail) -> Self {
        Self {
            trail,
            called: Instant::now(),
        }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.trail.set_upstream(self.called.elapsed());
    }
}

pin_project! {
    /// The response of [`KeyGuard`].
    pub struct GuardFuture<F, U> {
        config: Arc<Config<U>>,
        key: Option<UpstreamKey>,
        asked: Option<McpRequest>,
        timed: Option<Timed>,
        #[pin]
        future: F,
    }
}

impl<F, U, ResB, E> Future for GuardFuture<F, U>
where
    F: Future<Output = Result<Response<ResB>, E>>,
    ResB: RejectBody,
{
    type Output = Result<Response<KeyMapBody<ResB>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Goes with a panic, before the audit log outside is told of that.
        let timed = this.timed.take();
        let Poll::Ready(answer) = this.future.poll(context) else {
            *this.timed = timed;
            return Poll::Pending;
        };
        drop(timed);
        let mut response = match answer {
            Ok(response) => response,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let key = this.key.take();
        let asked = this.asked.as_ref();
        let status = response.status();
        let guarded = this
            .config
            .guard(status, response.headers_mut(), key.as_ref(), asked);
        Poll::Ready(Ok(match guarded {
            Ok(()) => response.map(|body| KeyMapBody::new(body, key)),
            Err(rejection) => this.config.common.respond(rejection),
        }))
    }
}

impl<F, U> fmt::Debug for GuardFuture<F, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardFuture").finish_non_exhaustive()
    }
}
