use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::layer::Config;
use crate::{
    layers::shared::{Passing, trail},
    reject::RejectBody,
};

/// The service of [`ScopeGuardLayer`](crate::ScopeGuardLayer).
#[derive(Clone, Debug)]
pub struct ScopeGuardService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> ScopeGuardService<S> {
    #[inline]
    pub(super) fn new(inner: S, config: Config) -> Self {
        Self {
            inner,
            config: Arc::new(config),
        }
    }
}

impl<S, B, ResB> Service<Request<B>> for ScopeGuardService<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Passing<S::Future, S::Response>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let common = &self.config.common;
        let extensions = request.extensions();
        let judged = common
            .caller_and_request(extensions, "ScopeGuardLayer")
            .and_then(|(token, asked)| self.config.judge(token, asked, common.now()));
        let trail = trail(extensions);
        match judged {
            Ok(granted) => {
                if let Some(trail) = trail {
                    trail.set_required(granted.grant().scope().clone());
                }
                request.extensions_mut().insert(granted);
                Passing::inner(self.inner.call(request))
            }
            Err(rejection) => {
                if let Some(trail) = trail {
                    trail.set_required(rejection.required().clone());
                }
                Passing::answered(common.respond(rejection))
            }
        }
    }
}
