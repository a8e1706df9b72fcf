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

use super::{McpBody, layer::Config, reading::Reading, service::with_message};
use crate::{
    layers::shared::Common,
    reject::{RejectBody, Rejection},
};

pin_project! {
    /// The response of [`McpRequestService`](super::McpRequestService).
    pub struct ReadFuture<S, B>
    where
        S: Service<Request<McpBody>>,
    {
        #[pin]
        state: State<S, B, S::Future, S::Response>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, F, R> {
        // The body comes in, and the service that was ready waits with the head. Boxed, as the
        // refusal is, so that the future of a request that passes stays small: each layer moves it.
        Reading { waiting: Option<Box<Waiting<S, B>>> },
        // Let through.
        Inner { #[pin] future: F },
        // Refused.
        Refused { response: Option<Box<R>> },
    }
}

struct Waiting<S, B> {
    config: Arc<Config>,
    ready: S,
    head: Parts,
    reading: Reading<B>,
}

impl<S, B, ResB> ReadFuture<S, B>
where
    S: Service<Request<McpBody>, Response = Response<ResB>>,
    B: Body<Data = Bytes>,
    ResB: RejectBody,
{
    pub(super) fn reading(config: Arc<Config>, ready: S, head: Parts, reading: Reading<B>) -> Self {
        Self {
            state: State::Reading {
                waiting: Some(Box::new(Waiting {
                    config,
                    ready,
                    head,
                    reading,
                })),
            },
        }
    }

    #[inline]
    pub(super) fn call(ready: &mut S, request: Request<McpBody>) -> Self {
        Self {
            state: State::Inner {
                future: ready.call(request),
            },
        }
    }

    pub(super) fn refuse(common: &Common, rejection: Rejection) -> Self {
        Self {
            state: State::Refused {
                response: Some(Box::new(common.respond(rejection))),
            },
        }
    }
}

impl<S, B, ResB> Future for ReadFuture<S, B>
where
    S: Service<Request<McpBody>, Response = Response<ResB>>,
    B: Body<Data = Bytes> + Unpin,
    ResB: RejectBody,
{
    type Output = Result<S::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Projected::Inner { future } => return future.poll(context),
                // Empty only when polled after it was ready, which no executor does.
                Projected::Refused { response } => {
                    return response
                        .take()
                        .map_or(Poll::Pending, |response| Poll::Ready(Ok(*response)));
                }
                Projected::Reading { waiting: slot } => {
                    let Some(waiting) = slot else {
                        return Poll::Pending;
                    };
                    let reading = Pin::new(&mut waiting.reading);
                    let body = ready!(reading.poll(context, &waiting.config));
                    let Some(waiting) = slot.take() else {
                        return Poll::Pending;
                    };
                    let Waiting {
                        config,
                        mut ready,
                        mut head,
                        ..
                    } = *waiting;
                    match body.and_then(|body| with_message(&mut head, body)) {
                        Ok(body) => State::Inner {
                            future: ready.call(Request::from_parts(head, body)),
                        },
                        Err(rejection) => State::Refused {
                            response: Some(Box::new(config.common.respond(rejection))),
                        },
                    }
                }
            };
            state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for ReadFuture<S, B>
where
    S: Service<Request<McpBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadFuture").finish_non_exhaustive()
    }
}
