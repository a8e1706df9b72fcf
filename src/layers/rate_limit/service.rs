use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{gate, layer::Config, limit::Known, takes::Takes};
use crate::{
    error::StoreError,
    layers::shared::{Common, Judge, ResponseFuture, trail},
    mcp::McpRequest,
    rate::{RateLimitStore, Verdict},
    reject::{RejectBody, Rejection},
};

/// The service of [`RateLimitLayer`](crate::RateLimitLayer).
#[derive(Clone, Debug)]
pub struct RateLimitService<S, L> {
    inner: S,
    judge: Counted<L>,
}

impl<S, L> RateLimitService<S, L> {
    #[inline]
    pub(super) fn new(inner: S, config: Config<L>) -> Self {
        Self {
            inner,
            judge: Counted(Arc::new(config)),
        }
    }
}

impl<S, L, B, ResB> Service<Request<B>> for RateLimitService<S, L>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    L: RateLimitStore,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, Takes<L>, Counted<L>>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let config = &self.judge.0;
        let known = Known::of(request.headers(), request.extensions());
        match config.takes(&known, config.common.now()) {
            Ok(Some(question)) => {
                ResponseFuture::ask_shared(&mut self.inner, request, question, &self.judge)
            }
            Ok(None) => ResponseFuture::call(&mut self.inner, request),
            Err(rejection) => ResponseFuture::refuse(&config.common, rejection),
        }
    }
}

/// Judges what the counts said.
#[derive(Clone, Debug)]
pub struct Counted<L>(Arc<Config<L>>);

impl<L, S, B> Judge<S, B> for Counted<L> {
    type Answer = Result<Verdict, StoreError>;

    #[inline]
    fn judge(
        &self,
        answer: Self::Answer,
        _: &mut S,
        request: &mut Request<B>,
    ) -> Result<(), Rejection> {
        let extensions = request.extensions();
        let (outcome, judged) = gate::judge(answer, extensions.get::<McpRequest>(), &self.0.common);
        if let (Some(outcome), Some(trail)) = (outcome, trail(extensions)) {
            trail.add_rate_limit(outcome);
        }
        judged
    }

    fn common(&self) -> &Common {
        &self.0.common
    }
}
