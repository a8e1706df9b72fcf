use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Response};
use pin_project_lite::pin_project;

use super::{
    binder::Effect,
    headers::{Named, keep_only, named},
    layer::Config,
    service::unavailable,
};
use crate::{
    error::StoreError,
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
        config: Arc<Config<T>>,
        effect: Effect,
        own: Option<HeaderValue>,
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
        Storing { question: Q, response: Option<R> },
    }
}

impl<F, T: SessionStore, ResB> BindFuture<F, T, ResB> {
    pub(super) const fn new(
        inner: F,
        config: Arc<Config<T>>,
        effect: Effect,
        own: Option<HeaderValue>,
    ) -> Self {
        Self {
            config,
            effect,
            own,
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

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let config = this.config;
        loop {
            let next = match this.state.as_mut().project() {
                Projected::Inner { future } => {
                    let mut response = match ready!(future.poll(context)) {
                        Ok(response) => response,
                        Err(error) => return Poll::Ready(Err(error)),
                    };
                    match this.effect.on(&mut response, this.own.as_ref(), config) {
                        Ok(None) => return Poll::Ready(Ok(response)),
                        Ok(Some(question)) => State::Storing {
                            question,
                            response: Some(response),
                        },
                        Err(rejection) => {
                            return Poll::Ready(Ok(config.common.respond(rejection)));
                        }
                    }
                }
                Projected::Storing { question, response } => {
                    let answer = ready!(Pin::new(question).poll(context));
                    // Empty only when polled after it was ready, which no executor does.
                    let Some(response) = response.take() else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(match this.effect.stored(answer) {
                        Ok(()) => response,
                        Err(rejection) => config.common.respond(rejection),
                    }));
                }
            };
            this.state.set(next);
        }
    }
}

impl Effect {
    /// What the store is to be told about an answer. A session that the answer must not name is
    /// removed from it.
    fn on<T: SessionStore, ResB>(
        &self,
        response: &mut Response<ResB>,
        own: Option<&HeaderValue>,
        config: &Config<T>,
    ) -> Result<Option<T::Future>, Rejection> {
        let succeeded = response.status().is_success();
        if let Self::Opens { owner, asked } = self
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
        keep_only(own, response.headers_mut());
        Ok(match self {
            Self::Ends(session) if succeeded => Some(config.store.forget(*session)),
            _ => None,
        })
    }

    /// Whether the answer may pass, by what the store said.
    fn stored(&self, answer: Result<Option<SessionOwner>, StoreError>) -> Result<(), Rejection> {
        match (self, answer) {
            (Self::Opens { owner, .. }, Ok(Some(it))) if it == *owner => Ok(()),
            (Self::Opens { asked, .. }, Ok(Some(_))) => {
                Err(broken(asked, "a session that is somebody else's"))
            }
            (Self::Opens { asked, .. }, Ok(None)) => {
                let error = StoreError::new("the store did not keep the session");
                Err(unavailable(&error, Some(asked)))
            }
            (Self::Opens { asked, .. }, Err(error)) => Err(unavailable(&error, Some(asked))),
            (Self::Ends(_), Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a session that has ended could not be forgotten"
                );
                Ok(())
            }
            (Self::Ends(_) | Self::None, _) => Ok(()),
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
