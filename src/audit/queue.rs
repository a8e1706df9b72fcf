//! Events that wait to be written.

use std::collections::VecDeque;

use crate::audit::{AuditDecision, AuditEvent};

/// A bounded queue that loses what was allowed before what was not. Events are numbered in the
/// order in which they came, and leave in that order.
pub(super) struct Queue {
    allowed: VecDeque<(u64, AuditEvent)>,
    others: VecDeque<(u64, AuditEvent)>,
    next: u64,
    capacity: usize,
}

impl Queue {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            allowed: VecDeque::new(),
            others: VecDeque::new(),
            next: 0,
            capacity,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.allowed.len() + self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number that the next event will have.
    pub(super) const fn next_number(&self) -> u64 {
        self.next
    }

    /// The number of the event that waits longest, or that the next one will have.
    pub(super) fn first_number(&self) -> u64 {
        let fronts = [self.allowed.front(), self.others.front()];
        let numbers = fronts.into_iter().flatten().map(|(number, _)| *number);
        numbers.min().unwrap_or(self.next)
    }

    /// Takes an event in. Where there is no room, gives the one that is lost: the oldest that was
    /// allowed, else the new one.
    pub(super) fn push(&mut self, event: AuditEvent) -> Option<AuditEvent> {
        let mut lost = None;
        if self.len() >= self.capacity {
            match self.allowed.pop_front() {
                Some((_, oldest)) => lost = Some(oldest),
                None => return Some(event),
            }
        }
        let queue = if event.decision() == AuditDecision::Allow {
            &mut self.allowed
        } else {
            &mut self.others
        };
        queue.push_back((self.next, event));
        self.next += 1;
        lost
    }

    /// The events that wait longest, at most `n` of them.
    pub(super) fn take(&mut self, n: usize) -> Vec<AuditEvent> {
        let mut taken = Vec::with_capacity(n.min(self.len()));
        while taken.len() < n {
            let is_allowed = match (self.allowed.front(), self.others.front()) {
                (Some((one, _)), Some((other, _))) => one < other,
                (one, _) => one.is_some(),
            };
            let queue = if is_allowed {
                &mut self.allowed
            } else {
                &mut self.others
            };
            match queue.pop_front() {
                Some((_, event)) => taken.push(event),
                None => break,
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::event::tests::event;

    #[test]
    fn loses_the_oldest_that_was_allowed_first_and_denials_last() {
        use AuditDecision::{Allow, Deny, Error};

        let mut queue = Queue::new(3);
        let mut lost = Vec::new();
        for (user, decision) in [
            ("1", Deny),
            ("2", Allow),
            ("3", Allow),
            ("4", Allow),
            ("5", Error),
            ("6", Deny),
            ("7", Deny),
            ("8", Allow),
        ] {
            let gone = queue.push(event(decision, user));
            lost.extend(gone.and_then(|event| event.user().map(ToOwned::to_owned)));
        }
        assert_eq!(lost, ["2", "3", "4", "7", "8"]);
        assert_eq!((queue.first_number(), queue.next_number()), (0, 6));
        let users = |events: Vec<AuditEvent>| -> Vec<String> {
            let users = events.iter().filter_map(AuditEvent::user);
            users.map(ToOwned::to_owned).collect()
        };
        assert_eq!(users(queue.take(2)), ["1", "5"]);
        assert_eq!(queue.first_number(), 5);
        assert_eq!(users(queue.take(9)), ["6"]);
        assert_eq!((queue.first_number(), queue.is_empty()), (6, true));
    }
}
