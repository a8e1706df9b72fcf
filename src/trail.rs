//! What the rooms inside found out, for the audit log outside of them.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    audit::{AuditRateLimit, AuditRevocation, Text},
    error::Reason,
    mcp::McpRequest,
    token::{Scope, VerifiedToken},
};

/// Slots that the layers inside fill for the one outside that writes the audit event.
///
/// [`AuditLogLayer`](crate::AuditLogLayer) puts it into the request's extensions. A layer of yours
/// that verifies tokens by itself tells it whom it found.
#[derive(Clone, Debug, Default)]
pub struct AuthTrail(Arc<Slots>);

#[derive(Debug, Default)]
struct Slots {
    /// Apart, because every layer that leaves something looks whether it is there.
    token: OnceLock<VerifiedToken>,
    facts: Mutex<Facts>,
}

/// What was found out.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What was asked, where it is no MCP message: `metadata`, `preflight`.
    pub(crate) action: Option<&'static str>,
    /// Who is calling.
    pub(crate) token: Option<VerifiedToken>,
    /// What was asked.
    pub(crate) request: Option<McpRequest>,
    /// The scopes that the operation needs.
    pub(crate) required: Option<Scope>,
    /// The name of the key that was injected.
    pub(crate) key_name: Option<Text>,
    /// What became of the question whether the token was revoked.
    pub(crate) revocation: Option<AuditRevocation>,
    /// What the limits said.
    pub(crate) rate_limit: Option<AuditRateLimit>,
    /// When the service behind was called, where anybody wants to know.
    pub(crate) called: Option<Instant>,
    /// How long it took to answer.
    pub(crate) upstream: Option<Duration>,
    stream: Stream,
}

/// A stream whose end is to be told.
#[derive(Default)]
enum Stream {
    #[default]
    None,
    /// It is guarded, and nobody wants to know yet.
    Guarded,
    Listened(Listener),
}

type Listener = Box<dyn FnOnce(StreamEnd) + Send>;

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Guarded => "Guarded",
            Self::Listened(_) => "Listened",
        })
    }
}

/// How a guarded stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamEnd {
    pub(crate) reason: Reason,
    /// The client went away, and the stream would have gone on.
    pub(crate) cancelled: bool,
    /// What was last found out.
    pub(crate) revocation: Option<AuditRevocation>,
}

impl Facts {
    /// Adds what others found out. The first word counts: whoever comes second knows nothing better.
    /// Of what stores and limits say, the gravest counts: several may be asked, one behind the other.
    fn join(&mut self, others: Self) {
        /// Takes each of these from the others, where there is nothing yet.
        macro_rules! join {
            ($($slot:ident)*) => { $( self.$slot = self.$slot.take().or(others.$slot); )* };
        }
        join!(action token request required key_name upstream);
        self.add_revocation(others.revocation);
        self.add_rate_limit(others.rate_limit);
        if matches!(self.stream, Stream::None) {
            self.stream = others.stream;
        }
    }

    /// Where the service behind was called, and no answer of its was noted: it took until now.
    #[inline]
    pub(crate) fn end_upstream(&mut self) {
        if self.upstream.is_none() {
            self.upstream = self.called.map(|called| called.elapsed());
        }
    }

    fn add_revocation(&mut self, said: Option<AuditRevocation>) {
        let all = self.revocation.into_iter().chain(said);
        self.revocation = all.max_by_key(|it| it.gravity());
    }

    pub(crate) fn add_rate_limit(&mut self, said: Option<AuditRateLimit>) {
        let all = self.rate_limit.into_iter().chain(said);
        self.rate_limit = all.max_by_key(|it| it.gravity());
    }

    /// Whether the response is a stream whose end will be told.
    pub(crate) const fn has_stream(&self) -> bool {
        matches!(self.stream, Stream::Guarded)
    }
}

/// Fills a slot, as [`Facts::join`] does: the first word counts.
macro_rules! slots {
    ($($set:ident $slot:ident: $type:ty;)*) => {
        impl AuthTrail {
            $(
                pub(crate) fn $set(&self, value: $type) {
                    self.facts().$slot.get_or_insert(value);
                }
            )*
        }
    };
}

slots! {
    set_action action: &'static str;
    set_request request: McpRequest;
    set_required required: Scope;
    set_key_name key_name: Text;
    set_upstream upstream: Duration;
}

impl AuthTrail {
    /// Notes who is calling.
    pub fn set_token(&self, token: &VerifiedToken) {
        self.0.token.get_or_init(|| token.clone());
    }

    pub(crate) fn token(&self) -> Option<&VerifiedToken> {
        self.0.token.get()
    }

    /// Notes what became of the question whether the token was revoked.
    pub(crate) fn add_revocation(&self, said: AuditRevocation) {
        self.facts().add_revocation(Some(said));
    }

    /// Notes what a limit said.
    pub(crate) fn add_rate_limit(&self, said: AuditRateLimit) {
        self.facts().add_rate_limit(Some(said));
    }

    /// All that was found out here, which is told once, with what was found out elsewhere.
    pub(crate) fn join_into(&self, facts: &mut Facts) {
        facts.join(mem::take(&mut *self.facts()));
        if facts.token.is_none() {
            facts.token = self.token().cloned();
        }
    }

    /// The same the other way: somebody else tells it.
    pub(crate) fn join(&self, facts: Facts) {
        if let Some(token) = &facts.token {
            self.set_token(token);
        }
        self.facts().join(facts);
    }

    /// The response is a stream whose end will be told.
    pub(crate) fn stream_is_guarded(&self) {
        self.facts().stream = Stream::Guarded;
    }

    /// Tells a listener how the guarded stream ends.
    pub(crate) fn on_stream_end(&self, listener: impl FnOnce(StreamEnd) + Send + 'static) {
        self.facts().stream = Stream::Listened(Box::new(listener));
    }

    pub(crate) fn stream_ended(&self, end: StreamEnd) {
        let stream = mem::take(&mut self.facts().stream);
        if let Stream::Listened(listener) = stream {
            listener(end);
        }
    }

    /// No code that can panic runs under the lock.
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
