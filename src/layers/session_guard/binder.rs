//! Calls the service behind, and looks at what its answer says about sessions.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response};
use tower_service::Service;

use super::{
    future::BindFuture,
    headers::{Named, SESSION, named},
    layer::Config,
};
use crate::{
    layers::shared::token,
    mcp::{McpRequest, MessageKind},
    reject::RejectBody,
    session::{SessionHash, SessionOwner, SessionStore},
};

/// The inner half of the layer: what comes here names no session, or its caller's own.
#[derive(Clone, Debug)]
pub struct Binder<S, T> {
    inner: S,
    pub(super) config: Arc<Config<T>>,
}

impl<S, T> Binder<S, T> {
    #[inline]
    pub(super) const fn new(inner: S, config: Arc<Config<T>>) -> Self {
        Self { inner, config }
    }
}

impl<S, T, B, ResB> Service<Request<B>> for Binder<S, T>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    T: SessionStore,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BindFuture<S::Future, T, ResB>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let effect = Effect::of(&request);
        let asked = request.extensions().get::<McpRequest>();
        let own = if asked.is_none_or(McpRequest::has_session) {
            request.headers().get(SESSION).cloned()
        } else {
            None
        };
        let binding = (effect.is_some() || own.is_some()).then(|| {
            Box::new(Binding {
                config: Arc::clone(&self.config),
                effect,
                own,
            })
        });
        BindFuture::new(self.inner.call(request), binding)
    }
}

/// What is to be done with the answer to a request that has to do with a session.
pub(super) struct Binding<T> {
    pub(super) config: Arc<Config<T>>,
    pub(super) effect: Option<Effect>,
    /// The session that the request names.
    pub(super) own: Option<HeaderValue>,
}

/// What a request does to sessions, where it succeeds.
#[derive(Debug)]
pub(super) enum Effect {
    /// The session that the answer names is the caller's.
    Opens {
        owner: SessionOwner,
        asked: McpRequest,
    },
    /// The session that the request names has ended.
    Ends(SessionHash),
}

impl Effect {
    fn of<B>(request: &Request<B>) -> Option<Self> {
        let extensions = request.extensions();
        if request.method() == Method::DELETE {
            return match named(request.headers()) {
                Named::One(session) => Some(Self::Ends(session)),
                Named::None | Named::Malformed => None,
            };
        }
        let asked = extensions.get::<McpRequest>();
        let asked = asked.filter(|asked| opens_session(asked))?;
        Some(Self::Opens {
            owner: SessionOwner::of(token(extensions)?.principal()),
            asked: asked.clone(),
        })
    }
}

/// Whether it is exactly an `initialize`.
fn opens_session(asked: &McpRequest) -> bool {
    match asked.messages() {
        [message] => {
            !asked.is_batch()
                && !asked.version().is_stateless()
                && message.kind() == MessageKind::Request
                && message.operation().method() == "initialize"
        }
        _ => false,
    }
}
