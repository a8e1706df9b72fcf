//! Events for the assertions of a test.

use tokio::sync::watch;

use crate::audit::{AuditEvent, AuditSink};

/// Keeps every event, for a test to look at. Put it behind an [`Arc`](std::sync::Arc), and give the
/// layer a clone.
///
/// ```
/// use std::sync::Arc;
/// use mcp_auth::{AuditSink, RecordingSink};
///
/// let sink = Arc::new(RecordingSink::new());
/// let for_the_layer: Arc<dyn AuditSink> = sink.clone();
/// assert!(sink.events().is_empty());
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct RecordingSink {
    events: watch::Sender<Vec<AuditEvent>>,
}

impl RecordingSink {
    /// A sink without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// The events so far, the oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<AuditEvent> {
        self.events.borrow().clone()
    }

    /// Waits until there are at least `n` events, and gives all of them. It waits for ever: put a
    /// timeout around it where they may not come.
    pub async fn wait_for(&self, n: usize) -> Vec<AuditEvent> {
        let mut events = self.events.subscribe();
        match events.wait_for(|events| events.len() >= n).await {
            Ok(events) => events.clone(),
            // The sender lives as long as `self`.
            Err(_) => self.events(),
        }
    }
}

impl AuditSink for RecordingSink {
    fn record(&self, event: AuditEvent) {
        self.events.send_modify(|events| events.push(event));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audit::{AuditDecision, event::tests::event};

    #[tokio::test]
    async fn waits_for_events_and_gives_all_of_them() {
        let sink = Arc::new(RecordingSink::new());
        sink.record(event(AuditDecision::Allow, "one"));
        let waiting = tokio::spawn({
            let sink = Arc::clone(&sink);
            async move { sink.wait_for(2).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        sink.record(event(AuditDecision::Deny, "two"));
        let events = waiting.await.unwrap_or_default();
        let users: Vec<_> = events.iter().map(AuditEvent::user).collect();
        assert_eq!(users, [Some("one"), Some("two")]);
        assert_eq!(sink.events(), events);
    }
}
