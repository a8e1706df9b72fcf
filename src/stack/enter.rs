//! The way in: from gate to gate, in place.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Request, Response, header, request::Parts};
use http_body::Body;

use super::{AuthBody, gates::Gates, leave::Leaving};
use crate::{
    audit::AuditRateLimit,
    clock::UnixTime,
    error::StoreError,
    keys::{KeyStore, UpstreamKey, UpstreamKeyId, VerificationKey, VerificationKeyId},
    layers::{
        audit_log::{Recorder, SESSION},
        jwt_validate::{Checked, Waiting},
        key_map,
        list_filter::{self, Filter},
        mcp_request::{McpBody, Reading, expects_message, message, no_message},
        origin_guard::{self, Entered, is_preflight, preflight},
        rate_limit::{self, Known, Takes},
        session_guard::{self, Binding},
        shared::{Common, fields},
        stream_guard,
    },
    mcp::McpRequest,
    policy::Granted,
    rate::{RateLimitStore, Verdict},
    reject::{RejectBody, Rejection},
    revocation::{Revocation, RevocationStore},
    session::{SessionOwner, SessionStore},
    token::VerifiedToken,
};

/// A request on its way in. It stands still at a gate whose answer is late.
pub(super) struct Entering<B, K, V, L, U, T>
where
    K: KeyStore<VerificationKeyId>,
    V: RevocationStore,
    L: RateLimitStore,
    U: KeyStore<UpstreamKeyId>,
    T: SessionStore,
{
    body: Reading<B>,
    message: McpBody,
    gate: Gate<K, V, L, U, T>,
    /// When it came in, or went on. No time passes between the gates.
    pub(super) now: UnixTime,
    granted: Option<Granted>,
    /// What its answer will be held against, as far as it is known. The recorder knows the caller,
    /// and what is asked.
    pub(super) leaving: Leaving<V, T>,
}

/// The gate that a request stands at, with the question whose answer it needs.
enum Gate<K, V, L, U, T>
where
    K: KeyStore<VerificationKeyId>,
    V: RevocationStore,
    L: RateLimitStore,
    U: KeyStore<UpstreamKeyId>,
    T: SessionStore,
{
    Origin,
    Token(K::Future, Box<Waiting>),
    Revocation(V::Future),
    Message,
    Session(T::Future),
    Limit(Takes<L>),
    Key(U::Future),
    Passed,
}

/// Why a request does not come in.
enum Stop<'a> {
    /// By a layer that answers like this.
    Refused(&'a Common, Rejection),
    /// It asks for the resource metadata.
    Metadata,
    /// It asks only whether a page may ask.
    Preflight(HeaderMap),
}

/// What a layer says.
fn judged<T>(common: &Common, judged: Result<T, Rejection>) -> Result<T, Stop<'_>> {
    judged.map_err(|rejection| Stop::Refused(common, rejection))
}

