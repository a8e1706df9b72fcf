use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::gate::Leaving;

pin_project! {
    /// The response of [`OriginGuardService`](super::OriginGuardService): the inner service's with
    /// CORS headers, the answer to a preflight, or a refusal.
    pub struct OriginGuardFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, B> {
        Inner { #[pin] future: F, leaving: Option<Leaving> },
        Answered { response: Option<Box<Response<B>>> },
    }
}

impl<F, B> OriginGuardFuture<F, B> {
    pub(super) const fn inner(future: F, leaving: Leaving) -> Self {
        Self {
            state: State::Inner {
                future,
                leaving: Some(leaving),
            },
        }
    }

    pub(super) fn answered(response: Response<B>) -> Self {
        Self {
            state: State::Answered {
                response: Some(Box::new(response)),
            },
        }
    }
}

impl<F, B, E> Future for OriginGuardFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Inner { future, leaving } => {
                let mut response = ready!(future.poll(context))?;
                if let Some(leaving) = leaving.take() {
                    leaving.head(response.headers_mut());
                }
                Poll::Ready(Ok(response))
            }
            // Empty only when polled after it was ready, which no executor does.
            Projected::Answered { response } => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(*response))),
        }
    }
}

impl<F, B> fmt::Debug for OriginGuardFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginGuardFuture").finish_non_exhaustive()
    }
}
