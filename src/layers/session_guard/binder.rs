//! Calls the service behind, and looks at what its answer says about sessions.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{binding::Binding, future::BindFuture, layer::Config};
use crate::{layers::shared::token, reject::RejectBody, session::SessionStore};

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
        let extensions = request.extensions();
        let binding = match (token(extensions), extensions.get()) {
            (Some(token), Some(asked)) => Binding::of(
                &self.config,
                request.method(),
                request.headers(),
                token,
                asked,
            ),
            // Nobody comes here without.
            _ => None,
        };
        BindFuture::new(self.inner.call(request), binding)
    }
}
