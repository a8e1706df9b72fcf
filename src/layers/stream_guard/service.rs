use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode};
use tower_service::Service;

use super::{StreamGuardBody, StreamGuardFuture, future::Guarded, layer::Config};
use crate::{
    audit::AuditRateLimit,
    error::Reason,
    layers::shared::{Passing, token, trail},
    mcp::{McpRequest, Message},
    reject::{RejectBody, Rejection, code},
    revocation::RevocationStore,
};

/// When a principal with too many streams may come back. Nobody knows when one of them ends.
const COME_BACK: Duration = Duration::from_secs(10);

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
        match guarded(&self.config, &request) {
            Ok(guarded) => Passing::inner(StreamGuardFuture::new(
                self.inner.call(request),
                guarded.map(Box::new),
            )),
            Err(rejection) => Passing::answered(self.config.common.respond(rejection)),
        }
    }
}

/// How the answer is to be guarded, should it be a stream; `None`: not at all.
fn guarded<V, B>(
    config: &Arc<Config<V>>,
    request: &Request<B>,
) -> Result<Option<Guarded<V>>, Rejection> {
    let missing = |needs| Err(config.common.layer_missing("StreamGuardLayer", needs));
    let extensions = request.extensions();
    let Some(token) = token(extensions) else {
        return missing("JwtValidateLayer");
    };
    let Some(asked) = extensions.get::<McpRequest>() else {
        return missing("McpRequestLayer");
    };
    let subscription = subscription(asked);
    let stands = request.method() == Method::GET || subscription.is_some();
    if !stands && !config.cuts_answers {
        return Ok(None);
    }
    let trail = trail(extensions);
    let open = if stands {
        let open = config.streams.open(token.principal(), config.max_streams);
        let Some(open) = open else {
            if let Some(trail) = trail {
                trail.set_rate_limit(AuditRateLimit::Limited);
            }
            return Err(too_many(asked));
        };
        Some(open)
    } else {
        None
    };
    Ok(Some(Guarded {
        config: Arc::clone(config),
        token: token.clone(),
        trail: trail.cloned(),
        subscription: subscription.and_then(Message::id).cloned(),
        open,
    }))
}

/// The message that opens a stream which has no end of its own.
fn subscription(asked: &McpRequest) -> Option<&Message> {
    let mut messages = asked.messages().iter();
    messages.find(|message| message.operation().method() == "subscriptions/listen")
}

fn too_many(asked: &McpRequest) -> Rejection {
    Rejection::new(
        Reason::RateLimited,
        StatusCode::TOO_MANY_REQUESTS,
        "Too many streams are open",
    )
    .with_retry_after(COME_BACK)
    .for_request(code::LIMITED, Some(asked))
}
