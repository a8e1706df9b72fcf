//! Why something was refused, could not be configured, or could not be found out.

use std::{borrow::Cow, error::Error, fmt, sync::Arc};

/// Why a request ended as it did: a closed list, the same words in the audit log, in metrics and
/// in code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing was refused.
    Ok,
    /// The request carried no bearer token.
    NoToken,
    /// Credentials were repeated, malformed or sent in the wrong place.
    MalformedRequest,
    /// The token is not a well-formed access token.
    InvalidToken,
    /// The token's `exp` has passed.
    Expired,
    /// The token's `nbf` or `iat` lies ahead.
    NotYetValid,
    /// The token's `iss` is not one that is trusted here.
    WrongIssuer,
    /// The token was issued for another resource.
    WrongAudience,
    /// The token is of another kind: an ID token, a logout token, a proof, a bound token.
    WrongType,
    /// The signature does not verify.
    BadSignature,
    /// No key of the issuer belongs to the token's `kid`.
    UnknownKey,
    /// The token, its session, its client or its subject was revoked.
    Revoked,
    /// The token lacks a scope.
    InsufficientScope,
    /// The policy says no, and no scope would change that.
    Denied,
    /// The method does not exist in the revision of the request.
    UnknownMethod,
    /// No upstream key is mapped to the caller.
    NoKey,
    /// A limit was reached.
    RateLimited,
    /// The issuer's keys could not be had.
    KeysUnavailable,
    /// A store could not answer.
    StoreUnavailable,
    /// The session is unknown, or another principal's.
    SessionMismatch,
    /// The `Origin` is not allowed.
    OriginDenied,
    /// The `Host` is not allowed.
    HostDenied,
    /// A mirrored header is missing, repeated, malformed or differs from the body.
    HeaderMismatch,
    /// The body is not one JSON-RPC message that every parser reads alike.
    MalformedMessage,
    /// The body is larger than allowed.
    TooLarge,
    /// The body is not plain JSON.
    UnsupportedMedia,
    /// The HTTP method is not one of MCP's.
    MethodNotAllowed,
    /// The body, or the upstream's answer, took too long.
    Timeout,
    /// The upstream could not be reached, broke, or refused the injected key.
    UpstreamError,
    /// A layer that this one needs is missing in front of it.
    LayerMissing,
    /// A fault of ours.
    Internal,
}

impl Reason {
    /// The word for logs, metrics and the audit event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoToken => "no_token",
            Self::MalformedRequest => "malformed_request",
            Self::InvalidToken => "invalid_token",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::WrongType => "wrong_type",
            Self::BadSignature => "bad_signature",
            Self::UnknownKey => "unknown_key",
            Self::Revoked => "revoked",
            Self::InsufficientScope => "insufficient_scope",
            Self::Denied => "denied",
            Self::UnknownMethod => "unknown_method",
            Self::NoKey => "no_key",
            Self::RateLimited => "rate_limited",
            Self::KeysUnavailable => "keys_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::SessionMismatch => "session_mismatch",
            Self::OriginDenied => "origin_denied",
            Self::HostDenied => "host_denied",
            Self::HeaderMismatch => "header_mismatch",
            Self::MalformedMessage => "malformed_message",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Timeout => "timeout",
            Self::UpstreamError => "upstream_error",
            Self::LayerMissing => "layer_missing",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A setting that cannot be: said once, when it is made, in one sentence that names the setting
/// and never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: Cow<'static, str>,
}

impl ConfigError {
    /// An error with a sentence for the operator.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ConfigError {}

/// A store could not find out: the request is answered 503, never 401.
///
/// The message and the source go to logs, never to the caller.
#[derive(Clone, Debug)]
pub struct StoreError {
    message: Cow<'static, str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error with a sentence for the operator.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// The same with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An error with its causes, as text for a log: a text is escaped there, an error is not. What
/// repeats its cause is said once.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut last = error.to_string();
    let mut text = last.clone();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if said != last {
            text.push_str(": ");
            text.push_str(&said);
        }
        last = said;
        source = cause.source();
    }
    text
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
