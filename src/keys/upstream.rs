//! The keys that the service behind understands.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

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
    /// The secret as a header value, marked sensitive, so that injecting it allocates nothing. Wiped
    /// as the secret is, when the last request with it is gone.
    value: HeaderValue,
}

impl UpstreamKey {
    /// A key with the name that stands for it in the audit log.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the key is empty, begins or ends with white space, or cannot stand in a
    /// header otherwise (RFC 9110 section 5.5). The message names the key, never its value.
    pub fn new(name: impl Into<Arc<str>>, key: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        let secret = Secret::new(key.into());
        // Nobody behind sees white space around a value: the key that is read there is another one.
        let is_whole = secret.expose().trim_matches([' ', '\t']) == secret.expose();
        let wiped = Zeroizing::new(secret.expose().clone().into_bytes());
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(wiped))
            .ok()
            .filter(|value| is_whole && !value.is_empty() && value.to_str().is_ok())
            .ok_or_else(|| {
                ConfigError::new(format!(
                    "the key {name:?} is empty, has white space around it, or cannot stand in a header"
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
    pub fn name(&self) -> &str {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_behind_would_see_is_refused() {
        for key in ["", " ", "\t", " k", "k ", "k\t", "k\n", "a\nb", "caf\u{e9}"] {
            let error = UpstreamKey::new("ro", key).unwrap_err().to_string();
            assert_eq!(
                error,
                "the key \"ro\" is empty, has white space around it, or cannot stand in a header"
            );
        }
        assert!(UpstreamKey::new("ro", "a b").is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_of_a_key_is_left_in_memory() {
        use std::os::unix::fs::FileExt;

        let key = UpstreamKey::new("ro", "S3CR3T-".repeat(600)).unwrap();
        let copies = [
            key.secret().expose().as_ptr(),
            key.header_value().as_bytes().as_ptr(),
        ];
        let copies = copies.map(|copy| copy as u64);
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let left = |copy: u64| {
            let mut bytes = vec![0; 2000];
            // Memory that was given back cannot be read.
            let _ = memory.read_exact_at(&mut bytes, copy + 1000);
            bytes.windows(7).filter(|it| *it == b"S3CR3T-").count()
        };
        let sent = key.header_value().clone();
        assert!(left(copies[0]) > 0 && left(copies[1]) > 0);
        drop(key);
        assert_eq!(left(copies[0]), 0);
        drop(sent);
        assert_eq!(left(copies[1]), 0);
    }
}
