//! Where events go.

use std::{fmt, sync::Arc};

use crate::audit::AuditEvent;

/// Takes the events of the audit log, one a request.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use mcp_auth::{AuditDecision, AuditEvent, AuditSink};
///
/// /// Counts refusals, for a metric.
/// #[derive(Debug, Default)]
/// struct Refusals(AtomicU64);
///
/// impl AuditSink for Refusals {
///     fn record(&self, event: AuditEvent) {
///         if event.decision() == AuditDecision::Deny {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Takes an event in. It stands in the way of the request: it must not block, wait or panic.
    /// What cannot be kept is dropped, and counted.
    fn record(&self, event: AuditEvent);
}

impl<S: AuditSink + ?Sized> AuditSink for Arc<S> {
    fn record(&self, event: AuditEvent) {
        (**self).record(event);
    }
}

/// A sink made of a closure. It must not block, wait or panic.
///
/// ```
/// use mcp_auth::audit_sink_fn;
///
/// let (events, later) = std::sync::mpsc::channel();
/// let sink = audit_sink_fn(move |event| {
///     // Nobody listens any more at shutdown: then there is nothing to do.
///     let _ = events.send(event.to_json());
/// });
/// # let _: &dyn mcp_auth::AuditSink = &sink;
/// # drop(later);
/// ```
pub const fn audit_sink_fn<F>(record: F) -> AuditSinkFn<F>
where
    F: Fn(AuditEvent) + Send + Sync,
{
    AuditSinkFn { record }
}

/// What [`audit_sink_fn`] makes.
#[derive(Clone, Copy)]
#[must_use]
pub struct AuditSinkFn<F> {
    record: F,
}

impl<F> fmt::Debug for AuditSinkFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditSinkFn").finish_non_exhaustive()
    }
}

impl<F> AuditSink for AuditSinkFn<F>
where
    F: Fn(AuditEvent) + Send + Sync,
{
    fn record(&self, event: AuditEvent) {
        (self.record)(event);
    }
}
