//! The words for what was decided.

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditDecision {
    /// It was let through. What the service inside made of it, or a layer of yours that says no by
    /// itself, tells the status alone.
    Allow,
    /// It was refused.
    Deny,
    /// Whether to let it through could not be found out, or what was let through failed.
    Error,
}

impl AuditDecision {
    /// The word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }
}

/// What became of the question whether the token was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditRevocation {
    /// It was not.
    Active,
    /// It was.
    Revoked,
    /// The store could not say: the request was refused, or the stream ended; where it was set so,
    /// it went on.
    Unchecked,
}

impl AuditRevocation {
    /// The word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Unchecked => "unchecked",
        }
    }

    /// How much it says of a request: of what several stores said, the log shows the gravest.
    pub(crate) const fn gravity(self) -> u8 {
        match self {
            Self::Active => 0,
            Self::Unchecked => 1,
            Self::Revoked => 2,
        }
    }
}

/// What the limits said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditRateLimit {
    /// There was enough.
    Ok,
    /// There was not enough.
    Limited,
    /// There was enough, by a local count that stood in for the shared one.
    Local,
}

impl AuditRateLimit {
    /// The word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Local => "local",
        }
    }

    /// How much it says of a request: of what several limits said, the log shows the gravest.
    pub(crate) const fn gravity(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Local => 1,
            Self::Limited => 2,
        }
    }
}
