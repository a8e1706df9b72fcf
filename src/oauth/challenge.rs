//! The `WWW-Authenticate` header (RFC 6750 section 3, RFC 9728 section 5.1).

use std::{fmt, sync::Arc};

use http::HeaderValue;

use crate::{oauth::ResourceMetadata, token::Scope};

/// An error code of RFC 6750 section 3.1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ErrorCode {
    /// The request is malformed: 400.
    InvalidRequest,
    /// The token is expired, revoked, malformed or meant for somebody else: 401.
    InvalidToken,
    /// The token would need more scopes: 403.
    InsufficientScope,
}

impl ErrorCode {
    /// The code as it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

/// OpenID Connect Core 1.0 section 11.
const OFFLINE_ACCESS: &str = "offline_access";

/// One challenge: a single header line, `Bearer` first, in the order `error`, `scope`,
/// `resource_metadata`, `error_description`.
///
/// Clients find the parameters by searching the line, so the description, which is the only free
/// text, comes last.
#[derive(Debug)]
pub(crate) struct Challenge {
    error: Option<ErrorCode>,
    scope: Scope,
    resource_metadata: Option<Arc<str>>,
    description: Option<&'static str>,
}

impl Challenge {
    /// A challenge that says nothing yet.
    const fn new() -> Self {
        Self {
            error: None,
            scope: Scope::EMPTY,
            resource_metadata: None,
            description: None,
        }
    }

    /// Adds `error`. It is left out where the request carried no credentials.
    const fn with_error(mut self, error: ErrorCode) -> Self {
        self.error = Some(error);
        self
    }

    /// Adds `scope`, unless there is none. `offline_access` is left out: whether a client may have
    /// a refresh token is between it and the authorization server.
    fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = if scope.contains(OFFLINE_ACCESS) {
            let others = scope.iter().filter(|one| one.as_str() != OFFLINE_ACCESS);
            others.cloned().collect()
        } else {
            scope
        };
        self
    }

    /// Adds `error_description`: a fixed sentence. Characters that clients stumble over (`=`, `"`,
    /// `\` and all outside of printable ASCII) are left out.
    const fn with_description(mut self, description: &'static str) -> Self {
        self.description = Some(description);
        self
    }

    /// The value of the header.
    pub(crate) fn to_header_value(&self) -> HeaderValue {
        // Scopes, URLs and descriptions hold nothing that a header could not; should that ever
        // change, the challenge shrinks to what every client understands.
        HeaderValue::from_str(&self.to_string()).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")?;
        let mut separator = " ";
        let mut parameter = |f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display| {
            write!(f, "{separator}{name}=\"{value}\"")?;
            separator = ", ";
            // Other crates may add conversions into `fmt::Error`.
            Ok::<(), fmt::Error>(())
        };
        if let Some(error) = self.error {
            parameter(f, "error", &error.as_str())?;
        }
        if !self.scope.is_empty() {
            parameter(f, "scope", &self.scope)?;
        }
        if let Some(url) = &self.resource_metadata {
            parameter(f, "resource_metadata", url)?;
        }
        if let Some(description) = self.description {
            parameter(f, "error_description", &Plain(description))?;
        }
        // A bare `Bearer` is no challenge to some clients.
        if separator == " " {
            f.write_str(" realm=\"mcp\"")?;
        }
        Ok(())
    }
}

/// A description without the characters that clients stumble over.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .filter(|char| matches!(char, ' '..='~') && !matches!(char, '=' | '"' | '\\'))
            .try_for_each(|char| fmt::Write::write_char(f, char))
    }
}

/// What all challenges of one resource have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenger {
    resource_metadata: Option<Arc<str>>,
    base: Scope,
}

impl Challenger {
    pub(crate) fn set_metadata(&mut self, metadata: &ResourceMetadata) {
        self.resource_metadata = Some(metadata.url().into());
    }

    pub(crate) fn set_base(&mut self, base: Scope) {
        self.base = base;
    }

    fn challenge(&self) -> Challenge {
        Challenge {
            resource_metadata: self.resource_metadata.clone(),
            ..Challenge::new()
        }
    }

    /// The request carried no credentials: no `error` (RFC 6750 section 3.1).
    pub(crate) fn no_credentials(&self) -> Challenge {
        self.challenge().with_scope(self.base.clone())
    }

    pub(crate) fn invalid_token(&self, description: &'static str) -> Challenge {
        self.challenge()
            .with_error(ErrorCode::InvalidToken)
            .with_scope(self.base.clone())
            .with_description(description)
    }

    pub(crate) fn invalid_request(&self, description: &'static str) -> Challenge {
        self.challenge()
            .with_error(ErrorCode::InvalidRequest)
            .with_description(description)
    }

    pub(crate) fn insufficient_scope(&self, scope: Scope) -> Challenge {
        self.challenge()
            .with_error(ErrorCode::InsufficientScope)
            .with_scope(scope)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn challenger() -> Challenger {
        let mut challenger = Challenger::default();
        challenger.set_metadata(
            &ResourceMetadata::new("https://h/mcp", ["https://idp.example"]).unwrap(),
        );
        challenger.set_base("base".parse().unwrap());
        challenger
    }

    #[test]
    fn each_answer_has_its_line() {
        let url = "https://h/.well-known/oauth-protected-resource/mcp";
        let challenger = challenger();
        assert_eq!(
            challenger.no_credentials().to_string(),
            format!(r#"Bearer scope="base", resource_metadata="{url}""#)
        );
        assert_eq!(
            challenger
                .invalid_token("The access token expired")
                .to_string(),
            format!(
                r#"Bearer error="invalid_token", scope="base", resource_metadata="{url}", error_description="The access token expired""#
            )
        );
        assert_eq!(
            challenger
                .insufficient_scope("a b".parse().unwrap())
                .to_string(),
            format!(r#"Bearer error="insufficient_scope", scope="a b", resource_metadata="{url}""#)
        );
    }

    #[test]
    fn a_description_holds_nothing_that_clients_take_for_a_parameter() {
        let challenge = Challenge::new().with_description("need scope=\"evil\\\"\u{7}x\u{e9}");
        assert_eq!(
            challenge.to_string(),
            r#"Bearer error_description="need scopeevilx""#
        );
    }

    #[test]
    fn a_challenge_is_never_bare() {
        assert_eq!(Challenge::new().to_string(), r#"Bearer realm="mcp""#);
    }
}
