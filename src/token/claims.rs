//! What a token says: its claims set, read once and strictly.

use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;

use crate::{
    clock::UnixTime,
    error::Reason,
    token::{Principal, Scope},
};

/// The claims of an access token (RFC 7519 section 4, RFC 9068 section 2.2).
///
/// `iss`, `sub` and `exp` are there and of their type; what else is there has its type. That says
/// nothing yet of signature, audience and time: a [`VerifiedToken`](crate::VerifiedToken) does.
#[derive(Clone)]
pub struct Claims {
    principal: Principal,
    audience: Vec<Box<str>>,
    expires_at: UnixTime,
    not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
    jwt_id: Option<Arc<str>>,
    session_id: Option<Arc<str>>,
    scope: Scope,
    json: Box<str>,
}

impl Claims {
    /// Reads a claims set: one JSON object in strict UTF-8, of bounded depth, no member twice at any
    /// level, nothing after it.
    ///
    /// # Errors
    ///
    /// [`Reason::InvalidToken`] where it is no such object, or a registered claim is missing or of
    /// the wrong type; [`Reason::WrongType`] where the claims are those of another kind of token.
    pub fn from_json(json: &str) -> Result<Self, Reason> {
        let _ = json;
        todo!()
    }

    /// Who is calling.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// `aud`: whom the token is for. Never empty after verification.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().map(AsRef::as_ref)
    }

    /// `exp`: from this instant on (plus leeway) the token is refused.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// `nbf`: before this instant (less leeway) the token is refused.
    #[must_use]
    pub const fn not_before(&self) -> Option<UnixTime> {
        self.not_before
    }

    /// `iat`: when the token was made.
    #[must_use]
    pub const fn issued_at(&self) -> Option<UnixTime> {
        self.issued_at
    }

    /// `jti`: the token's own name.
    #[must_use]
    pub const fn jwt_id(&self) -> Option<&Arc<str>> {
        self.jwt_id.as_ref()
    }

    /// `sid`: the session at the issuer in which the token was made.
    #[must_use]
    pub const fn session_id(&self) -> Option<&Arc<str>> {
        self.session_id.as_ref()
    }

    /// What the token allows: `scope` and `scp`, and the claim that the validator was told to read.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether the claim at `path` (`realm_access.roles`) equals `value`, or is an array with an
    /// element that does.
    #[must_use]
    pub fn has(&self, path: &str, value: &str) -> bool {
        let _ = (path, value);
        todo!()
    }

    /// All claims, read into a type of yours.
    ///
    /// # Errors
    ///
    /// [`Reason::InvalidToken`] where the claims do not fit the type.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Reason> {
        serde_json::from_str(&self.json).map_err(|_| Reason::InvalidToken)
    }
}

/// Shows who is calling and until when, not what else the issuer said of them.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("principal", &self.principal)
            .field("expires_at", &self.expires_at)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
