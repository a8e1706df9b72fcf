//! The event.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    audit::{
        AuditDecision, AuditRateLimit, AuditRevocation, Caller, RequestName, Text,
        text::{Harmless, capped},
        timestamp::Rfc3339,
    },
    clock::UnixTime,
    error::Reason,
    token::Scope,
};

/// Lists are cut off after so many elements.
pub(crate) const MAX_ELEMENTS: usize = 256;

/// One message of a batch, or one of the things that a subscription is for.
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
/// It shows no token, no key and no arguments; the claims of the caller's token stay in memory as long
/// as it does. Text that others wrote is cut off after 256 characters (`…` follows then), lists after
/// 256 elements.
///
/// [`to_json`](Self::to_json) and `Serialize` give the fields in a fixed order. A field is never
/// left out; it is `null` where there is nothing to say. Fields may be added; the meaning of one
/// changes only with `v`. One event, broken here into lines:
///
/// ```json
/// {"v":1,"timestamp":"2023-11-14T22:13:20.123456Z","request_id":"0000000000000001000000000000002f",
/// "user":"alice","issuer":"https://i","client_id":"app","client_claimed":"inspector/1",
/// "action":"tools/call","tool":"put_note","operations":null,"decision":"deny",
/// "reason":"insufficient_scope","status":403,"required_scopes":["read:data","write:data"],
/// "held_scopes":["read:data"],"key_name":null,"session":"0a1b2c3d","revocation":"active",
/// "rate_limit":null,"total_ms":0.413,"upstream_ms":null,"cancelled":false}
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    pub(crate) timestamp: UnixTime,
    pub(crate) request_id: RequestName,
    pub(crate) caller: Caller,
    pub(crate) client_claimed: Option<Text>,
    pub(crate) action: Text,
    pub(crate) tool: Option<Text>,
    pub(crate) operations: Option<Vec<AuditOperation>>,
    pub(crate) decision: AuditDecision,
    pub(crate) reason: Reason,
    pub(crate) status: Option<u16>,
    pub(crate) required_scopes: Scope,
    pub(crate) key_name: Option<Text>,
    pub(crate) session: Option<Text>,
    pub(crate) revocation: Option<AuditRevocation>,
    pub(crate) rate_limit: Option<AuditRateLimit>,
    pub(crate) total: Duration,
    pub(crate) upstream: Option<Duration>,
    pub(crate) cancelled: bool,
}

impl AuditEvent {
    /// The version of the fields: `v`.
    pub const VERSION: u32 = 1;

    /// When the request came in; for `stream_end`, when the stream ended.
    #[must_use]
    pub const fn timestamp(&self) -> UnixTime {
        self.timestamp
    }

    /// A name for the request, made here.
    #[must_use]
    pub const fn request_id(&self) -> RequestName {
        self.request_id
    }

    /// The `sub` of the token.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.caller.user()
    }

    /// The `iss` of the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.caller.issuer()
    }

    /// The `client_id` of the token, else its `azp`.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.caller.client_id()
    }

    /// What the client says it is (`clientInfo`). Anyone can claim anything.
    #[must_use]
    pub fn client_claimed(&self) -> Option<&str> {
        self.client_claimed.as_ref().map(Text::as_str)
    }

    /// What was asked: the MCP method (`response` for a client's answer to the server), `batch`, or
    /// `GET`, `DELETE`, `metadata`, `preflight`, `stream_end`. Of a request that was refused before its
    /// message was read it is the HTTP method, such as `POST`, or `other` for one of other letters.
    #[must_use]
    pub fn action(&self) -> &str {
        self.action.as_str()
    }

    /// The tool, prompt or resource that the request names.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.tool.as_ref().map(Text::as_str)
    }

    /// The messages of a batch, and all that a subscription is for, up to 256; `None` where it was no
    /// batch, and one thing at most was asked for.
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
    pub fn held_scopes(&self) -> &Scope {
        self.caller.scope()
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

    /// How long of that the service behind took; `None` where it was not asked. Of single layers,
    /// [`KeyMapLayer`](crate::KeyMapLayer) tells it.
    #[must_use]
    pub const fn upstream(&self) -> Option<Duration> {
        self.upstream
    }

    /// Whether it was dropped before it was answered, or, for `stream_end`, before the stream ended:
    /// the client went away, or this side shut down.
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

impl Serialize for AuditEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let operations = self.operations().map(|all| all.iter().take(MAX_ELEMENTS));
        let mut line = serializer.serialize_struct("AuditEvent", 22)?;
        line.serialize_field("v", &Self::VERSION)?;
        line.serialize_field("timestamp", &Rfc3339(self.timestamp))?;
        line.serialize_field("request_id", &self.request_id)?;
        line.serialize_field("user", &self.user())?;
        line.serialize_field("issuer", &self.issuer())?;
        line.serialize_field("client_id", &self.client_id())?;
        line.serialize_field("client_claimed", &self.client_claimed())?;
        line.serialize_field("action", self.action())?;
        line.serialize_field("tool", &self.tool())?;
        line.serialize_field("operations", &operations.map(List))?;
        line.serialize_field("decision", self.decision.as_str())?;
        line.serialize_field("reason", self.reason.as_str())?;
        line.serialize_field("status", &self.status)?;
        line.serialize_field("required_scopes", &scopes(self.required_scopes()))?;
        line.serialize_field("held_scopes", &scopes(self.held_scopes()))?;
        line.serialize_field("key_name", &self.key_name())?;
        line.serialize_field("session", &self.session())?;
        line.serialize_field("revocation", &self.revocation.map(AuditRevocation::as_str))?;
        line.serialize_field("rate_limit", &self.rate_limit.map(AuditRateLimit::as_str))?;
        line.serialize_field("total_ms", &millis(self.total))?;
        line.serialize_field("upstream_ms", &self.upstream.map(millis))?;
        line.serialize_field("cancelled", &self.cancelled)?;
        line.end()
    }
}

