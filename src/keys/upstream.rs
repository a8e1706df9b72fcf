//! The keys that the service behind understands.

use std::{fmt, sync::Arc};

use http::HeaderValue;

use crate::{
    error::ConfigError,
    mcp::McpRequest,
    policy::{Grant, Granted},
    secret::Secret,
    token::VerifiedToken,
};

/// What an upstream key is asked for with: who calls, what is asked, and by which scopes it was
/// granted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UpstreamKeyId(Known);

/// What is known when the key is asked for.
#[derive(Clone, Debug)]
enum Known {
    Granted(Granted),
    Caller {
        token: VerifiedToken,
        request: Option<McpRequest>,
        grant: Option<Grant>,
    },
}

impl UpstreamKeyId {
    /// An id for a caller, with what the layers in front found out.
    #[must_use]
    pub const fn new(
        token: VerifiedToken,
        request: Option<McpRequest>,
        grant: Option<Grant>,
    ) -> Self {
        Self(Known::Caller {
            token,
            request,
            grant,
        })
    }

    /// An id for what was granted, without clones of its parts.
    pub(crate) const fn of(granted: Granted) -> Self {
        Self(Known::Granted(granted))
    }

    /// What the id was made of, if it was [`of`](Self::of) that.
    pub(crate) fn into_granted(self) -> Option<Granted> {
        match self.0 {
            Known::Granted(granted) => Some(granted),
            Known::Caller { .. } => None,
        }
    }

    /// Who is calling.
    #[must_use]
    pub const fn token(&self) -> &VerifiedToken {
        match &self.0 {
            Known::Granted(granted) => granted.token(),
            Known::Caller { token, .. } => token,
        }
    }

    /// What is asked for; `None` where no [`McpRequestLayer`](crate::McpRequestLayer) stands in
    /// front.
    #[must_use]
    pub const fn request(&self) -> Option<&McpRequest> {
        match &self.0 {
            Known::Granted(granted) => Some(granted.request()),
            Known::Caller { request, .. } => request.as_ref(),
        }
    }

    /// By which scopes it was granted; `None` where no [`ScopeGuardLayer`](crate::ScopeGuardLayer)
    /// stands in front.
    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        match &self.0 {
            Known::Granted(granted) => Some(granted.grant()),
            Known::Caller { grant, .. } => grant.as_ref(),
        }
    }
}

/// A key to inject, under a name that may be logged. Cheap to clone.
#[derive(Clone)]
pub struct UpstreamKey(Arc<Parts>);

struct Parts {
    name: Arc<str>,
    secret: Secret<String>,
    /// The secret as a header value, marked sensitive, so that injecting it allocates nothing.
    value: HeaderValue,
}

impl UpstreamKey {
    /// A key with the name that stands for it in the audit log.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the key is empty or cannot stand in a header (RFC 9110 section 5.5).
    /// The message names the key, never its value.
    pub fn new(name: impl Into<Arc<str>>, key: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        let secret = Secret::new(key.into());
        let mut value = HeaderValue::from_str(secret.expose())
            .ok()
            .filter(|value| !value.is_empty() && value.to_str().is_ok())
            .ok_or_else(|| {
                ConfigError::new(format!(
                    "the key {name:?} is empty or cannot stand in a header"
                ))
            })?;
        value.set_sensitive(true);
        Ok(Self(Arc::new(Parts {
            name,
            secret,
            value,
        })))
    }

    /// The name that stands for the key in the audit log.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The key itself.
    #[must_use]
    pub fn secret(&self) -> &Secret<String> {
        &self.0.secret
    }

    pub(crate) fn header_value(&self) -> &HeaderValue {
        &self.0.value
    }
}

impl fmt::Debug for UpstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamKey")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
