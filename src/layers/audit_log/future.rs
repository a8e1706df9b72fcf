use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::recorder::{Recorder, Watch};

pin_project! {
    /// The response of [`AuditLogService`](super::AuditLogService).
    pub struct AuditFuture<F> {
        #[pin]
        inner: F,
        recorder: Recorder,
    }
}

impl<F> AuditFuture<F> {
    #[inline]
    pub(super) const fn new(inner: F, recorder: Recorder) -> Self {
        Self { inner, recorder }
    }
}

impl<F, ResB, E> Future for AuditFuture<F>
where
    F: Future<Output = Result<Response<ResB>, E>>,
{
    type Output = Result<Response<ResB>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let watch = Watch(this.recorder);
        let answer = ready!(this.inner.poll(context));
        match &answer {
            Ok(response) => watch
                .0
                .answered(response.status(), response.extensions(), None),
            Err(_) => watch.0.failed(),
        }
        Poll::Ready(answer)
    }
}

impl<F> fmt::Debug for AuditFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditFuture").finish_non_exhaustive()
    }
}
