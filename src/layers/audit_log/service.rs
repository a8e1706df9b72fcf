use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    future::AuditFuture,
    layer::Config,
    recorder::{Recorder, SESSION},
};

/// The service of [`AuditLogLayer`](crate::AuditLogLayer).
#[derive(Clone, Debug)]
pub struct AuditLogService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> AuditLogService<S> {
    #[inline]
    pub(super) fn new(inner: S, config: Config) -> Self {
        Self {
            inner,
            config: Arc::new(config),
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
        let config = Arc::clone(&self.config);
        let mut recorder = Recorder::default();
        let session = request.headers().get(SESSION);
        recorder.start(config, request.method(), session, None);
        if let Some(trail) = recorder.trail() {
            let trail = trail.clone();
            request.extensions_mut().insert(trail);
        }
        AuditFuture::new(self.inner.call(request), recorder)
    }
}
