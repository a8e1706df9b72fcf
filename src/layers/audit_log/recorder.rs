//! Makes the one event of a request.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::{HeaderMap, HeaderValue, Method, Response};
use sha2::{Digest, Sha256};

use super::layer::Config;
use crate::{
    audit::{AuditDecision, AuditEvent},
    clock::UnixTime,
    error::Reason,
    mcp::{McpRequest, Operation, Target},
    reject::Rejection,
    token::VerifiedToken,
    trail::AuthTrail,
};

/// Records an event once: when the request is answered, fails, or is dropped.
pub(super) struct Recorder(Option<Started>);

struct Started {
    config: Arc<Config>,
    trail: AuthTrail,
    method: Method,
    session: Option<HeaderValue>,
    at: UnixTime,
    since: Instant,
}

/// How a request ended.
struct End {
    decision: AuditDecision,
    reason: Reason,
    status: Option<u16>,
    cancelled: bool,
}

impl Recorder {
    pub(super) fn start(
        config: Arc<Config>,
        trail: AuthTrail,
        method: &Method,
        headers: &HeaderMap,
    ) -> Self {
        Self(Some(Started {
            at: config.clock.now(),
            config,
            trail,
            method: method.clone(),
            session: headers.get("mcp-session-id").cloned(),
            since: Instant::now(),
        }))
    }

    /// The response is there.
    pub(super) fn answered<B>(mut self, response: &Response<B>) {
        let reason = response
            .extensions()
            .get::<Rejection>()
            .map_or(Reason::Ok, Rejection::reason);
        self.record(End {
            decision: decision(reason),
            reason,
            status: Some(response.status().as_u16()),
            cancelled: false,
        });
    }

    /// The service inside failed without a response.
    pub(super) fn failed(mut self) {
        self.record(End {
            decision: AuditDecision::Error,
            reason: Reason::UpstreamError,
            status: None,
            cancelled: false,
        });
    }

    fn record(&mut self, end: End) {
        if let Some(started) = self.0.take() {
            let sink = Arc::clone(&started.config.sink);
            sink.record(started.into_event(end));
        }
    }
}

impl Drop for Recorder {
    /// The client went away, or something inside panicked.
    fn drop(&mut self) {
        if self.0.is_none() {
            return;
        }
        let panicked = std::thread::panicking();
        self.record(End {
            decision: AuditDecision::Error,
            reason: if panicked { Reason::Internal } else { Reason::Ok },
            status: None,
            cancelled: !panicked,
        });
    }
}

/// A no of ours is a denial; what could not be found out, or broke, is an error.
const fn decision(reason: Reason) -> AuditDecision {
    match reason {
        Reason::Ok => AuditDecision::Allow,
        Reason::KeysUnavailable
        | Reason::StoreUnavailable
        | Reason::UpstreamError
        | Reason::LayerMissing
        | Reason::Internal => AuditDecision::Error,
        _ => AuditDecision::Deny,
    }
}

impl Started {
    fn into_event(self, end: End) -> AuditEvent {
        let trail = &self.trail;
        let request = trail.request();
        let token = trail.token();
        let principal = token.map(VerifiedToken::principal);
        let (action, tool) = self.asked();
        let operations = match request {
            Some(request) if request.is_batch() => request
                .messages()
                .iter()
                .map(|message| named(message.operation()))
                .collect(),
            _ => Vec::new(),
        };
        AuditEvent {
            timestamp: self.at,
            request_id: request_id(),
            user: principal.map(|principal| Arc::clone(principal.subject())),
            issuer: principal.map(|principal| Arc::clone(principal.issuer())),
            client_id: principal.and_then(|principal| principal.client_id().cloned()),
            client_claimed: request
                .and_then(McpRequest::client_claimed)
                .map(Into::into),
            action,
            tool,
            operations,
            decision: end.decision,
            reason: end.reason,
            status: end.status,
            required_scopes: trail.required().cloned().unwrap_or_default(),
            held_scopes: token.map(|token| token.scope().clone()).unwrap_or_default(),
            key_name: trail.key_name().cloned(),
            session: self.session.as_ref().map(fingerprint),
            revocation: trail.revocation().copied(),
            rate_limit: trail.rate_limit().copied(),
            total: self.since.elapsed(),
            upstream: trail.upstream_took(),
            cancelled: end.cancelled,
        }
    }

    /// What was asked; before a message was read, by which HTTP method.
    fn asked(&self) -> (Box<str>, Option<Box<str>>) {
        if let Some(action) = self.trail.action() {
            return ((*action).into(), None);
        }
        match self.trail.request() {
            Some(request) if request.is_batch() => ("batch".into(), None),
            Some(request) => match request.messages() {
                [message, ..] => named(message.operation()),
                [] => (self.method.as_str().into(), None),
            },
            None => (self.method.as_str().into(), None),
        }
    }
}

fn named(operation: &Operation) -> (Box<str>, Option<Box<str>>) {
    let target = operation.target().map(Target::name);
    (operation.method().into(), target.map(Into::into))
}

/// Unique in the log: a random half for the process, a counted one for the request.
fn request_id() -> Box<str> {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::LazyLock;

    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
    static REQUEST: AtomicU64 = AtomicU64::new(0);
    let request = REQUEST.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{request:016x}", *PROCESS).into()
}

/// The first 8 hexadecimal digits of the SHA-256 of a session id: enough to follow a session, and
/// nothing that could be sent in its place.
fn fingerprint(session: &HeaderValue) -> Box<str> {
    let digest = Sha256::digest(session.as_bytes());
    let mut text = String::with_capacity(8);
    for byte in digest.iter().take(4) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}
