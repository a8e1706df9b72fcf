//! Makes the one event of a request.

use std::{cell::Cell, fmt::Write, iter::once, time::Instant};

use http::{HeaderValue, Method};
use sha2::{Digest, Sha256};

use super::recorder::Started;
use crate::{
    audit::{AuditDecision, AuditEvent, AuditOperation, Caller, MAX_ELEMENTS, RequestName, Text},
    clock::UnixTime,
    error::Reason,
    mcp::{McpRequest, Message, Operation, Target},
    trail::{AuthTrail, Facts, StreamEnd},
};

/// How a request ended.
pub(super) struct End {
    pub(super) decision: AuditDecision,
    pub(super) reason: Reason,
    pub(super) status: Option<u16>,
    pub(super) cancelled: bool,
    /// When, if not now.
    pub(super) at: Option<Instant>,
}

/// Tells the sink; where a guarded stream is the answer, and passed, once more when that ends.
pub(super) fn tell(started: Started, facts: &mut Facts, trail: Option<AuthTrail>, end: End) {
    let passed = end.decision == AuditDecision::Allow;
    let Some(trail) = trail.filter(|_| passed && facts.has_stream()) else {
        // Made where the sink takes it: an event is large.
        return started.config.sink.record(started.event(facts, &end));
    };
    let event = started.event(facts, &end);
    let Started { config, since, .. } = started;
    config.sink.record(event.clone());
    trail.on_stream_end(move |end| {
        let event = stream_end(event, end, since, config.now());
        config.sink.record(event);
    });
}

/// The second event of a request whose answer is a guarded stream: of the same request, at its end.
fn stream_end(mut event: AuditEvent, end: StreamEnd, since: Instant, now: UnixTime) -> AuditEvent {
    event.timestamp = now;
    event.action = Text::from_static("stream_end");
    event.decision = match end.reason {
        Reason::Ok => AuditDecision::Allow,
        Reason::StoreUnavailable | Reason::UpstreamError | Reason::Internal => AuditDecision::Error,
        _ => AuditDecision::Deny,
    };
    event.reason = end.reason;
    event.revocation = end.revocation.or(event.revocation);
    event.total = since.elapsed();
    event.cancelled = end.cancelled;
    event
}

impl Started {
    fn event(&self, facts: &mut Facts, end: &End) -> AuditEvent {
        let (action, tool) = self.asked(facts);
        let request = facts.request.as_ref();
        AuditEvent {
            timestamp: self.at,
            request_id: request_id(),
            caller: facts.token.take().map_or(Caller::Unknown, Caller::of),
            client_claimed: request.and_then(McpRequest::client_claimed).map(Text::new),
            action,
            tool,
            operations: request.and_then(operations),
            decision: end.decision,
            reason: end.reason,
            status: end.status,
            required_scopes: facts.required.take().unwrap_or_default(),
            key_name: facts.key_name.take(),
            session: self.session.as_ref().map(fingerprint),
            revocation: facts.revocation,
            rate_limit: facts.rate_limit,
            total: end.at.map_or_else(
                || self.since.elapsed(),
                |at| at.saturating_duration_since(self.since),
            ),
            upstream: facts.upstream,
            cancelled: end.cancelled,
        }
    }

    /// What was asked; before a message was read, by which HTTP method.
    fn asked(&self, facts: &Facts) -> (Text, Option<Text>) {
        if let Some(action) = facts.action {
            return (Text::from_static(action), None);
        }
        match &facts.request {
            Some(request) if request.is_batch() => (Text::from_static("batch"), None),
            Some(request) => match request.messages() {
                [message, ..] => named(message.operation()),
                [] => (http_method(&self.method), None),
            },
            None => (http_method(&self.method), None),
        }
    }
}

/// What is asked for one by one, where that is or may be more than one thing.
fn operations(request: &McpRequest) -> Option<Vec<AuditOperation>> {
    let asked = || request.messages().iter().map(Message::operation);
    if !request.is_batch() && asked().all(|operation| operation.targets().len() < 2) {
        return None;
    }
    let one_by_one = asked().flat_map(|operation| {
        let others = operation.targets().iter().skip(1).map(Some);
        let each = once(operation.target()).chain(others);
        each.map(|target| AuditOperation {
            action: operation.shared_method().clone().into(),
            tool: target.map(|it| it.target_name().into()),
        })
    });
    Some(one_by_one.take(MAX_ELEMENTS).collect())
}

fn named(operation: &Operation) -> (Text, Option<Text>) {
    let target = operation.target().map(Target::target_name);
    let method = operation.shared_method().clone();
    (method.into(), target.map(Into::into))
}

/// The method of HTTP. One with other letters could pass for a method of MCP, or a word of ours.
fn http_method(method: &Method) -> Text {
    let is_upper = method.as_str().bytes().all(|it| it.is_ascii_uppercase());
    Text::new(if is_upper { method.as_str() } else { "other" })
}

/// Unique in the log: a random half for the thread, and one that it counts. Threads that counted
/// together would wait for each other.
fn request_id() -> RequestName {
    use std::hash::{BuildHasher, RandomState};

    thread_local! {
        static NEXT: Cell<(u64, u64)> = Cell::new((RandomState::new().hash_one(0), 0));
    }
    let (thread, request) = NEXT.get();
    NEXT.set((thread, request.wrapping_add(1)));
    RequestName::new(thread, request)
}

/// The first 8 hexadecimal digits of the SHA-256 of a session id: enough to follow a session, and
/// nothing that could be sent in its place.
fn fingerprint(session: &HeaderValue) -> Text {
    let digest = Sha256::digest(session.as_bytes());
    let mut text = String::with_capacity(8);
    for byte in digest.iter().take(4) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Text::new(&text)
}
