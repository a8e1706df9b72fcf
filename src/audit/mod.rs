//! What happened, once per request.

mod event;
mod json_lines;
mod name;
mod queue;
#[cfg(feature = "test-util")]
mod recording;
mod sink;
mod text;
mod timestamp;
mod tracing_sink;

#[cfg(feature = "test-util")]
pub use self::recording::RecordingSink;
pub use self::{
    event::{AuditDecision, AuditEvent, AuditOperation, AuditRateLimit, AuditRevocation},
    json_lines::JsonLinesSink,
    sink::{AuditSink, AuditSinkFn, audit_sink_fn},
    tracing_sink::TracingSink,
};
pub(crate) use self::{name::RequestName, text::Text};
