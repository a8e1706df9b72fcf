//! What a call gives: one future for all layers.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    AuthBody,
    enter::Entering,
    leave::{Collecting, Leaving, Left},
    stores::{GatesOf, Stores},
};
use crate::{
    layers::{
        audit_log::{Recorder, Watch},
        mcp_request::McpBody,
    },
    reject::RejectBody,
    session::SessionStore,
};

pin_project! {
    /// The response of [`Auth`](super::Auth).
    pub struct AuthFuture<S, B, ResB, A>
    where
        S: Service<Request<McpBody>>,
        A: Stores,
    {
        gates: Arc<GatesOf<A>>,
        // What is known once the request is let in.
        leaving: Option<Leaving<A>>,
        #[pin]
        state: State<S::Future, Waiting<S, B, A>, <A::Sessions as SessionStore>::Future, ResB>,
    }
}

/// A request that stands at a gate, and the service that is ready for it.
pub(super) struct Waiting<S, B, A: Stores> {
    pub(super) head: Parts,
    pub(super) entering: Entering<B, A>,
    pub(super) ready: S,
}

pin_project! {
    // All but the future inside is boxed, so that the future of a request that passes stays small.
    #[project = Projected]
    enum State<F, W, Q, ResB> {
        Entering { waiting: Option<Box<W>> },
        Inner { #[pin] future: F },
        Collecting { collecting: Option<Box<Collecting<ResB>>> },
        Storing { question: Q, response: Option<Box<Response<AuthBody<ResB>>>> },
        Stopped { stopped: Option<Box<(Recorder, Response<AuthBody<ResB>>)>> },
    }
}

impl<S, B, ResB, A> AuthFuture<S, B, ResB, A>
where
    S: Service<Request<McpBody>>,
    A: Stores,
{
    #[inline]
    pub(super) fn entering(gates: Arc<GatesOf<A>>, waiting: Waiting<S, B, A>) -> Self {
        Self {
            gates,
            leaving: None,
            state: State::Entering {
                waiting: Some(Box::new(waiting)),
            },
        }
    }

    #[inline]
    pub(super) const fn passed(
        gates: Arc<GatesOf<A>>,
        future: S::Future,
        leaving: Leaving<A>,
    ) -> Self {
        Self {
            gates,
            leaving: Some(leaving),
            state: State::Inner { future },
        }
    }

    pub(super) fn stopped(
        gates: Arc<GatesOf<A>>,
        recorder: Recorder,
        response: Response<AuthBody<ResB>>,
    ) -> Self {
        Self {
            gates,
            leaving: None,
            state: State::Stopped {
                stopped: Some(Box::new((recorder, response))),
            },
        }
    }
}

impl<S, B, ResB, A> Future for AuthFuture<S, B, ResB, A>
where
    S: Service<Request<McpBody>, Response = Response<ResB>>,
    A: Stores,
    B: Body<Data = Bytes> + Unpin,
    ResB: RejectBody,
{
    type Output = Result<Response<AuthBody<ResB>>, S::Error>;

    // What is taken out of the state for a poll goes with a panic, and not long after it; see `Watch`.
    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let gates = &**this.gates;
        loop {
            let left = match this.state.as_mut().project() {
                Projected::Inner { future } => {
                    // Polled after it was ready, which no executor does.
                    let Some(leaving) = this.leaving else {
                        return Poll::Pending;
                    };
                    let watch = Watch(leaving);
                    match ready!(future.poll(context)) {
                        Ok(response) => watch.0.answered(gates, response),
                        Err(error) => {
                            watch.0.recorder.failed();
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                Projected::Entering { waiting: slot } => {
                    let Some(mut waiting) = slot.take() else {
                        return Poll::Pending;
                    };
                    let Waiting { head, entering, .. } = &mut *waiting;
                    entering.now = gates.now();
                    let Poll::Ready(passed) = entering.go_on(gates, head, Some(context)) else {
                        *slot = Some(waiting);
                        return Poll::Pending;
                    };
                    let Waiting {
                        head,
                        mut entering,
                        mut ready,
                    } = *waiting;
                    match passed {
                        Ok(()) => {
                            let request = entering.passed(head);
                            let leaving = this.leaving.insert(entering.leaving);
                            let watch = Watch(leaving);
                            let future = ready.call(request);
                            drop(watch);
                            this.state.set(State::Inner { future });
                            continue;
                        }
                        Err(response) => {
                            let (status, extensions) = (response.status(), response.extensions());
                            entering.leaving.recorder.answered(status, extensions, None);
                            return Poll::Ready(Ok(*response));
                        }
                    }
                }
                Projected::Collecting { collecting: slot } => {
                    let (Some(mut collecting), Some(leaving)) = (slot.take(), &mut *this.leaving)
                    else {
                        return Poll::Pending;
                    };
                    let watch = Watch(leaving);
                    let Poll::Ready(collected) = collecting.collect.as_mut().poll(context) else {
                        *slot = Some(collecting);
                        return Poll::Pending;
                    };
                    watch.0.collected(gates, *collecting, collected)
                }
                Projected::Storing { question, response } => {
                    let Some(leaving) = this.leaving else {
                        return Poll::Pending;
                    };
                    let watch = Watch(leaving);
                    let answer = ready!(Pin::new(question).poll(context));
                    let Some(response) = response.take() else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(watch.0.stored(*response, answer)));
                }
                Projected::Stopped { stopped } => {
                    let Some((mut recorder, response)) = stopped.take().map(|it| *it) else {
                        return Poll::Pending;
                    };
                    recorder.answered(response.status(), response.extensions(), None);
                    return Poll::Ready(Ok(response));
                }
            };
            let next = match left {
                Left::Answered(response) => return Poll::Ready(Ok(response)),
                Left::Collecting(collecting) => State::Collecting {
                    collecting: Some(collecting),
                },
                Left::Storing(question, response) => State::Storing {
                    question,
                    response: Some(response),
                },
            };
            this.state.set(next);
        }
    }
}

impl<S, B, ResB, A> fmt::Debug for AuthFuture<S, B, ResB, A>
where
    S: Service<Request<McpBody>>,
    A: Stores,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthFuture").finish_non_exhaustive()
    }
}
