use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    ListFilterBody,
    filter::{Filter, ask_for_plain},
    future::ListFilterFuture,
    layer::Config,
};
use crate::{
    layers::shared::{Passing, trail},
    reject::RejectBody,
};

/// The service of [`ListFilterLayer`](crate::ListFilterLayer).
#[derive(Clone, Debug)]
pub struct ListFilterService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> ListFilterService<S> {
    #[inline]
    pub(super) fn new(inner: S, config: Config) -> Self {
        Self {
            inner,
            config: Arc::new(config),
        }
    }
}

impl<S, B, ResB> Service<Request<B>> for ListFilterService<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: RejectBody,
{
    type Response = Response<ListFilterBody<ResB>>;
    type Error = S::Error;
    type Future = Passing<ListFilterFuture<S::Future, ResB>, Self::Response>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let config = &self.config;
        let extensions = request.extensions();
        let common = &config.common;
        let filter = match common.caller_and_request(extensions, "ListFilterLayer") {
            Ok((token, asked)) => Filter::of(config, token, asked)
                .map(|filter| filter.telling(trail(extensions).cloned())),
            Err(missing) => return Passing::answered(common.respond(missing)),
        };
        if filter.is_some() {
            ask_for_plain(request.headers_mut());
        }
        Passing::inner(ListFilterFuture::new(self.inner.call(request), filter))
    }
}
