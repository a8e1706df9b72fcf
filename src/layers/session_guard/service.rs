use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    binder::Binder,
    gate::{self, named_by},
    layer::Config,
};
use crate::{
    error::StoreError,
    layers::shared::{Common, Judge, ResponseFuture},
    reject::{RejectBody, Rejection},
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
        let common = &config.common;
        let known = common.caller_and_request(request.extensions(), "SessionGuardLayer");
        let (caller, asked) = match known {
            Ok((token, asked)) => (SessionOwner::of(token.principal()), asked.clone()),
            Err(missing) => return ResponseFuture::refuse(common, missing),
        };
        match named_by(request.headers_mut(), &asked) {
            Ok(None) => ResponseFuture::call(&mut self.binder, request),
            Ok(Some(session)) => {
                let question = config.store.owner(session, common.now());
                let config = Arc::clone(config);
                let judge = Owned { config, caller };
                ResponseFuture::ask(&mut self.binder, request, question, judge)
            }
            Err(rejection) => ResponseFuture::refuse(common, rejection),
        }
    }
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
        let asked = request.extensions().get();
        gate::judge(answer, &self.caller, asked, &self.config.common)
    }

    fn common(&self) -> &Common {
        &self.config.common
    }
}
