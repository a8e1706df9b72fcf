//! Claims for tests.

use std::time::Duration;

use crate::{
    clock::{Clock, SystemClock, UnixTime},
    token::{Claims, TokenError, VerifiedToken},
};

/// How long a token lives, unless said otherwise.
const LIFETIME: Duration = Duration::from_secs(300);

/// Makes the claims of an access token (RFC 9068 section 2.2), right ones and wrong ones. No keys
/// are needed.
///
/// It begins as the user `alice` of `https://idp.example.com`, behind the client `client-1`, with a
/// token for `https://mcp.example.com/mcp` that was made now and lives five minutes.
///
/// ```
/// use mcp_auth::testing::ClaimsBuilder;
///
/// let token = ClaimsBuilder::new()
///     .subject("bob")
///     .scope("read:data")
///     .claim("realm_access", r#"{"roles":["editor"]}"#)
///     .to_verified()?;
/// assert_eq!(token.principal().subject(), "bob");
/// assert!(token.scope().contains("read:data"));
/// assert!(token.claims().has("realm_access.roles", "editor"));
/// # Ok::<(), mcp_auth::TokenError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ClaimsBuilder {
    members: Vec<(String, String)>,
}

impl Default for ClaimsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ClaimsBuilder {
    /// Claims that are good now, by the system's clock.
    pub fn new() -> Self {
        Self {
            members: Vec::new(),
        }
        .issuer("https://idp.example.com")
        .subject("alice")
        .audience("https://mcp.example.com/mcp")
        .client_id("client-1")
        .made_at(SystemClock.now())
    }

    /// `iss`.
    pub fn issuer(self, issuer: &str) -> Self {
        self.text("iss", issuer)
    }

    /// `sub`.
    pub fn subject(self, subject: &str) -> Self {
        self.text("sub", subject)
    }

    /// `aud`, as one string.
    pub fn audience(self, audience: &str) -> Self {
        self.text("aud", audience)
    }

    /// `client_id`.
    pub fn client_id(self, client_id: &str) -> Self {
        self.text("client_id", client_id)
    }

    /// `scope`: scopes separated by spaces.
    pub fn scope(self, scope: &str) -> Self {
        self.text("scope", scope)
    }

    /// `jti`.
    pub fn jwt_id(self, jwt_id: &str) -> Self {
        self.text("jti", jwt_id)
    }

    /// `sid`.
    pub fn session_id(self, session_id: &str) -> Self {
        self.text("sid", session_id)
    }

    /// `iat` at `now`, and `exp` five minutes later.
    pub fn made_at(self, now: UnixTime) -> Self {
        self.issued_at(now).expires_at(now.saturating_add(LIFETIME))
    }

    /// `iat`, in whole seconds.
    pub fn issued_at(self, at: UnixTime) -> Self {
        self.claim("iat", &at.as_secs().to_string())
    }

    /// `exp`, in whole seconds.
    pub fn expires_at(self, at: UnixTime) -> Self {
        self.claim("exp", &at.as_secs().to_string())
    }

    /// `nbf`, in whole seconds.
    pub fn not_before(self, at: UnixTime) -> Self {
        self.claim("nbf", &at.as_secs().to_string())
    }

    /// Any claim, its value as JSON text; what was there under the name is replaced. The text is
    /// taken as it is, so that wrong claims can be made too.
    pub fn claim(mut self, name: &str, json: &str) -> Self {
        match self.members.iter_mut().find(|(own, _)| own == name) {
            Some((_, value)) => json.clone_into(value),
            None => self.members.push((name.to_owned(), json.to_owned())),
        }
        self
    }

    /// Leaves a claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.members.retain(|(own, _)| own != name);
        self
    }

    fn text(self, name: &str, value: &str) -> Self {
        self.claim(name, &quoted(value))
    }

    /// The claims set as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let members: Vec<String> = self
            .members
            .iter()
            .map(|(name, value)| format!("{}:{value}", quoted(name)))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// The claims as they are read from a token.
    ///
    /// # Errors
    ///
    /// The [`TokenError`] with which a token of such claims is refused, whatever its signature.
    pub fn to_claims(&self) -> Result<Claims, TokenError> {
        Claims::from_json(&self.to_json())
    }

    /// The claims as if they had been verified.
    ///
    /// # Errors
    ///
    /// As [`ClaimsBuilder::to_claims`].
    pub fn to_verified(&self) -> Result<VerifiedToken, TokenError> {
        self.to_claims().map(VerifiedToken::assertion)
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Reason;

    #[test]
    fn claims_are_written_in_their_order_replaced_and_left_out() {
        let claims = ClaimsBuilder::new()
            .made_at(UnixTime::from_secs(1000))
            .subject("a\"b")
            .claim("n", "[1]")
            .without("client_id");
        assert_eq!(
            claims.to_json(),
            r#"{"iss":"https://idp.example.com","sub":"a\"b","aud":"https://mcp.example.com/mcp","iat":1000,"exp":1300,"n":[1]}"#
        );
        let read = claims.to_claims().unwrap();
        assert_eq!(read.principal().subject(), "a\"b");
        assert_eq!(read.expires_at(), UnixTime::from_secs(1300));
    }

    #[test]
    fn wrong_claims_are_refused_as_a_token_is() {
        let wrong = ClaimsBuilder::new().claim("exp", "\"soon\"");
        let refused = wrong.to_claims().unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidToken);
    }
}
