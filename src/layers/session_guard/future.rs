use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::binding::{Binding, unnamed};
use crate::{reject::RejectBody, session::SessionStore};

pin_project! {
    /// The response of [`Binder`](super::binder::Binder).
    pub struct BindFuture<F, T, ResB>
    where
        T: SessionStore,
    {
        // `None`: the request names no session, and opens none. Boxed, so that its future stays small.
        binding: Option<Box<Binding<T>>>,
        #[pin]
        state: State<F, T::Future, Response<ResB>>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, Q, R> {
        // The service behind is at work.
        Inner { #[pin] future: F },
        // It has answered, and the store takes that in.
        Storing { question: Q, response: Option<Box<R>> },
    }
}

impl<F, T: SessionStore, ResB> BindFuture<F, T, ResB> {
    #[inline]
    pub(super) const fn new(inner: F, binding: Option<Box<Binding<T>>>) -> Self {
        Self {
            binding,
            state: State::Inner { future: inner },
        }
    }
}

impl<F, T, ResB, E> Future for BindFuture<F, T, ResB>
where
    F: Future<Output = Result<Response<ResB>, E>>,
    T: SessionStore,
    ResB: RejectBody,
{
    type Output = Result<Response<ResB>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                Projected::Inner { future } => {
                    let mut response = match ready!(future.poll(context)) {
                        Ok(response) => response,
                        Err(error) => return Poll::Ready(Err(error)),
                    };
                    let Some(binding) = this.binding else {
                        unnamed(response.headers_mut());
                        return Poll::Ready(Ok(response));
                    };
                    match binding.answered(response.status(), response.headers_mut()) {
                        Ok(None) => return Poll::Ready(Ok(response)),
                        Ok(Some(question)) => State::Storing {
                            question,
                            response: Some(Box::new(response)),
                        },
                        Err(rejection) => {
                            return Poll::Ready(Ok(binding.config.common.respond(rejection)));
                        }
                    }
                }
                Projected::Storing { question, response } => {
                    let answer = ready!(Pin::new(question).poll(context));
                    // Empty only when polled after it was ready, which no executor does.
                    let (Some(response), Some(binding)) = (response.take(), this.binding) else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(match binding.stored(answer) {
                        Ok(()) => *response,
                        Err(rejection) => binding.config.common.respond(rejection),
                    }));
                }
            };
            this.state.set(next);
        }
    }
}

impl<F, T: SessionStore, ResB> fmt::Debug for BindFuture<F, T, ResB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindFuture").finish_non_exhaustive()
    }
}
