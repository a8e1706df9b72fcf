//! Events for whoever subscribes to `tracing`.

use std::borrow::Cow;

use crate::audit::{
    AuditDecision, AuditEvent, AuditRateLimit, AuditRevocation, AuditSink,
    text::{capped, harmless},
    timestamp::Rfc3339,
};

/// Gives each event to `tracing`, under the target `mcp_auth::audit`, with the fields of the audit
/// log side by side: at level `INFO` what was allowed, at `WARN` what was not.
///
/// Lists are joined by spaces, a field of which there is nothing to say is left out, and what can
/// forge a line is escaped. Whether an event is kept is up to the subscriber that is in force where
/// it is recorded.
///
/// ```
/// use mcp_auth::{AuditSink, TracingSink};
///
/// let sink: Box<dyn AuditSink> = Box::new(TracingSink);
/// ```
#[derive(Clone, Copy, Debug, Default)]
// A unit struct for good: it has nothing to set.
#[allow(clippy::exhaustive_structs)]
pub struct TracingSink;

macro_rules! event {
    ($level:expr, $event:ident) => {
        tracing::event!(
            target: "mcp_auth::audit",
            $level,
            v = AuditEvent::VERSION,
            timestamp = %Rfc3339($event.timestamp()),
            request_id = &*$event.request_id().to_string(),
            user = some($event.user()).as_deref(),
            issuer = some($event.issuer()).as_deref(),
            client_id = some($event.client_id()).as_deref(),
            client_claimed = some($event.client_claimed()).as_deref(),
            action = &*harmless($event.action()),
            tool = some($event.tool()).as_deref(),
            operations = operations($event).as_deref(),
            decision = $event.decision().as_str(),
            reason = $event.reason().as_str(),
            status = $event.status(),
            required_scopes = &*joined($event.required_scopes().iter()),
            held_scopes = &*joined($event.held_scopes().iter()),
            key_name = some($event.key_name()).as_deref(),
            session = some($event.session()).as_deref(),
            revocation = $event.revocation().map(AuditRevocation::as_str),
            rate_limit = $event.rate_limit().map(AuditRateLimit::as_str),
            total_ms = $event.total().as_secs_f64() * 1000.0,
            upstream_ms = $event.upstream().map(|time| time.as_secs_f64() * 1000.0),
            cancelled = $event.is_cancelled(),
        )
    };
}

impl AuditSink for TracingSink {
    fn record(&self, event: AuditEvent) {
        let event = &event;
        if event.decision() == AuditDecision::Allow {
            event!(tracing::Level::INFO, event);
        } else {
            event!(tracing::Level::WARN, event);
        }
    }
}

fn some(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(harmless)
}

fn joined(words: impl Iterator<Item = impl AsRef<str>>) -> String {
    let words = words.take(super::event::MAX_ELEMENTS);
    let words: Vec<String> = words
        .map(|word| capped(word.as_ref()).into_owned())
        .collect();
    words.join(" ")
}

fn operations(event: &AuditEvent) -> Option<String> {
    let words = event.operations()?.iter();
    let words = words
        .flat_map(|it| [Some(it.action()), it.tool()])
        .flatten();
    Some(harmless(&joined(words)).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::audit::{
        Text,
        event::tests::{caller, event},
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn fields_are_flat_and_harmless() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let mut denied = event(AuditDecision::Deny, "alice\n\u{202e}");
            denied.status = Some(403);
            denied.caller = caller("alice\n\u{202e}", r#","scope":"read:data profile""#);
            denied.tool = Some(Text::new("put_note"));
            TracingSink.record(denied);
            TracingSink.record(event(AuditDecision::Allow, "bob"));
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                r#" WARN mcp_auth::audit: v=1 timestamp=2023-11-14T22:13:20.123456Z request_id="0000000000000001000000000000002f" user="alice\\u000a\\u202e" issuer="https://i" action="tools/call" tool="put_note" decision="deny" reason="internal" status=403 required_scopes="" held_scopes="read:data profile" total_ms=0.0 cancelled=false"#,
                r#" INFO mcp_auth::audit: v=1 timestamp=2023-11-14T22:13:20.123456Z request_id="0000000000000001000000000000002f" user="bob" issuer="https://i" action="tools/call" decision="allow" reason="internal" required_scopes="" held_scopes="" total_ms=0.0 cancelled=false"#,
            ]
        );
    }
}
