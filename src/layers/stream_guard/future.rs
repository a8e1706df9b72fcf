use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    StreamGuardBody,
    gate::{Guarded, guard},
};
use crate::revocation::RevocationStore;

pin_project! {
    /// The response of [`StreamGuardService`](super::StreamGuardService).
    pub struct StreamGuardFuture<F, V> {
        #[pin]
        inner: F,
        // `None`: the answer is not guarded, whatever it is.
        guarded: Option<Box<Guarded<V>>>,
    }
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
        let (mut head, body) = match ready!(this.inner.poll(context)) {
            Ok(response) => response.into_parts(),
            Err(error) => return Poll::Ready(Err(error)),
        };
        let body = guard(&mut head, body, this.guarded.take());
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

impl<F, V> fmt::Debug for StreamGuardFuture<F, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamGuardFuture").finish_non_exhaustive()
    }
}
