use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{StreamGuardBody, future::StreamGuardFuture, gate::guarded, layer::Config};
use crate::{
    audit::AuditRateLimit,
    layers::shared::{Passing, trail},
    reject::RejectBody,
    revocation::RevocationStore,
};

/// The service of [`StreamGuardLayer`](crate::StreamGuardLayer).
#[derive(Clone, Debug)]
pub struct StreamGuardService<S, V> {
    inner: S,
    config: Arc<Config<V>>,
}

impl<S, V> StreamGuardService<S, V> {
    #[inline]
    pub(super) fn new(inner: S, config: Config<V>) -> Self {
        Self {
            inner,
            config: Arc::new(config),
        }
    }
}

impl<S, V, B, ResB> Service<Request<B>> for StreamGuardService<S, V>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    V: RevocationStore,
    ResB: RejectBody,
{
    type Response = Response<StreamGuardBody<ResB>>;
    type Error = S::Error;
    type Future = Passing<StreamGuardFuture<S::Future, V>, Self::Response>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let common = &self.config.common;
        let extensions = request.extensions();
        let (token, asked) = match common.caller_and_request(extensions, "StreamGuardLayer") {
            Ok(known) => known,
            Err(missing) => return Passing::answered(common.respond(missing)),
        };
        let trail = trail(extensions);
        match guarded(&self.config, request.method(), token, asked) {
            Ok(guarded) => {
                let guarded = guarded.map(|guarded| guarded.telling(trail.cloned()));
                Passing::inner(StreamGuardFuture::new(self.inner.call(request), guarded))
            }
            Err(rejection) => {
                if let Some(trail) = trail {
                    trail.add_rate_limit(AuditRateLimit::Limited);
                }
                Passing::answered(common.respond(rejection))
            }
        }
    }
}
