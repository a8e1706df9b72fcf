//! What every layer that refuses is told, and what it looks for in a request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{Extensions, Response};

use crate::{
    clock::{Clock, SystemClock, UnixTime},
    error::{StoreError, in_full},
    mcp::McpRequest,
    oauth::{Challenger, ResourceMetadata},
    outage::Seldom,
    reject::{JsonReject, Reject, RejectBody, Rejection},
    token::VerifiedToken,
    trail::AuthTrail,
};

/// The settings that the refusing layers share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Common {
    clock: Option<Arc<dyn Clock>>,
    pub(crate) challenger: Challenger,
    reject: Option<Arc<dyn Reject>>,
    /// Whether a missing layer was logged.
    complained: Arc<AtomicBool>,
    /// When it was logged that the layer's store failed.
    failures: Seldom,
}

impl Common {
    pub(crate) fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        self.clock = Some(clock);
    }

    pub(crate) fn set_reject(&mut self, reject: Arc<dyn Reject>) {
        self.reject = Some(reject);
    }

    pub(crate) fn set_metadata(&mut self, metadata: &ResourceMetadata) {
        self.challenger.set_metadata(metadata);
    }

    #[inline]
    pub(crate) fn now(&self) -> UnixTime {
        match &self.clock {
            Some(clock) => clock.now(),
            None => SystemClock.now(),
        }
    }

    /// The time, where a layer outside has just read it from the system's clock.
    #[inline]
    pub(crate) fn now_or(&self, read: UnixTime) -> UnixTime {
        match &self.clock {
            Some(clock) => clock.now(),
            None => read,
        }
    }

    #[inline]
    pub(crate) fn respond<B: RejectBody>(&self, rejection: Rejection) -> Response<B> {
        match &self.reject {
            Some(reject) => rejection.into_response_by(reject),
            None => rejection.into_response_by(&JsonReject),
        }
    }

    /// The caller, whom a layer in front of `this` one verified.
    #[inline]
    pub(crate) fn caller<'a>(
        &self,
        extensions: &'a Extensions,
        this: &str,
    ) -> Result<&'a VerifiedToken, Rejection> {
        token(extensions).ok_or_else(|| self.layer_missing(this, "JwtValidateLayer"))
    }

    /// The caller, and what is asked, which a layer in front of `this` one read.
    #[inline]
    pub(crate) fn caller_and_request<'a>(
        &self,
        extensions: &'a Extensions,
        this: &str,
    ) -> Result<(&'a VerifiedToken, &'a McpRequest), Rejection> {
        let token = self.caller(extensions, this)?;
        let asked = extensions.get();
        let asked = asked.ok_or_else(|| self.layer_missing(this, "McpRequestLayer"))?;
        Ok((token, asked))
    }

    /// Logs what the layer's store could not do, and why.
    pub(crate) fn store_failed(&self, error: &StoreError, what: &'static str) {
        if self.failures.is_due() {
            tracing::warn!(error = in_full(error), "{what}");
        }
    }

    /// Refuses because `this` layer stands without the one it needs; the way to mend it is logged,
    /// once.
    pub(crate) fn layer_missing(&self, this: &str, needs: &str) -> Rejection {
        if !self.complained.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "{this} needs {needs}: add {needs} outside of {this}; every request is refused until then"
            );
        }
        Rejection::layer_missing()
    }
}

/// The caller, whom a layer in front verified.
#[inline]
pub(crate) fn token(extensions: &Extensions) -> Option<&VerifiedToken> {
    extensions.get()
}

/// The trail, where an audit log stands in front. It knows the caller, whoever verified the token.
#[inline]
pub(crate) fn trail(extensions: &Extensions) -> Option<&AuthTrail> {
    let trail = extensions.get::<AuthTrail>()?;
    if trail.token().is_none()
        && let Some(token) = token(extensions)
    {
        trail.set_token(token);
    }
    Some(trail)
}

/// The settings of a layer's `Common`, as its users see them.
macro_rules! common_settings {
    () => {
        /// Reads the time from `clock` instead of the system's.
        pub fn with_clock(mut self, clock: impl $crate::Clock + 'static) -> Self {
            self.config.common.set_clock(std::sync::Arc::new(clock));
            self
        }

        /// Shapes the bodies of refusals.
        pub fn with_reject(mut self, reject: impl $crate::Reject + 'static) -> Self {
            self.config.common.set_reject(std::sync::Arc::new(reject));
            self
        }
    };
    (with metadata) => {
        $crate::layers::shared::common_settings!();

        /// Tells clients, in every challenge, where they find the authorization server (RFC 9728
        /// section 5.1).
        pub fn with_metadata(mut self, metadata: &$crate::ResourceMetadata) -> Self {
            self.config.common.set_metadata(metadata);
            self
        }
    };
}
pub(crate) use common_settings;
