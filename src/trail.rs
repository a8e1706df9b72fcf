//! What the rooms inside found out, for the audit log outside of them.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    audit::{AuditRateLimit, AuditRevocation},
    error::Reason,
    mcp::McpRequest,
    token::{Scope, VerifiedToken},
};

/// Slots that the layers inside fill, each at most once, for the one outside that writes the audit
/// event.
///
/// [`AuditLogLayer`](crate::AuditLogLayer) puts it into the request's extensions. A layer of yours
/// that verifies tokens by itself tells it whom it found.
#[derive(Clone, Debug, Default)]
pub struct AuthTrail(Arc<Slots>);

#[derive(Debug, Default)]
struct Slots {
    action: OnceLock<&'static str>,
    token: OnceLock<VerifiedToken>,
    request: OnceLock<McpRequest>,
    required: OnceLock<Scope>,
    key_name: OnceLock<Arc<str>>,
    revocation: OnceLock<AuditRevocation>,
    rate_limit: OnceLock<AuditRateLimit>,
    upstream_called: OnceLock<Instant>,
    upstream_took: OnceLock<Duration>,
    stream: Mutex<Stream>,
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

/// Fills a slot. The first word counts.
macro_rules! slots {
    ($($(#[$doc:meta])* $set:ident $get:ident: $type:ty;)*) => {
        impl AuthTrail {
            $(
                $(#[$doc])*
                pub(crate) fn $set(&self, value: $type) {
                    // Whoever comes second knows nothing better.
                    let _ = self.0.$get.set(value);
                }

                pub(crate) fn $get(&self) -> Option<&$type> {
                    self.0.$get.get()
                }
            )*
        }
    };
}

slots! {
    /// What was asked, where it is no MCP message: `metadata`, `preflight`.
    set_action action: &'static str;
    /// What was asked.
    set_request request: McpRequest;
    /// The scopes that the operation needs.
    set_required required: Scope;
    /// The name of the key that was injected.
    set_key_name key_name: Arc<str>;
    /// What became of the question whether the token was revoked.
    set_revocation revocation: AuditRevocation;
    /// What the limits said.
    set_rate_limit rate_limit: AuditRateLimit;
}

impl AuthTrail {
    /// Notes who is calling.
    pub fn set_token(&self, token: &VerifiedToken) {
        // Every layer that needs the caller says this: only the first is worth a clone.
        self.0.token.get_or_init(|| token.clone());
    }

    pub(crate) fn token(&self) -> Option<&VerifiedToken> {
        self.0.token.get()
    }

    /// The service behind is called now.
    pub(crate) fn upstream_called(&self) {
        let _ = self.0.upstream_called.set(Instant::now());
    }

    /// The service behind has answered.
    pub(crate) fn upstream_answered(&self) {
        if let Some(called) = self.0.upstream_called.get() {
            let _ = self.0.upstream_took.set(called.elapsed());
        }
    }

    pub(crate) fn upstream_took(&self) -> Option<Duration> {
        self.0.upstream_took.get().copied()
    }

    /// The response is a stream whose end will be told.
    pub(crate) fn stream_is_guarded(&self) {
        self.swap_stream(Stream::Guarded);
    }

    /// Tells a listener how the guarded stream ends, if there is one and it has not ended yet.
    pub(crate) fn on_stream_end<L>(&self, listener: impl FnOnce() -> L)
    where
        L: FnOnce(StreamEnd) + Send + 'static,
    {
        if let Stream::Guarded = self.swap_stream(Stream::None) {
            self.swap_stream(Stream::Listened(Box::new(listener())));
        }
    }

    pub(crate) fn stream_ended(&self, end: StreamEnd) {
        if let Stream::Listened(listener) = self.swap_stream(Stream::None) {
            listener(end);
        }
    }

    fn swap_stream(&self, stream: Stream) -> Stream {
        let mut slot = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        mem::replace(&mut *slot, stream)
    }
}
