use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::layer::Config;
use crate::{
    error::StoreError,
    layers::shared::{Common, Judge, ResponseFuture, trail},
    reject::{RejectBody, Rejection},
    revocation::{Revocation, RevocationStore},
};

/// The service of [`RevocationLayer`](crate::RevocationLayer).
#[derive(Clone, Debug)]
pub struct RevocationService<S, V> {
    inner: S,
    judge: Checked<V>,
}

impl<S, V> RevocationService<S, V> {
    #[inline]
    pub(super) fn new(inner: S, config: Config<V>) -> Self {
        Self {
            inner,
            judge: Checked(Arc::new(config)),
        }
    }
}

impl<S, V, B, ResB> Service<Request<B>> for RevocationService<S, V>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    V: RevocationStore,
    ResB: RejectBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, V::Future, Checked<V>>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let config = &self.judge.0;
        let common = &config.common;
        let token = match common.caller(request.extensions(), "RevocationLayer") {
            Ok(token) => token,
            Err(missing) => return ResponseFuture::refuse(common, missing),
        };
        let question = config.store.status(token);
        ResponseFuture::ask_shared(&mut self.inner, request, question, &self.judge)
    }
}

/// Judges what the store said.
#[derive(Clone, Debug)]
pub struct Checked<V>(Arc<Config<V>>);

impl<V, S, B> Judge<S, B> for Checked<V> {
    type Answer = Result<Revocation, StoreError>;

    #[inline]
    fn judge(
        &self,
        answer: Self::Answer,
        _: &mut S,
        request: &mut Request<B>,
    ) -> Result<(), Rejection> {
        let (outcome, judged) = self.0.judge(answer);
        if let Some(trail) = trail(request.extensions()) {
            trail.add_revocation(outcome);
        }
        judged
    }

    fn common(&self) -> &Common {
        &self.0.common
    }
}
