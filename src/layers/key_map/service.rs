use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{KeyMapBody, gate::judge, guard::KeyGuard, layer::Config};
use crate::{
    audit::Text,
    error::StoreError,
    keys::{KeyStore, UpstreamKey, UpstreamKeyId},
    layers::shared::{Common, Judge, ResponseFuture, trail},
    policy::Granted,
    reject::{RejectBody, Rejection},
};

/// The service of [`KeyMapLayer`](crate::KeyMapLayer).
#[derive(Clone, Debug)]
pub struct KeyMapService<S, U> {
    guarded: KeyGuard<S, U>,
}

impl<S, U> KeyMapService<S, U> {
    #[inline]
    pub(super) fn new(inner: S, config: Config<U>) -> Self {
        Self {
            guarded: KeyGuard::new(inner, Arc::new(config)),
        }
    }
}

impl<S, U, B, ResB> Service<Request<B>> for KeyMapService<S, U>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    U: KeyStore<UpstreamKeyId, Key = UpstreamKey>,
    ResB: RejectBody,
{
    type Response = Response<KeyMapBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<KeyGuard<S, U>, B, U::Future, Injecting<U>>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // `S` may be a service for other requests too: say which readiness is asked for.
        <KeyGuard<S, U> as Service<Request<B>>>::poll_ready(&mut self.guarded, context)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let config = &self.guarded.config;
        config.strip(request.headers_mut());
        let Some(store) = &config.store else {
            return ResponseFuture::call(&mut self.guarded, request);
        };
        let (common, extensions) = (&config.common, request.extensions());
        let token = match common.caller(extensions, "KeyMapLayer") {
            Ok(token) => token.clone(),
            Err(missing) => return ResponseFuture::refuse(common, missing),
        };
        let grant = extensions.get().map(Granted::grant).cloned();
        let id = UpstreamKeyId::new(token, extensions.get().cloned(), grant);
        let question = store.key(&id);
        let judge = Injecting(Arc::clone(config));
        ResponseFuture::ask(&mut self.guarded, request, question, judge)
    }
}

/// Puts the key into its header.
#[derive(Debug)]
pub struct Injecting<U>(Arc<Config<U>>);

impl<S, U, B> Judge<KeyGuard<S, U>, B> for Injecting<U> {
    type Answer = Result<Option<UpstreamKey>, StoreError>;

    #[inline]
    fn judge(
        &self,
        answer: Self::Answer,
        ready: &mut KeyGuard<S, U>,
        request: &mut Request<B>,
    ) -> Result<(), Rejection> {
        let key = judge(answer, request.extensions().get(), &self.0.common)?;
        if let Some(trail) = trail(request.extensions()) {
            trail.set_key_name(Text::new(key.name()));
        }
        self.0.inject(&key, request.headers_mut());
        ready.key = Some(key);
        Ok(())
    }

    fn common(&self) -> &Common {
        &self.0.common
    }
}
