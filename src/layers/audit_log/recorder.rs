//! Tells what happened to a request, once.

use std::{mem, sync::Arc, time::Instant};

use http::{Extensions, HeaderName, HeaderValue, Method, StatusCode};

use super::{
    event::{self, End},
    layer::Config,
};
use crate::{
    audit::AuditDecision,
    clock::UnixTime,
    error::Reason,
    reject::Rejection,
    trail::{AuthTrail, Facts},
};

pub(crate) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Tells what happened to a request, once: when it is answered, fails, or is dropped. Until it is
/// started nobody is told.
#[derive(Default)]
pub(crate) struct Recorder {
    /// `None`: nothing is told to a sink, or it was.
    started: Option<Started>,
    /// What is found out by who holds the recorder.
    pub(crate) facts: Facts,
    /// What is found out by others; where no sink is told, the one who wants to know.
    trail: Option<AuthTrail>,
}

/// What is known from the start.
pub(super) struct Started {
    pub(super) config: Arc<Config>,
    pub(super) method: Method,
    pub(super) session: Option<HeaderValue>,
    pub(super) at: UnixTime,
    pub(super) since: Instant,
}

impl Recorder {
    /// For a sink; `now` is the time of the system's clock, where it was read.
    #[inline]
    pub(crate) fn start(
        &mut self,
        config: Arc<Config>,
        method: &Method,
        session: Option<&HeaderValue>,
        now: Option<UnixTime>,
    ) {
        self.started = Some(Started {
            at: now
                .filter(|_| config.clock.is_none())
                .unwrap_or_else(|| config.now()),
            config,
            method: method.clone(),
            session: session.cloned(),
            since: Instant::now(),
        });
    }

    /// Lets an audit log outside know, if there is one.
    #[inline]
    pub(crate) fn tell(&mut self, trail: Option<&AuthTrail>) {
        self.trail = trail.cloned();
    }

    /// The trail for others.
    pub(crate) fn trail(&mut self) -> Option<&AuthTrail> {
        if self.started.is_some() {
            return Some(self.trail.get_or_insert_default());
        }
        self.trail.as_ref()
    }

    /// Whether anybody wants to know how long things take.
    #[inline]
    pub(crate) const fn is_heard(&self) -> bool {
        self.started.is_some() || self.trail.is_some()
    }

    /// The response is there, since `at` if that is known.
    #[inline]
    pub(crate) fn answered(
        &mut self,
        status: StatusCode,
        extensions: &Extensions,
        at: Option<Instant>,
    ) {
        let reason = extensions
            .get::<Rejection>()
            .map_or(Reason::Ok, Rejection::reason);
        self.end(End {
            decision: decision(reason, status),
            reason,
            status: Some(status.as_u16()),
            cancelled: false,
            at,
        });
    }

    /// The service inside failed without a response.
    pub(crate) fn failed(&mut self) {
        self.end(End {
            decision: AuditDecision::Error,
            reason: Reason::UpstreamError,
            status: None,
            cancelled: false,
            at: None,
        });
    }

    /// The client went away, or something inside panicked.
    fn left(&mut self) {
        // Whoever went away was not refused, and whether he would have been stays unknown.
        let panicked = std::thread::panicking();
        self.end(End {
            decision: AuditDecision::Error,
            reason: if panicked {
                Reason::Internal
            } else {
                Reason::Ok
            },
            status: None,
            cancelled: !panicked,
            at: None,
        });
    }

    #[inline]
    fn end(&mut self, end: End) {
        self.facts.end_upstream();
        match (self.started.take(), self.trail.take()) {
            (Some(started), trail) => {
                if let Some(trail) = &trail {
                    trail.join_into(&mut self.facts);
                }
                event::tell(started, &mut self.facts, trail, end);
            }
            (None, Some(trail)) => trail.join(mem::take(&mut self.facts)),
            (None, None) => {}
        }
    }
}

impl Drop for Recorder {
    #[inline]
    fn drop(&mut self) {
        if self.is_heard() {
            self.left();
        }
    }
}

/// Records a panic while it passes through: a layer outside that catches it may drop the future
/// long after, which would look like a client that went away.
pub(crate) struct Watch<'a, T: AsMut<Recorder>>(pub(crate) &'a mut T);

impl<T: AsMut<Recorder>> Drop for Watch<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let recorder = self.0.as_mut();
            if recorder.is_heard() {
                recorder.left();
            }
        }
    }
}

impl AsMut<Self> for Recorder {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

/// A no of ours is a denial; what could not be found out, or broke, is an error.
fn decision(reason: Reason, status: StatusCode) -> AuditDecision {
    match reason {
        Reason::Ok => AuditDecision::Allow,
        // The caller's own slowness is 408.
        Reason::Timeout if status == StatusCode::GATEWAY_TIMEOUT => AuditDecision::Error,
        Reason::KeysUnavailable
        | Reason::StoreUnavailable
        | Reason::UpstreamError
        | Reason::LayerMissing
        | Reason::Internal => AuditDecision::Error,
        _ => AuditDecision::Deny,
    }
}
