use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, header};
use tower_service::Service;

use super::{ListFilterBody, ListFilterFuture, filter::Filter, layer::Config};
use crate::{
    layers::shared::{Passing, token},
    mcp::McpRequest,
    reject::RejectBody,
};

/// The service of [`ListFilterLayer`](crate::ListFilterLayer).
#[derive(Clone, Debug)]
pub struct ListFilterService<S> {
    inner: S,
    /// `None`: everything is shown.
    config: Option<Arc<Config>>,
}

impl<S> ListFilterService<S> {
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
        let filter = match &self.config {
            None => None,
            Some(config) => {
                let common = &config.common;
                let extensions = request.extensions();
                match (token(extensions), extensions.get::<McpRequest>()) {
                    (Some(token), Some(asked)) => Filter::of(config, token, asked),
                    (None, _) => {
                        let missing = common.layer_missing("ListFilterLayer", "JwtValidateLayer");
                        return Passing::answered(common.respond(missing));
                    }
                    (_, None) => {
                        let missing = common.layer_missing("ListFilterLayer", "McpRequestLayer");
                        return Passing::answered(common.respond(missing));
                    }
                }
            }
        };
        if filter.is_some() {
            request.headers_mut().remove(header::ACCEPT_ENCODING);
        }
        Passing::inner(ListFilterFuture::new(
            self.inner.call(request),
            filter.map(Box::new),
        ))
    }
}
