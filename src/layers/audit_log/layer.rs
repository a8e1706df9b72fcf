use std::sync::Arc;

use tower_layer::Layer;

use super::AuditLogService;
use crate::{
    audit::AuditSink,
    clock::{Clock, SystemClock, UnixTime},
};

/// Tells a sink what happened to every request. See the [module docs](crate::layers::audit_log).
#[derive(Clone, Debug)]
#[must_use]
pub struct AuditLogLayer {
    pub(crate) config: Config,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(super) sink: Arc<dyn AuditSink>,
    pub(super) clock: Option<Arc<dyn Clock>>,
}

impl Config {
    pub(super) fn now(&self) -> UnixTime {
        match &self.clock {
            Some(clock) => clock.now(),
            None => SystemClock.now(),
        }
    }
}

impl AuditLogLayer {
    /// Tells `sink`.
    pub fn new(sink: impl AuditSink + 'static) -> Self {
        Self {
            config: Config {
                sink: Arc::new(sink),
                clock: None,
            },
        }
    }

    /// Reads the time from `clock` instead of the system's.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.config.clock = Some(Arc::new(clock));
        self
    }
}

impl<S> Layer<S> for AuditLogLayer {
    type Service = AuditLogService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuditLogService::new(inner, self.config.clone())
    }
}
