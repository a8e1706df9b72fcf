//! The event.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeSeq};

use crate::{
    audit::{
        RequestName, Text,
        text::{Harmless, capped},
        timestamp::Rfc3339,
    },
    clock::UnixTime,
    error::Reason,
    token::Scope,
};

/// Lists are cut off after so many elements.
pub(super) const MAX_ELEMENTS: usize = 256;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditDecision {
    /// It was let through.
    Allow,
    /// It was refused.
    Deny,
    /// Whether to let it through could not be found out, or what was let through failed.
    Error,
}

impl AuditDecision {
    /// The word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }
}

/// What became of the question whether the token was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditRevocation {
    /// It was not.
    Active,
    /// It was.
    Revoked,
    /// The store could not say, and the request passed because it was set so.
    Unchecked,
}

impl AuditRevocation {
    /// The word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Unchecked => "unchecked",
        }
    }
}

/// What the limits said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditRateLimit {
    /// There was enough.
    Ok,
    /// There was not enough.
    Limited,
    /// There was enough, by a local count that stood in for the shared one.
    Local,
}

impl AuditRateLimit {
    /// The word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Local => "local",
        }
    }
}

/// One message of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditOperation {
    pub(crate) action: Text,
    pub(crate) tool: Option<Text>,
}

impl AuditOperation {
    /// What was asked: the MCP method.
    #[must_use]
    pub fn action(&self) -> &str {
        self.action.as_str()
    }

    /// The tool, prompt or resource that it names.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.tool.as_ref().map(Text::as_str)
    }
}

/// What happened to one request: who asked for what, and what became of it.
///
/// It holds no token, no key and no arguments. Text that others wrote is cut off after 256
/// characters (`…` follows then), lists after 256 elements.
///
/// [`to_json`](Self::to_json) and `Serialize` give the fields in a fixed order. A field is never
/// left out; it is `null` where there is nothing to say. Fields may be added; the meaning of one
/// changes only with `v`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditEvent {
    #[serde(rename = "v", serialize_with = "version")]
    pub(crate) version: (),
    #[serde(serialize_with = "rfc3339")]
    pub(crate) timestamp: UnixTime,
    pub(crate) request_id: RequestName,
    pub(crate) user: Option<Text>,
    pub(crate) issuer: Option<Text>,
    pub(crate) client_id: Option<Text>,
    pub(crate) client_claimed: Option<Text>,
    pub(crate) action: Text,
    pub(crate) tool: Option<Text>,
    #[serde(serialize_with = "operations")]
    pub(crate) operations: Option<Vec<AuditOperation>>,
    pub(crate) decision: AuditDecision,
    #[serde(serialize_with = "reason")]
    pub(crate) reason: Reason,
    pub(crate) status: Option<u16>,
    #[serde(serialize_with = "scopes")]
    pub(crate) required_scopes: Scope,
    #[serde(serialize_with = "scopes")]
    pub(crate) held_scopes: Scope,
    pub(crate) key_name: Option<Text>,
    pub(crate) session: Option<Text>,
    pub(crate) revocation: Option<AuditRevocation>,
    pub(crate) rate_limit: Option<AuditRateLimit>,
    #[serde(rename = "total_ms", serialize_with = "millis")]
    pub(crate) total: Duration,
    #[serde(rename = "upstream_ms", serialize_with = "some_millis")]
    pub(crate) upstream: Option<Duration>,
    pub(crate) cancelled: bool,
}

impl AuditEvent {
    /// The version of the fields: `v`.
    pub const VERSION: u32 = 1;

    /// An event of a request of which nothing is known yet: an error of ours, until somebody says
    /// what became of it.
    pub(crate) const fn new(timestamp: UnixTime, request_id: RequestName, action: Text) -> Self {
        Self {
            version: (),
            timestamp,
            request_id,
            user: None,
            issuer: None,
            client_id: None,
            client_claimed: None,
            action,
            tool: None,
            operations: None,
            decision: AuditDecision::Error,
            reason: Reason::Internal,
            status: None,
            required_scopes: Scope::EMPTY,
            held_scopes: Scope::EMPTY,
            key_name: None,
            session: None,
            revocation: None,
            rate_limit: None,
            total: Duration::ZERO,
            upstream: None,
            cancelled: false,
        }
    }

