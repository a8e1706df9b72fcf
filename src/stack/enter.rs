//! The way in: from gate to gate, in place.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Request, Response, request::Parts};
use http_body::Body;

use super::{
    AuthBody,
    leave::Leaving,
    stores::{GatesOf, Stores},
};
use crate::{
    clock::UnixTime,
    keys::{KeyStore, UpstreamKeyId, VerificationKeyId},
    layers::{
        audit_log::Recorder,
        jwt_validate::Waiting,
        mcp_request::{McpBody, Reading},
        origin_guard::{self, preflight},
        rate_limit::Takes,
        shared::Common,
    },
    mcp::McpRequest,
    policy::Granted,
    reject::{RejectBody, Rejection},
    revocation::RevocationStore,
    session::SessionStore,
    token::VerifiedToken,
};

/// A request on its way in. It stands still at a gate whose answer is late.
pub(super) struct Entering<B, A: Stores> {
    pub(super) body: Reading<B>,
    pub(super) message: McpBody,
    pub(super) gate: Gate<A>,
    /// When it came in, or went on. No time passes between the gates.
    pub(super) now: UnixTime,
    /// When its token was last found good.
    pub(super) admitted: UnixTime,
    pub(super) granted: Option<Granted>,
    /// What its answer will be held against, as far as it is known. The recorder knows the caller,
    /// and what is asked.
    pub(super) leaving: Leaving<A>,
}

/// The gate that a request stands at, with the question whose answer it needs.
pub(super) enum Gate<A: Stores> {
    Origin,
    Token(
        <A::Keys as KeyStore<VerificationKeyId>>::Future,
        Box<Waiting>,
    ),
    Revocation(<A::Revocations as RevocationStore>::Future),
    Message,
    /// The body was late, and is there. Boxed, because it is rare.
    Again(Box<(<A::Revocations as RevocationStore>::Future, Bytes)>),
    Session(<A::Sessions as SessionStore>::Future),
    Limit(Takes<A::Limits>),
    Key(<A::UpstreamKeys as KeyStore<UpstreamKeyId>>::Future),
    Passed,
}

/// Why a request does not come in.
pub(super) enum Stop<'a> {
    /// By a layer that answers like this.
    Refused(&'a Common, Rejection),
    /// It asks for the resource metadata.
    Metadata,
    /// It asks only whether a page may ask.
    Preflight(HeaderMap),
}

/// What a layer says.
pub(super) fn judged<T>(common: &Common, judged: Result<T, Rejection>) -> Result<T, Stop<'_>> {
    judged.map_err(|rejection| Stop::Refused(common, rejection))
}

