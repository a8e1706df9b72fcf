//! Why a message was not read.

use std::{error::Error, fmt};

use crate::{error::Reason, mcp::RequestId};

/// Why the messages of a request were refused: answered 400 with a JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageError {
    kind: Kind,
    id: Option<RequestId>,
    message: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NotJson,
    InvalidRequest,
    InvalidParams,
    HeaderMismatch,
}

impl MessageError {
    pub(super) const fn not_json() -> Self {
        Self::new(Kind::NotJson, "The body is not JSON")
    }

    pub(super) const fn invalid_request(message: &'static str) -> Self {
        Self::new(Kind::InvalidRequest, message)
    }

    pub(super) const fn invalid_params(message: &'static str) -> Self {
        Self::new(Kind::InvalidParams, message)
    }

    pub(super) const fn header_mismatch(message: &'static str) -> Self {
        Self::new(Kind::HeaderMismatch, message)
    }

    const fn new(kind: Kind, message: &'static str) -> Self {
        Self {
            kind,
            id: None,
            message,
        }
    }

    pub(super) fn with_id(self, id: Option<RequestId>) -> Self {
        Self { id, ..self }
    }

    /// The word for the audit event: [`Reason::HeaderMismatch`] or [`Reason::MalformedMessage`].
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self.kind {
            Kind::HeaderMismatch => Reason::HeaderMismatch,
            _ => Reason::MalformedMessage,
        }
    }

    /// The JSON-RPC error code: -32700 (no JSON), -32600 (no message that everyone reads alike),
    /// -32602 (parameters) or -32020 (a mirrored header).
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self.kind {
            Kind::NotJson => -32700,
            Kind::InvalidRequest => -32600,
            Kind::InvalidParams => -32602,
            Kind::HeaderMismatch => -32020,
        }
    }

    /// The `id` to answer with, where the message had one and only one.
    #[must_use]
    pub const fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// A sentence for the caller. It repeats nothing of what was sent.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        self.message
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl Error for MessageError {}
