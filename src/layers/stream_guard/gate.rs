//! Which answers are guarded, should they be streams.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, StatusCode, header, response::Parts};
use http_body::Body;

use super::{
    StreamGuardBody,
    body::{EndTold, Guard},
    layer::Config,
    open::OpenStream,
    watch::watch,
};
use crate::{
    error::Reason,
    layers::shared::{is_encoded, is_event_stream},
    mcp::{EventEnds, McpRequest, Message, RequestId},
    reject::{Rejection, code},
    revocation::RevocationStore,
    token::VerifiedToken,
    trail::AuthTrail,
};

/// When a principal with too many streams may come back. Nobody knows when one of them ends.
const COME_BACK: Duration = Duration::from_secs(10);

/// What is known before the answer is there.
pub(crate) struct Guarded<V> {
    config: Arc<Config<V>>,
    token: VerifiedToken,
    trail: Option<AuthTrail>,
    subscription: Option<RequestId>,
    open: Option<OpenStream>,
}

impl<V> Guarded<V> {
    /// Tells the trail how the stream ends.
    pub(crate) fn telling(mut self: Box<Self>, trail: Option<AuthTrail>) -> Box<Self> {
        self.trail = trail;
        self
    }
}

/// How the answer is to be guarded, should it be a stream; `None`: not at all.
#[inline]
pub(crate) fn guarded<V>(
    config: &Arc<Config<V>>,
    method: &Method,
    token: &VerifiedToken,
    asked: &McpRequest,
) -> Result<Option<Box<Guarded<V>>>, Rejection> {
    let subscription = subscription(asked);
    let stands = method == Method::GET || subscription.is_some();
    if !stands && !config.cuts_answers {
        return Ok(None);
    }
    let open = if stands {
        let open = config.streams.open(token.principal(), config.max_streams);
        Some(open.ok_or_else(|| too_many(asked))?)
    } else {
        None
    };
    Ok(Some(Box::new(Guarded {
        config: Arc::clone(config),
        token: token.clone(),
        trail: None,
        subscription: subscription.and_then(Message::id).cloned(),
        open,
    })))
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

/// Guards the answer, if it is a stream.
#[inline]
pub(crate) fn guard<V: RevocationStore, B: Body>(
    head: &mut Parts,
    body: B,
    guarded: Option<Box<Guarded<V>>>,
) -> StreamGuardBody<B> {
    let guarded = guarded.filter(|_| is_event_stream(&head.headers) && !body.is_end_stream());
    let guard = guarded.map(|guarded| {
        // It may end sooner than it was said.
        head.headers.remove(header::CONTENT_LENGTH);
        let is_plain = !is_encoded(&head.headers);
        Guard {
            watch: Mutex::new(Box::pin(watch(guarded.config, guarded.token))),
            subscription: guarded.subscription.filter(|_| is_plain),
            ends: EventEnds::default(),
            end: EndTold::to(guarded.trail),
            _open: guarded.open,
        }
    });
    StreamGuardBody::new(body, guard)
}
