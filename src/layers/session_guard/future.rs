use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::{
    binder::{Binding, Effect},
    headers::{Named, SESSION, keep_only, named},
    service::unavailable,
};
use crate::{
    error::StoreError,
    layers::shared::remove_rare,
    mcp::McpRequest,
    reject::{RejectBody, Rejection},
    session::{SessionOwner, SessionStore},
};

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
                        remove_rare(response.headers_mut(), &[SESSION]);
                        return Poll::Ready(Ok(response));
                    };
                    match binding.on(&mut response) {
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

impl<T: SessionStore> Binding<T> {
    /// What the store is to be told about an answer. A session that the answer must not name is
    /// removed from it.
    fn on<ResB>(&self, response: &mut Response<ResB>) -> Result<Option<T::Future>, Rejection> {
        let config = &self.config;
        let succeeded = response.status().is_success();
        if let Some(Effect::Opens { owner, asked }) = &self.effect
            && succeeded
        {
            return match named(response.headers()) {
                Named::None => Ok(None),
                Named::One(session) => {
                    let now = config.common.now();
                    Ok(Some(config.store.bind(session, *owner, now)))
                }
                Named::Malformed => Err(broken(asked, "a session that no client may name")),
            };
        }
        keep_only(self.own.as_ref(), response.headers_mut());
        Ok(match &self.effect {
            Some(Effect::Ends(session)) if succeeded => Some(config.store.forget(*session)),
            _ => None,
        })
    }

    /// Whether the answer may pass, by what the store said.
    fn stored(&self, answer: Result<Option<SessionOwner>, StoreError>) -> Result<(), Rejection> {
        use Effect::{Ends, Opens};
        match (&self.effect, answer) {
            (Some(Opens { owner, .. }), Ok(Some(it))) if it == *owner => Ok(()),
            (Some(Opens { asked, .. }), Ok(Some(_))) => {
                Err(broken(asked, "a session that is somebody else's"))
            }
            (Some(Opens { asked, .. }), Ok(None)) => {
                let error = StoreError::new("the store did not keep the session");
                Err(unavailable(&error, Some(asked)))
            }
            (Some(Opens { asked, .. }), Err(error)) => Err(unavailable(&error, Some(asked))),
            (Some(Ends(_)), Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a session that has ended could not be forgotten"
                );
                Ok(())
            }
            (Some(Ends(_)) | None, _) => Ok(()),
        }
    }
}

/// The server behind is not one to have sessions with.
fn broken(asked: &McpRequest, what: &'static str) -> Rejection {
    tracing::error!("the server behind opened {what}");
    Rejection::upstream_error(Some(asked))
}

impl<F, T: SessionStore, ResB> fmt::Debug for BindFuture<F, T, ResB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindFuture").finish_non_exhaustive()
    }
}
