use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::{
    layer::Config,
    limit::Known,
    takes::{Several, Takes},
};
use crate::{
    audit::AuditRateLimit,
    error::{Reason, StoreError},
    layers::shared::{Common, Judge, ResponseFuture, trail},
    mcp::McpRequest,
    rate::{RateLimitStore, Verdict},
    reject::{RejectBody, Rejection, code},
};

/// The service of [`RateLimitLayer`](crate::RateLimitLayer).
#[derive(Clone, Debug)]
pub struct RateLimitService<S, L> {
    inner: S,
    /// `None`: nothing is limited.
    config: Option<Counted<L>>,
}

impl<S, L> RateLimitService<S, L> {
    #[inline]
    pub(super) fn new(inner: S, config: Option<Config<L>>) -> Self {
        Self {
            inner,
            config: config.map(|config| Counted(Arc::new(config))),
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
        let Some(judge) = &self.config else {
            return ResponseFuture::call(&mut self.inner, request);
        };
        let config = &judge.0;
        let known = Known::of(request.headers(), request.extensions());
        let mut takes = Several::default();
        for limit in &config.limits {
            if let Err(needs) = limit.takes(&known, &mut takes) {
                let rejection = config.common.layer_missing("RateLimitLayer", needs);
                return ResponseFuture::refuse(&config.common, rejection);
            }
        }
        let Some(question) = Takes::new(config, takes, config.common.now()) else {
            return ResponseFuture::call(&mut self.inner, request);
        };
        ResponseFuture::ask_shared(&mut self.inner, request, question, judge)
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
        let trail = trail(request.extensions());
        let note = |outcome| {
            if let Some(trail) = trail {
                trail.set_rate_limit(outcome);
            }
        };
        let asked = || request.extensions().get::<McpRequest>();
        match answer {
            Ok(Verdict::Allowed { local, .. }) => {
                note(if local {
                    AuditRateLimit::Local
                } else {
                    AuditRateLimit::Ok
                });
                Ok(())
            }
            Ok(Verdict::Limited { retry_after, .. }) => {
                note(AuditRateLimit::Limited);
                Err(limited(asked(), retry_after))
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a limit could not be counted"
                );
                Err(Rejection::store_unavailable().for_request(code::UNAVAILABLE, asked()))
            }
        }
    }

    fn common(&self) -> &Common {
        &self.0.common
    }
}

fn limited(asked: Option<&McpRequest>, retry_after: Duration) -> Rejection {
    let opens_a_session = asked.is_some_and(|asked| {
        asked.messages().iter().any(|message| {
            matches!(
                message.operation().method(),
                "initialize" | "server/discover"
            )
        })
    });
    let (status, code) = if opens_a_session {
        (StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE)
    } else {
        (StatusCode::TOO_MANY_REQUESTS, code::LIMITED)
    };
    Rejection::new(Reason::RateLimited, status, "Too many requests")
        .with_retry_after(retry_after)
        .for_request(code, asked)
}
