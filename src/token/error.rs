//! Why a token was refused.

use std::{error::Error, fmt};

use crate::error::Reason;

/// Why a token was refused: a reason for the log, and a fixed sentence for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenError {
    reason: Reason,
}

impl TokenError {
    pub(crate) const fn new(reason: Reason) -> Self {
        Self { reason }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// A sentence that may stand in `error_description` (RFC 6750 section 3).
    #[must_use]
    pub const fn description(&self) -> &'static str {
        match self.reason {
            Reason::Expired => "The access token expired",
            Reason::NotYetValid => "The access token is not valid yet",
            Reason::WrongIssuer => "The access token is from an issuer that is not trusted here",
            Reason::WrongAudience => "The access token is meant for another resource",
            Reason::WrongType => "The token is not a plain access token",
            Reason::BadSignature => "The signature of the access token does not verify",
            Reason::UnknownKey => "The access token was signed with an unknown key",
            _ => "The access token is malformed or not acceptable here",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

impl Error for TokenError {}
