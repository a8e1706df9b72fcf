use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use tower_http::cors::ResponseFuture as CorsFuture;

use super::cors::{OptionalFuture, sign, strip};
use crate::reject::RejectBody;

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
        // The resource metadata: it stays as it is.
        Open { #[pin] future: F },
        // No page asks.
        Plain { #[pin] future: F },
        // A page asks. Boxed, as the refusal is, so that the future of a client stays small: it is
        // moved by the layer outside.
        Cors { future: Pin<Box<CorsFuture<OptionalFuture<F>>>> },
        Refused { response: Option<Box<Response<B>>> },
    }
}

impl<F, B> OriginGuardFuture<F, B> {
    pub(super) const fn open(future: F) -> Self {
        Self {
            state: State::Open { future },
        }
    }

    pub(super) const fn plain(future: F) -> Self {
        Self {
            state: State::Plain { future },
        }
    }

    pub(super) fn cors(future: CorsFuture<OptionalFuture<F>>) -> Self {
        Self {
            state: State::Cors {
                future: Box::pin(future),
            },
        }
    }

    pub(super) fn refused(mut response: Response<B>) -> Self {
        strip(response.headers_mut());
        sign(response.headers_mut());
        Self {
            state: State::Refused {
                response: Some(Box::new(response)),
            },
        }
    }
}

impl<F, B, E> Future for OriginGuardFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: RejectBody,
{
    type Output = Result<Response<B>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = match self.project().state.project() {
            Projected::Open { future } => return future.poll(context),
            Projected::Plain { future } => {
                let mut response = ready!(future.poll(context))?;
                strip(response.headers_mut());
                response
            }
            Projected::Cors { future } => {
                let (mut head, body) = ready!(future.as_mut().poll(context))?.into_parts();
                // Only a preflight has no body.
                let body = body.unwrap_or_else(|| {
                    head.status = StatusCode::NO_CONTENT;
                    B::from_bytes(Bytes::new())
                });
                Response::from_parts(head, body)
            }
            // Empty only when polled after it was ready, which no executor does.
            Projected::Refused { response } => {
                return response
                    .take()
                    .map_or(Poll::Pending, |response| Poll::Ready(Ok(*response)));
            }
        };
        sign(response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

impl<F, B> fmt::Debug for OriginGuardFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginGuardFuture").finish_non_exhaustive()
    }
}
