use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{AuditFuture, layer::Config, recorder::Recorder};
use crate::trail::AuthTrail;

/// The service of [`AuditLogLayer`](crate::AuditLogLayer).
#[derive(Clone, Debug)]
pub struct AuditLogService<S> {
    inner: S,
    /// `None`: nothing is recorded.
    config: Option<Arc<Config>>,
}

impl<S> AuditLogService<S> {
    #[inline]
    pub(super) fn new(inner: S, config: Option<Config>) -> Self {
        Self {
            inner,
            config: config.map(Arc::new),
        }
    }

    /// The layer left out of a stack.
    pub(crate) const fn pass_through(inner: S) -> Self {
        Self {
            inner,
            config: None,
        }
    }
}

impl<S, B, ResB> Service<Request<B>> for AuditLogService<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = AuditFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let recorder = self.config.as_ref().map(|config| {
            let trail = AuthTrail::default();
            request.extensions_mut().insert(trail.clone());
            Recorder::start(
                Arc::clone(config),
                trail,
                request.method(),
                request.headers(),
            )
        });
        AuditFuture::new(self.inner.call(request), recorder)
    }
}
