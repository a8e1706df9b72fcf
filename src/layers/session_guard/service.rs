use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::{
    binder::Binder,
    headers::{LAST_EVENT, Named, SESSION, named},
    layer::Config,
};
use crate::{
    error::{Reason, StoreError},
    layers::shared::{Common, Judge, ResponseFuture, remove_rare, token},
    mcp::McpRequest,
    reject::{RejectBody, Rejection, code},
    session::{SessionOwner, SessionStore},
};

/// The service of [`SessionGuardLayer`](crate::SessionGuardLayer).
#[derive(Clone, Debug)]
pub struct SessionGuardService<S, T> {
    binder: Binder<S, T>,
}

impl<S, T> SessionGuardService<S, T> {
    #[inline]
    pub(super) fn new(inner: S, config: Config<T>) -> Self {
        Self {
            binder: Binder::new(inner, Arc::new(config)),
        }
    }
}

impl<S, T, B, ResB> Service<Request<B>> for SessionGuardService<S, T>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    T: SessionStore,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<Binder<S, T>, B, T::Future, Owned<T>>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // `S` may be a service for other requests too: say which readiness is asked for.
        <Binder<S, T> as Service<Request<B>>>::poll_ready(&mut self.binder, context)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let config = &self.binder.config;
        let extensions = request.extensions();
        let missing = |needs| {
            let rejection = config.common.layer_missing("SessionGuardLayer", needs);
            ResponseFuture::refuse(&config.common, rejection)
        };
        let Some(token) = token(extensions) else {
            return missing("JwtValidateLayer");
        };
        let Some(asked) = extensions.get::<McpRequest>() else {
            return missing("McpRequestLayer");
        };
        let named = if asked.version().is_stateless() || !asked.has_session() {
            Named::None
        } else {
            named(request.headers())
        };
        match named {
            Named::None => {
                if asked.has_session() {
                    request.headers_mut().remove(SESSION);
                }
                remove_rare(request.headers_mut(), &[LAST_EVENT]);
                ResponseFuture::call(&mut self.binder, request)
            }
            Named::Malformed => {
                let rejection = malformed(asked);
                ResponseFuture::refuse(&config.common, rejection)
            }
            Named::One(session) => {
                let question = config.store.owner(session, config.common.now());
                let caller = SessionOwner::of(token.principal());
                let config = Arc::clone(config);
                let judge = Owned { config, caller };
                ResponseFuture::ask(&mut self.binder, request, question, judge)
            }
        }
    }
}

fn malformed(asked: &McpRequest) -> Rejection {
    const HEADER_MISMATCH: i32 = -32020;
    Rejection::new(
        Reason::HeaderMismatch,
        StatusCode::BAD_REQUEST,
        "The header Mcp-Session-Id is malformed",
    )
    .with_rpc(HEADER_MISMATCH, asked.id().cloned())
}

/// Judges whose the session is.
#[derive(Debug)]
pub struct Owned<T> {
    config: Arc<Config<T>>,
    caller: SessionOwner,
}

impl<T, S, B> Judge<S, B> for Owned<T> {
    type Answer = Result<Option<SessionOwner>, StoreError>;

    #[inline]
    fn judge(
        &self,
        answer: Self::Answer,
        _: &mut S,
        request: &mut Request<B>,
    ) -> Result<(), Rejection> {
        let asked = request.extensions().get::<McpRequest>();
        match answer {
            Ok(Some(owner)) if owner == self.caller => Ok(()),
            // Nobody learns which sessions there are.
            Ok(_) => Err(Rejection::new(
                Reason::SessionMismatch,
                StatusCode::NOT_FOUND,
                "There is no such session",
            )
            .for_request(code::NO_SESSION, asked)),
            Err(error) => Err(unavailable(&error, asked)),
        }
    }

    fn common(&self) -> &Common {
        &self.config.common
    }
}

/// What the store could not do is 503.
pub(super) fn unavailable(error: &StoreError, asked: Option<&McpRequest>) -> Rejection {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "a session could not be looked up or kept"
    );
    Rejection::store_unavailable().for_request(code::UNAVAILABLE, asked)
}
