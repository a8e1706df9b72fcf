//! Ask, then call: the one future of all layers that let through or refuse.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    layers::shared::Common,
    reject::{RejectBody, Rejection},
};

/// What a layer does with the answer to its question.
//
// Most judges are the settings of their layer: shared, and cloned only for an answer that is late.
pub(crate) trait Judge<S, B> {
    /// What was asked.
    type Answer;

    /// Lets the request through to the service that is ready, with what it needs, or refuses it.
    fn judge(
        &self,
        answer: Self::Answer,
        ready: &mut S,
        request: &mut Request<B>,
    ) -> Result<(), Rejection>;

    /// What refusals of this layer look like.
    fn common(&self) -> &Common;
}

pin_project! {
    /// The response of a layer: the inner service's, or a refusal.
    pub struct ResponseFuture<S, B, Q, J>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, Q, J, S::Future, S::Response>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, Q, J, F, R> {
        // The answer is awaited, and the service that was ready waits with the request. Boxed, as
        // the refusal is, so that the future of a request that passes stays small: each layer moves it.
        Asking { question: Q, waiting: Option<Box<(J, S, Request<B>)>> },
        // Let through.
        Inner { #[pin] future: F },
        // Refused.
        Refused { response: Option<Box<R>> },
    }
}

impl<S, B, ResB, Q, J> ResponseFuture<S, B, Q, J>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: RejectBody,
{
    /// Lets the request through.
    #[inline]
    pub(crate) fn call(ready: &mut S, request: Request<B>) -> Self {
        Self {
            state: State::Inner {
                future: ready.call(request),
            },
        }
    }

    /// Refuses it.
    pub(crate) fn refuse(common: &Common, rejection: Rejection) -> Self {
        Self {
            state: State::Refused {
                response: Some(Box::new(common.respond(rejection))),
            },
        }
    }

    /// Asks. An answer that is there at once goes straight to the service that is ready; only
    /// for a later one it is taken, and a clone left in its place, because a clone of a service is
    /// a clone of all services inside it.
    #[inline]
    pub(crate) fn ask(ready: &mut S, request: Request<B>, mut question: Q, judge: J) -> Self
    where
        S: Clone,
        Q: Future<Output = J::Answer> + Unpin,
        J: Judge<S, B>,
    {
        match at_once(&mut question) {
            Poll::Ready(answer) => Self::judged(ready, request, answer, &judge),
            Poll::Pending => Self::wait(ready, request, question, judge),
        }
    }

    /// The same with a judge that is cloned only for an answer that is late.
    #[inline]
    pub(crate) fn ask_shared(ready: &mut S, request: Request<B>, mut question: Q, judge: &J) -> Self
    where
        S: Clone,
        Q: Future<Output = J::Answer> + Unpin,
        J: Judge<S, B> + Clone,
    {
        match at_once(&mut question) {
            Poll::Ready(answer) => Self::judged(ready, request, answer, judge),
            Poll::Pending => Self::wait(ready, request, question, judge.clone()),
        }
    }

    #[inline]
    fn judged(ready: &mut S, mut request: Request<B>, answer: J::Answer, judge: &J) -> Self
    where
        J: Judge<S, B>,
    {
        match judge.judge(answer, ready, &mut request) {
            Ok(()) => Self::call(ready, request),
            Err(rejection) => Self::refuse(judge.common(), rejection),
        }
    }

    /// Calls the service that is ready, or refuses, once the question is answered.
    pub(crate) fn wait(ready: &mut S, request: Request<B>, question: Q, judge: J) -> Self
    where
        S: Clone,
    {
        let not_ready = ready.clone();
        let ready = mem::replace(ready, not_ready);
        Self {
            state: State::Asking {
                question,
                waiting: Some(Box::new((judge, ready, request))),
            },
        }
    }
}

/// The answer, where it is there at once. Else it is polled again with the task's own waker, so that
/// none is lost.
pub(crate) fn at_once<Q: Future + Unpin>(question: &mut Q) -> Poll<Q::Output> {
    Pin::new(question).poll(&mut Context::from_waker(Waker::noop()))
}

impl<S, B, ResB, Q, J> Future for ResponseFuture<S, B, Q, J>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: RejectBody,
    Q: Future<Output = J::Answer> + Unpin,
    J: Judge<S, B>,
{
    type Output = Result<S::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Projected::Inner { future } => return future.poll(context),
                Projected::Refused { response } => match response.take() {
                    Some(response) => return Poll::Ready(Ok(*response)),
                    // Polled after it was ready, which no executor does.
                    None => return Poll::Pending,
                },
                Projected::Asking { question, waiting } => {
                    let answer = ready!(Pin::new(question).poll(context));
                    let Some(waiting) = waiting.take() else {
                        return Poll::Pending;
                    };
                    let (judge, mut ready, mut request) = *waiting;
                    match judge.judge(answer, &mut ready, &mut request) {
                        Ok(()) => State::Inner {
                            future: ready.call(request),
                        },
                        Err(rejection) => State::Refused {
                            response: Some(Box::new(judge.common().respond(rejection))),
                        },
                    }
                }
            };
            state.set(next);
        }
    }
}

impl<S, B, Q, J> fmt::Debug for ResponseFuture<S, B, Q, J>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