impl<B, A> Entering<B, A>
where
    B: Body<Data = Bytes> + Unpin,
    A: Stores,
{
    #[inline]
    pub(super) fn new(body: B, now: UnixTime) -> Self {
        Self {
            body: Reading::new(body),
            message: McpBody::default(),
            gate: Gate::Origin,
            now,
            admitted: now,
            granted: None,
            leaving: Leaving {
                recorder: Recorder::default(),
                origin: Some(origin_guard::Leaving::Plain),
                binding: None,
                key: None,
                filter: None,
                guarded: None,
            },
        }
    }

    /// Goes on, from gate to gate, as far as answers are there. A request that is not let in is
    /// answered with the error. Without a context nobody is woken when more comes.
    #[inline]
    pub(super) fn go_on<ResB: RejectBody>(
        &mut self,
        gates: &GatesOf<A>,
        head: &mut Parts,
        context: Option<&mut Context<'_>>,
    ) -> Poll<Result<(), Box<Response<AuthBody<ResB>>>>> {
        let stop = ready!(self.pass(gates, head, context));
        Poll::Ready(stop.map_err(|stop| Box::new(self.answer(gates, head, stop))))
    }

    #[inline]
    fn pass<'g>(
        &mut self,
        gates: &'g GatesOf<A>,
        head: &mut Parts,
        context: Option<&mut Context<'_>>,
    ) -> Poll<Result<(), Stop<'g>>> {
        let is_called = context.is_none();
        let mut nobody = Context::from_waker(Waker::noop());
        let context = context.unwrap_or(&mut nobody);
        loop {
            let passed = match &mut self.gate {
                Gate::Origin => self.arrive(gates, head),
                Gate::Token(question, waiting) => {
                    let answer = ready!(Pin::new(question).poll(context));
                    let checked = gates.tokens.check_waiting(waiting, answer);
                    judged(gates.tokens.common(), checked)
                        .and_then(|token| self.verified(gates, head, token))
                }
                Gate::Revocation(question) => {
                    let answer = ready!(Pin::new(question).poll(context));
                    self.checked(gates, head, answer)
                }
                Gate::Message => {
                    let reading = Pin::new(&mut self.body);
                    let body = ready!(if is_called {
                        reading.poll_at_once(&gates.messages)
                    } else {
                        reading.poll(context, &gates.messages)
                    });
                    judged(&gates.messages.common, body)
                        .and_then(|body| self.has_body(gates, head, body))
                }
                Gate::Again(asked) => {
                    let (question, body) = &mut **asked;
                    let answer = ready!(Pin::new(question).poll(context));
                    let body = mem::take(body);
                    self.checked_again(gates, head, answer, body)
                }
                Gate::Session(question) => {
                    let answer = ready!(Pin::new(question).poll(context));
                    self.looked_up(gates, head, answer)
                }
                Gate::Limit(question) => {
                    let answer = ready!(Pin::new(question).poll(context));
                    self.counted(gates, head, answer)
                }
                Gate::Key(question) => {
                    let answer = ready!(Pin::new(question).poll(context));
                    self.keyed(gates, head, answer)
                }
                Gate::Passed => return Poll::Ready(Ok(())),
            };
            if let Err(stop) = passed {
                return Poll::Ready(Err(stop));
            }
        }
    }

    /// The request as the service behind sees it.
    #[inline]
    pub(super) fn passed(&mut self, mut head: Parts) -> Request<McpBody> {
        let Self {
            message,
            granted,
            leaving,
            ..
        } = self;
        let is_heard = leaving.recorder.is_heard();
        let facts = &mut leaving.recorder.facts;
        let extensions = &mut head.extensions;
        make_room(extensions);
        if let Some(token) = &facts.token {
            extensions.insert(token.clone());
        }
        if let Some(asked) = &facts.request {
            extensions.insert(asked.clone());
        }
        if let Some(granted) = granted.take() {
            extensions.insert(granted);
        }
        facts.called = is_heard.then(Instant::now);
        Request::from_parts(head, mem::take(message))
    }

    /// What every request has that was read; without it none goes on.
    #[inline]
    pub(super) fn known<'g>(
        &self,
        common: &'g Common,
    ) -> Result<(&VerifiedToken, &McpRequest), Stop<'g>> {
        let facts = &self.leaving.recorder.facts;
        match (&facts.token, &facts.request) {
            (Some(token), Some(asked)) => Ok((token, asked)),
            _ => Err(Stop::Refused(common, Rejection::layer_missing())),
        }
    }

    /// The answer to a request that does not come in.
    fn answer<ResB: RejectBody>(
        &mut self,
        gates: &GatesOf<A>,
        head: &Parts,
        stop: Stop<'_>,
    ) -> Response<AuthBody<ResB>> {
        let mut response = match stop {
            Stop::Refused(common, rejection) => common.respond(rejection),
            Stop::Metadata => gates.document.answer(&head.method, &head.headers),
            Stop::Preflight(cors) => return preflight(cors),
        };
        if let Some(origin) = self.leaving.origin.take() {
            origin.head(response.headers_mut());
        }
        response
    }
}

/// Extensions with room for all that the layers leave in them, and for what a router adds.
static ROOMY: LazyLock<Extensions> = LazyLock::new(|| {
    let mut extensions = Extensions::new();
    extensions.insert(0_u8);
    extensions.insert(0_u16);
    extensions.insert(0_u32);
    extensions.insert(0_u64);
    extensions.clear();
    extensions
});

/// A table of extensions that grows while it is filled costs more than to copy an empty one of the
/// right size.
fn make_room(extensions: &mut Extensions) {
    if extensions.is_empty() {
        extensions.clone_from(&ROOMY);
    }
}
