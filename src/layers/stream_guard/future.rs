use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use http::{Response, header};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    StreamGuardBody,
    body::{EndTold, Guard},
    layer::Config,
    open::OpenStream,
    watch::watch,
};
use crate::{
    layers::shared::{is_encoded, is_event_stream},
    mcp::{EventEnds, RequestId},
    revocation::RevocationStore,
    token::VerifiedToken,
    trail::AuthTrail,
};

pin_project! {
    /// The response of [`StreamGuardService`](super::StreamGuardService).
    pub struct StreamGuardFuture<F, V> {
        #[pin]
        inner: F,
        // `None`: the answer is not guarded, whatever it is.
        guarded: Option<Box<Guarded<V>>>,
    }
}

/// What is known before the answer is there.
pub(super) struct Guarded<V> {
    pub(super) config: Arc<Config<V>>,
    pub(super) token: VerifiedToken,
    pub(super) trail: Option<AuthTrail>,
    pub(super) subscription: Option<RequestId>,
    pub(super) open: Option<OpenStream>,
}

impl<F, V> StreamGuardFuture<F, V> {
    #[inline]
    pub(super) const fn new(inner: F, guarded: Option<Box<Guarded<V>>>) -> Self {
        Self { inner, guarded }
    }
}

impl<F, V, B, E> Future for StreamGuardFuture<F, V>
where
    F: Future<Output = Result<Response<B>, E>>,
    V: RevocationStore,
    B: Body,
{
    type Output = Result<Response<StreamGuardBody<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match ready!(this.inner.poll(context)) {
            Ok(response) => response,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let guarded = this
            .guarded
            .take()
            .filter(|_| is_event_stream(response.headers()) && !response.body().is_end_stream());
        let guard = guarded.map(|guarded| {
            // It may end sooner than it was said.
            response.headers_mut().remove(header::CONTENT_LENGTH);
            let is_plain = !is_encoded(response.headers());
            Guard {
                watch: Mutex::new(Box::pin(watch(guarded.config, guarded.token))),
                subscription: guarded.subscription.filter(|_| is_plain),
                ends: EventEnds::default(),
                end: EndTold::to(guarded.trail),
                _open: guarded.open,
            }
        });
        Poll::Ready(Ok(response.map(|body| StreamGuardBody::new(body, guard))))
    }
}

impl<F, V> fmt::Debug for StreamGuardFuture<F, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamGuardFuture").finish_non_exhaustive()
    }
}
