use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::recorder::Recorder;

pin_project! {
    /// The response of [`AuditLogService`](super::AuditLogService).
    pub struct AuditFuture<F> {
        #[pin]
        inner: F,
        recorder: Option<Recorder>,
    }
}

impl<F> AuditFuture<F> {
    #[inline]
    pub(super) const fn new(inner: F, recorder: Option<Recorder>) -> Self {
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
        if let Some(recorder) = watch.0.take() {
            match &answer {
                Ok(response) => recorder.answered(response),
                Err(_) => recorder.failed(),
            }
        }
        Poll::Ready(answer)
    }
}

/// Records a panic while it passes through: a layer outside that catches it may drop the future
/// long after, which would look like a client that went away.
struct Watch<'a>(&'a mut Option<Recorder>);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.0.take());
        }
    }
}

impl<F> fmt::Debug for AuditFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditFuture").finish_non_exhaustive()
    }
}
