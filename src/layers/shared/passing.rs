//! The future of layers that answer some requests themselves and pass the others on.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

pin_project! {
    /// The response of a layer: the inner service's, or the layer's own.
    pub struct Passing<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, R> {
        Inner { #[pin] future: F },
        // Boxed, so that the future of a request that passes stays small: each layer moves it.
        Answered { response: Option<Box<R>> },
    }
}

impl<F, R> Passing<F, R> {
    #[inline]
    pub(crate) const fn inner(future: F) -> Self {
        Self {
            state: State::Inner { future },
        }
    }

    pub(crate) fn answered(response: R) -> Self {
        Self {
            state: State::Answered {
                response: Some(Box::new(response)),
            },
        }
    }
}

impl<F, R, E> Future for Passing<F, R>
where
    F: Future<Output = Result<R, E>>,
{
    type Output = Result<R, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Inner { future } => future.poll(context),
            // Empty only when polled after it was ready, which no executor does.
            Projected::Answered { response } => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(*response))),
        }
    }
}

impl<F, R> fmt::Debug for Passing<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passing").finish_non_exhaustive()
    }
}