impl<B, K, V, L, U, T> Entering<B, K, V, L, U, T>
where
    B: Body<Data = Bytes> + Unpin,
    K: KeyStore<VerificationKeyId, Key = VerificationKey>,
    V: RevocationStore,
    L: RateLimitStore,
    U: KeyStore<UpstreamKeyId, Key = UpstreamKey>,
    T: SessionStore,
{
    #[inline]
    pub(super) fn new(body: B, now: UnixTime) -> Self {
        Self {
            body: Reading::new(body),
            message: McpBody::default(),
            gate: Gate::Origin,
            now,
            granted: None,
            leaving: Leaving {
                recorder: Recorder::default(),
                origin: Some(origin_guard::Leaving::Plain),
                binding: None,
                key: None,
                filter: None,
                guarded: None,
                called: None,
            },
        }
    }

    /// Goes on, from gate to gate, as far as answers are there. A request that is not let in is
    /// answered with the error. Without a context nobody is woken when more comes.
    #[inline]
    pub(super) fn go_on<ResB: RejectBody>(
        &mut self,
        gates: &Gates<K, V, L, U, T>,
        head: &mut Parts,
        context: Option<&mut Context<'_>>,
    ) -> Poll<Result<(), Box<Response<AuthBody<ResB>>>>> {
        let stop = ready!(self.pass(gates, head, context));
        Poll::Ready(stop.map_err(|stop| Box::new(self.answer(gates, head, stop))))
    }

    #[inline]
    fn pass<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
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
                        .and_then(|body| self.read(gates, head, body))
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

    /// The request as the service behind sees it, and what its answer is held against.
    #[inline]
    pub(super) fn passed(self, mut head: Parts) -> (Request<McpBody>, Leaving<V, T>) {
        let Self {
            message,
            granted,
            mut leaving,
            ..
        } = self;
        let facts = &leaving.recorder.facts;
        let extensions = &mut head.extensions;
        make_room(extensions);
        if let Some(token) = &facts.token {
            extensions.insert(token.clone());
        }
        if let Some(asked) = &facts.request {
            extensions.insert(asked.clone());
        }
        if let Some(granted) = granted {
            extensions.insert(granted);
        }
        leaving.called = leaving.recorder.is_heard().then(Instant::now);
        (Request::from_parts(head, message), leaving)
    }

    /// The answer to a request that does not come in.
    fn answer<ResB: RejectBody>(
        &mut self,
        gates: &Gates<K, V, L, U, T>,
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

    /// What every request has that was read; without it none goes on.
    #[inline]
    fn known<'g>(&self, common: &'g Common) -> Result<(&VerifiedToken, &McpRequest), Stop<'g>> {
        let facts = &self.leaving.recorder.facts;
        match (&facts.token, &facts.request) {
            (Some(token), Some(asked)) => Ok((token, asked)),
            _ => Err(Stop::Refused(common, Rejection::layer_missing())),
        }
    }

    /// Who may ask, and whether he asks for what is open to all.
    #[inline]
    fn arrive<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
    ) -> Result<(), Stop<'g>> {
        let Parts {
            method,
            uri,
            headers,
            extensions,
            ..
        } = head;
        let names = [
            &header::HOST,
            &header::ORIGIN,
            &header::AUTHORIZATION,
            &SESSION,
        ];
        let [host, origin, authorization, session] = fields(headers, names);
        let recorder = &mut self.leaving.recorder;
        match &gates.audit {
            Some(audit) => {
                let audit = Arc::clone(audit);
                recorder.start(audit, method, session.first(), Some(self.now));
            }
            None => recorder.tell(extensions.get()),
        }
        let entered = gates.origins.enter(method, uri, headers, [host, origin]);
        let is_open = matches!(entered, Ok(Entered::Passes(origin_guard::Leaving::Open)));
        let action = &mut recorder.facts.action;
        if is_preflight(method, headers) && !is_open {
            *action = Some("preflight");
        }
        match judged(&gates.origins.common, entered)? {
            Entered::Passes(origin) => self.leaving.origin = Some(origin),
            Entered::Preflight(cors) => return Err(Stop::Preflight(cors)),
        }
        if gates.document.is_at(uri.path()) {
            *action = Some("metadata");
            return Err(Stop::Metadata);
        }
        let common = gates.tokens.common();
        let checked = gates
            .tokens
            .check(authorization, uri, common.now_or(self.now));
        match judged(common, checked)? {
            Checked::Verified(token) => self.verified(gates, head, token),
            Checked::Waits(question, waiting) => {
                self.gate = Gate::Token(question, waiting);
                Ok(())
            }
        }
    }

    /// The proof stands in the place of the credentials.
    #[inline]
    fn verified<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
        token: VerifiedToken,
    ) -> Result<(), Stop<'g>> {
        head.headers.remove(header::AUTHORIZATION);
        let question = gates
            .revocation
            .as_ref()
            .map(|config| config.store.status(&token));
        self.leaving.recorder.facts.token = Some(token);
        match question {
            Some(question) => {
                self.gate = Gate::Revocation(question);
                Ok(())
            }
            None => self.unrevoked(gates, head),
        }
    }

    #[inline]
    fn checked<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
        answer: Result<Revocation, StoreError>,
    ) -> Result<(), Stop<'g>> {
        if let Some(config) = &gates.revocation {
            let (outcome, answer) = config.judge(answer);
            self.leaving.recorder.facts.revocation = Some(outcome);
            judged(&config.common, answer)?;
        }
        self.unrevoked(gates, head)
    }

    #[inline]
    fn unrevoked<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
    ) -> Result<(), Stop<'g>> {
        let Parts {
            method, headers, ..
        } = head;
        let common = &gates.messages.common;
        if judged(common, expects_message(method, headers))? {
            self.gate = Gate::Message;
            return Ok(());
        }
        let asked = judged(common, no_message(method, headers))?;
        self.asked(gates, head, asked)
    }

    #[inline]
    fn read<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
        body: Bytes,
    ) -> Result<(), Stop<'g>> {
        let asked = judged(&gates.messages.common, message(&head.headers, &body))?;
        self.message = McpBody::new(body);
        self.asked(gates, head, asked)
    }

    /// What is asked, and in whose session.
    #[inline]
    fn asked<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
        asked: McpRequest,
    ) -> Result<(), Stop<'g>> {
        let sessions = &gates.sessions;
        let named = session_guard::named_by(&mut head.headers, &asked);
        self.leaving.recorder.facts.request = Some(asked);
        match judged(&sessions.common, named)? {
            Some(session) => {
                let now = sessions.common.now_or(self.now);
                self.gate = Gate::Session(sessions.store.owner(session, now));
                Ok(())
            }
            None => self.owned(gates, head),
        }
    }

    fn looked_up<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
        answer: Result<Option<SessionOwner>, StoreError>,
    ) -> Result<(), Stop<'g>> {
        let common = &gates.sessions.common;
        let (token, asked) = self.known(common)?;
        let caller = SessionOwner::of(token.principal());
        judged(common, session_guard::judge(answer, &caller, Some(asked)))?;
        self.owned(gates, head)
    }

    /// What is granted, and what it takes.
    #[inline]
    fn owned<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
    ) -> Result<(), Stop<'g>> {
        let common = &gates.scopes.common;
        let (token, asked) = self.known(common)?;
        let Parts {
            method,
            headers,
            extensions,
            ..
        } = head;
        let binding = Binding::of(&gates.sessions, method, headers, token, asked);
        let granted = gates.scopes.judge(token, asked, common.now_or(self.now));
        let takes = match (&granted, &gates.limits) {
            (Ok(_), Some(limits)) => {
                let known = Known {
                    headers,
                    extensions,
                    token: Some(token),
                    asked: Some(asked),
                };
                limits.takes(&known, limits.common.now_or(self.now))
            }
            _ => Ok(None),
        };
        self.leaving.binding = binding;
        self.leaving.recorder.facts.required = Some(match &granted {
            Ok(granted) => granted.grant().scope().clone(),
            Err(rejection) => rejection.required().clone(),
        });
        self.granted = Some(judged(common, granted)?);
        match (takes, &gates.limits) {
            (Ok(Some(question)), _) => {
                self.gate = Gate::Limit(question);
                Ok(())
            }
            (Err(rejection), Some(limits)) => Err(Stop::Refused(&limits.common, rejection)),
            _ => self.within_limits(gates, head),
        }
    }

    #[inline]
    fn counted<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
        answer: Result<Verdict, StoreError>,
    ) -> Result<(), Stop<'g>> {
        let facts = &mut self.leaving.recorder.facts;
        let (outcome, counted) = rate_limit::judge(answer, facts.request.as_ref());
        facts.rate_limit = outcome;
        if let Some(limits) = &gates.limits {
            judged(&limits.common, counted)?;
        }
        self.within_limits(gates, head)
    }

    /// Which key the service behind is to see.
    #[inline]
    fn within_limits<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
    ) -> Result<(), Stop<'g>> {
        gates.keys.strip(&mut head.headers);
        let Some(store) = &gates.keys.store else {
            return self.equipped(gates, head);
        };
        let (token, asked) = self.known(&gates.keys.common)?;
        let grant = self.granted.as_ref().map(|granted| granted.grant().clone());
        let id = UpstreamKeyId::new(token.clone(), Some(asked.clone()), grant);
        self.gate = Gate::Key(store.key(&id));
        Ok(())
    }

    #[inline]
    fn keyed<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
        answer: Result<Option<UpstreamKey>, StoreError>,
    ) -> Result<(), Stop<'g>> {
        let facts = &mut self.leaving.recorder.facts;
        let key = key_map::judge(answer, facts.request.as_ref());
        let key = judged(&gates.keys.common, key)?;
        facts.key_name = Some(Arc::clone(key.name()));
        gates.keys.inject(&key, &mut head.headers);
        self.leaving.key = Some(key);
        self.equipped(gates, head)
    }

    /// What of the answer is shown, and for how long.
    #[inline]
    fn equipped<'g>(
        &mut self,
        gates: &'g Gates<K, V, L, U, T>,
        head: &mut Parts,
    ) -> Result<(), Stop<'g>> {
        let common = &gates.streams.common;
        let (token, asked) = self.known(common)?;
        let lists = gates.lists.as_ref();
        let filter = lists.and_then(|lists| Filter::of(lists, token, asked));
        let guarded = stream_guard::guarded(&gates.streams, &head.method, token, asked);
        if filter.is_some() {
            list_filter::ask_for_plain(&mut head.headers);
        }
        if guarded.is_err() {
            let noted = &mut self.leaving.recorder.facts.rate_limit;
            noted.get_or_insert(AuditRateLimit::Limited);
        }
        self.leaving.guarded = judged(common, guarded)?
            .map(|guarded| guarded.telling(self.leaving.recorder.trail().cloned()));
        self.leaving.filter = filter;
        self.gate = Gate::Passed;
        Ok(())
    }
}

/// Extensions with room for all that the layers leave in them.
static ROOMY: LazyLock<Extensions> = LazyLock::new(|| {
    let mut extensions = Extensions::new();
    extensions.insert(0_u8);
    extensions.insert(0_u16);
    extensions.insert(0_u32);
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