    /// When the request came in; for `stream_end`, when the stream ended.
    #[must_use]
    pub const fn timestamp(&self) -> UnixTime {
        self.timestamp
    }

    /// A name for the request, made here.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.request_id.as_str()
    }

    /// The `sub` of the token.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_ref().map(Text::as_str)
    }

    /// The `iss` of the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_ref().map(Text::as_str)
    }

    /// The `client_id` of the token, else its `azp`.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_ref().map(Text::as_str)
    }

    /// What the client says it is (`clientInfo`). Anyone can claim anything.
    #[must_use]
    pub fn client_claimed(&self) -> Option<&str> {
        self.client_claimed.as_ref().map(Text::as_str)
    }

    /// What was asked: the MCP method, or `GET`, `DELETE`, `metadata`, `preflight`, `stream_end`.
    #[must_use]
    pub fn action(&self) -> &str {
        self.action.as_str()
    }

    /// The tool, prompt or resource that the request names.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.tool.as_ref().map(Text::as_str)
    }

    /// The messages of a batch; `None` where it was none.
    #[must_use]
    pub fn operations(&self) -> Option<&[AuditOperation]> {
        self.operations.as_deref()
    }

    /// How it ended.
    #[must_use]
    pub const fn decision(&self) -> AuditDecision {
        self.decision
    }

    /// Why it ended so.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The HTTP status; `None` where nobody was there any more to be answered.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.status
    }

    /// The scopes that were needed.
    #[must_use]
    pub const fn required_scopes(&self) -> &Scope {
        &self.required_scopes
    }

    /// The scopes of the token.
    #[must_use]
    pub const fn held_scopes(&self) -> &Scope {
        &self.held_scopes
    }

    /// The name of the upstream key that was injected.
    #[must_use]
    pub fn key_name(&self) -> Option<&str> {
        self.key_name.as_ref().map(Text::as_str)
    }

    /// The first 8 hex digits of the SHA-256 of the session id.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_ref().map(Text::as_str)
    }

    /// What became of the question whether the token was revoked; `None` where it was not asked.
    #[must_use]
    pub const fn revocation(&self) -> Option<AuditRevocation> {
        self.revocation
    }

    /// What the limits said; `None` where they were not asked.
    #[must_use]
    pub const fn rate_limit(&self) -> Option<AuditRateLimit> {
        self.rate_limit
    }

    /// How long the request took until its response began; for `stream_end`, until the stream ended.
    #[must_use]
    pub const fn total(&self) -> Duration {
        self.total
    }

    /// How long of that the service behind took; `None` where it was not asked.
    #[must_use]
    pub const fn upstream(&self) -> Option<Duration> {
        self.upstream
    }

    /// Whether the client went away before it was answered; for `stream_end`, before the stream ended.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The event as one line of JSON, without the newline. Every character that can forge a line or
    /// turn the order of what is shown around is escaped: controls (U+0000 to U+001F, U+007F to
    /// U+009F), line and paragraph separators, controls of direction.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut line = Vec::with_capacity(512);
        self.write_json(&mut line);
        String::from_utf8(line).unwrap_or_default()
    }

    pub(super) fn write_json(&self, line: &mut Vec<u8>) {
        let mut serializer = serde_json::Serializer::with_formatter(line, Harmless);
        // To memory, with string keys only: there is nothing that can fail.
        let _ = self.serialize(&mut serializer);
    }
}

fn version<S: Serializer>((): &(), serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(AuditEvent::VERSION)
}

fn rfc3339<S: Serializer>(at: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Rfc3339(*at))
}

fn reason<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.as_str())
}

fn scopes<S: Serializer>(scopes: &Scope, serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(None)?;
    for scope in scopes.iter().take(MAX_ELEMENTS) {
        list.serialize_element(&capped(scope.as_str()))?;
    }
    list.end()
}