/// What it gives, as a list.
struct List<I>(I);

impl<I: Clone + Iterator<Item: Serialize>> Serialize for List<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

fn scopes(scopes: &Scope) -> impl Serialize {
    List(
        scopes
            .iter()
            .take(MAX_ELEMENTS)
            .map(|scope| capped(scope.as_str())),
    )
}

/// Milliseconds with the microseconds behind the point. A stream may last for days.
fn millis(time: Duration) -> f64 {
    let secs = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    // Whole microseconds, each of which a float of this size can tell from the next.
    let micros = f64::from(secs) * 1_000_000.0 + f64::from(time.subsec_micros());
    micros / 1000.0
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::expect_used, clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::token::{Claims, VerifiedToken};

    pub(in crate::audit) fn caller(user: &str, more: &str) -> Caller {
        let user = serde_json::Value::from(user);
        let json = format!(r#"{{"iss":"https://i","sub":{user},"exp":1{more}}}"#);
        let claims = Claims::from_json(&json).expect("claims");
        Caller::of(VerifiedToken::assertion(claims))
    }

    pub(in crate::audit) fn event(decision: AuditDecision, user: &str) -> AuditEvent {
        AuditEvent {
            timestamp: UnixTime::from_nanos(1_700_000_000_123_456_789),
            request_id: RequestName::new(1, 0x2f),
            caller: caller(user, ""),
            client_claimed: None,
            action: Text::from_static("tools/call"),
            tool: None,
            operations: None,
            decision,
            reason: Reason::Internal,
            status: None,
            required_scopes: Scope::EMPTY,
            key_name: None,
            session: None,
            revocation: None,
            rate_limit: None,
            total: Duration::ZERO,
            upstream: None,
            cancelled: false,
        }
    }

    #[test]
    fn every_field_is_there_in_order() {
        let mut full = event(AuditDecision::Deny, "alice");
        assert_eq!(
            full.to_json(),
            r#"{"v":1,"timestamp":"2023-11-14T22:13:20.123456Z","request_id":"0000000000000001000000000000002f","user":"alice","issuer":"https://i","client_id":null,"client_claimed":null,"action":"tools/call","tool":null,"operations":null,"decision":"deny","reason":"internal","status":null,"required_scopes":[],"held_scopes":[],"key_name":null,"session":null,"revocation":null,"rate_limit":null,"total_ms":0.0,"upstream_ms":null,"cancelled":false}"#
        );
        full.caller = caller("alice", r#","client_id":"app","scope":"read:data profile""#);
        full.client_claimed = Some(Text::new("inspector/1"));
        full.tool = Some(Text::new("put\u{2028}\u{202e}note"));
        full.operations = Some(vec![AuditOperation {
            action: Text::from_static("tools/call"),
            tool: None,
        }]);
        full.reason = Reason::InsufficientScope;
        full.status = Some(403);
        full.required_scopes = Scope::from_claim("write:data");
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
    fn the_event_in_the_docs_is_one() {
        let mut shown = event(AuditDecision::Deny, "alice");
        shown.caller = caller("alice", r#","client_id":"app","scope":"read:data""#);
        shown.client_claimed = Some(Text::new("inspector/1"));
        shown.tool = Some(Text::new("put_note"));
        shown.reason = Reason::InsufficientScope;
        shown.status = Some(403);
        shown.required_scopes = Scope::from_claim("read:data write:data");
        shown.session = Some(Text::new("0a1b2c3d"));
        shown.revocation = Some(AuditRevocation::Active);
        shown.total = Duration::from_micros(413);
        let (_, docs) = include_str!("event.rs")
            .split_once("/// ```json\n")
            .unwrap();
        let (lines, _) = docs.split_once("/// ```\n").unwrap();
        let line: String = lines
            .lines()
            .filter_map(|it| it.strip_prefix("/// "))
            .collect();
        assert_eq!(line, shown.to_json());
    }

    #[test]
    fn lists_and_times_are_bounded() {
        let mut event = event(AuditDecision::Allow, "alice");
        let held: Vec<_> = (0..300).map(|i| format!("s{i}")).collect();
        event.caller = caller("alice", &format!(r#","scope":"{}""#, held.join(" ")));
        event.required_scopes = Scope::from_claim(&"x".repeat(1000));
        event.total = Duration::MAX;
        let json: serde_json::Value = serde_json::from_str(&event.to_json()).unwrap_or_default();
        assert_eq!(json["held_scopes"].as_array().map(Vec::len), Some(256));
        let required = json["required_scopes"][0].as_str().unwrap_or_default();
        assert_eq!(required.chars().count(), 257);
        assert_eq!(json["total_ms"].as_f64(), Some(4_294_967_295_999.999));
    }

    #[test]
    fn a_stream_of_a_working_day_is_timed_to_its_end() {
        let mut event = event(AuditDecision::Allow, "alice");
        event.total = Duration::new(8 * 60 * 60, 1_234_567);
        assert!(event.to_json().contains(r#""total_ms":28800001.234,"#));
    }
}
