use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, header};
use tower_service::Service;

use super::{
    future::OriginGuardFuture,
    gate::{Entered, Leaving, is_preflight, preflight},
    layer::Config,
};
use crate::{
    layers::shared::{fields, trail},
    reject::RejectBody,
};

/// The service of [`OriginGuardLayer`](crate::OriginGuardLayer).
#[derive(Clone, Debug)]
pub struct OriginGuardService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> OriginGuardService<S> {
    #[inline]
    pub(super) fn new(inner: S, config: Config) -> Self {
        Self {
            inner,
            config: Arc::new(config),
        }
    }
}

impl<S, B, ResB> Service<Request<B>> for OriginGuardService<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = OriginGuardFuture<S::Future, ResB>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let config = &self.config;
        let (method, headers) = (request.method(), request.headers());
        let origin = fields(headers, [&header::HOST, &header::ORIGIN]);
        let entered = config.enter(method, request.uri(), headers, origin);
        if is_preflight(method, headers)
            && !matches!(entered, Ok(Entered::Passes(Leaving::Open)))
            && let Some(trail) = trail(request.extensions())
        {
            trail.set_action("preflight");
        }
        match entered {
            Ok(Entered::Passes(leaving)) => {
                OriginGuardFuture::inner(self.inner.call(request), leaving)
            }
            Ok(Entered::Preflight(cors)) => OriginGuardFuture::answered(preflight(cors)),
            Err(rejection) => {
                let mut response = config.common.respond(rejection);
                Leaving::Plain.head(response.headers_mut());
                OriginGuardFuture::answered(response)
            }
        }
    }
}