fn operations<S: Serializer>(
    operations: &Option<Vec<AuditOperation>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match operations {
        None => serializer.serialize_none(),
        Some(all) => serializer.collect_seq(all.iter().take(MAX_ELEMENTS)),
    }
}

/// Milliseconds with the microseconds behind the point.
fn millis<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    serializer.serialize_f64(f64::from(micros) / 1000.0)
}

fn some_millis<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        None => serializer.serialize_none(),
        Some(time) => millis(time, serializer),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
pub(super) mod tests {
    use super::*;

    pub(in crate::audit) fn event(decision: AuditDecision, user: &str) -> AuditEvent {
        let mut event = AuditEvent::new(
            UnixTime::from_nanos(1_700_000_000_123_456_789),
            RequestName::new(1, 0x2f),
            Text::from_static("tools/call"),
        );
        event.decision = decision;
        event.user = Some(Text::new(user));
        event
    }

    #[test]
    fn every_field_is_there_in_order() {
        let mut full = event(AuditDecision::Deny, "alice");
        assert_eq!(
            full.to_json(),
            r#"{"v":1,"timestamp":"2023-11-14T22:13:20.123456Z","request_id":"0000000000000001000000000000002f","user":"alice","issuer":null,"client_id":null,"client_claimed":null,"action":"tools/call","tool":null,"operations":null,"decision":"deny","reason":"internal","status":null,"required_scopes":[],"held_scopes":[],"key_name":null,"session":null,"revocation":null,"rate_limit":null,"total_ms":0.0,"upstream_ms":null,"cancelled":false}"#
        );
        full.issuer = Some(Text::new("https://i"));
        full.client_id = Some(Text::new("app"));
        full.client_claimed = Some(Text::new("inspector/1"));
        full.tool = Some(Text::new("put\u{2028}\u{202e}note"));
        full.operations = Some(vec![AuditOperation {
            action: Text::from_static("tools/call"),
            tool: None,
        }]);
        full.reason = Reason::InsufficientScope;
        full.status = Some(403);
        full.required_scopes = Scope::from_claim("write:data");
        full.held_scopes = Scope::from_claim("read:data profile");
        full.key_name = Some(Text::new("ro"));
        full.session = Some(Text::new("0a1b2c3d"));
        full.revocation = Some(AuditRevocation::Active);
        full.rate_limit = Some(AuditRateLimit::Local);
        full.total = Duration::from_nanos(1_234_567);
        full.upstream = Some(Duration::from_micros(1_000));
        full.cancelled = true;
        assert_eq!(
            full.to_json(),
            r#"{"v":1,"timestamp":"2023-11-14T22:13:20.123456Z","request_id":"0000000000000001000000000000002f","user":"alice","issuer":"https://i","client_id":"app","client_claimed":"inspector/1","action":"tools/call","tool":"put\u2028\u202enote","operations":[{"action":"tools/call","tool":null}],"decision":"deny","reason":"insufficient_scope","status":403,"required_scopes":["write:data"],"held_scopes":["read:data","profile"],"key_name":"ro","session":"0a1b2c3d","revocation":"active","rate_limit":"local","total_ms":1.234,"upstream_ms":1.0,"cancelled":true}"#
        );
    }

    #[test]
    fn lists_and_times_are_bounded() {
        let mut event = event(AuditDecision::Allow, "alice");
        event.held_scopes = (0..300)
            .filter_map(|i| format!("s{i}").parse().ok())
            .collect();
        event.required_scopes = Scope::from_claim(&"x".repeat(1000));
        event.total = Duration::MAX;
        let json: serde_json::Value = serde_json::from_str(&event.to_json()).unwrap_or_default();
        assert_eq!(json["held_scopes"].as_array().map(Vec::len), Some(256));
        let required = json["required_scopes"][0].as_str().unwrap_or_default();
        assert_eq!(required.chars().count(), 257);
        assert_eq!(json["total_ms"].as_f64(), Some(4_294_967.295));
    }
}
