//! What happened, once per request.

mod caller;
mod event;
mod json_lines;
mod lines;
mod name;
mod outcome;
mod queue;
#[cfg(feature = "test-util")]
mod recording;
mod sink;
mod text;
mod timestamp;
mod tracing_sink;

#[cfg(feature = "test-util")]
pub use self::recording::RecordingSink;
pub(crate) use self::{caller::Caller, event::MAX_ELEMENTS, text::Text};
pub use self::{
    event::{AuditEvent, AuditOperation},
    json_lines::JsonLinesSink,
    name::RequestName,
    outcome::{AuditDecision, AuditRateLimit, AuditRevocation},
    sink::{AuditSink, AuditSinkFn, audit_sink_fn},
    tracing_sink::TracingSink,
};
