//! What one HTTP request asks for.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::mcp::{Operation, ProtocolVersion};

/// The `id` of a JSON-RPC request: the JSON text as it stood in the message, a string or a number.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(Id);

/// Most are short, and need no allocation.
#[derive(Clone, PartialEq, Eq)]
enum Id {
    Short(Short),
    Long(Box<str>),
}

/// The text, filled up with zeros, which no JSON text holds. It is moved word by word: in other
/// pieces, each move waits for the one before.
#[derive(Clone, PartialEq, Eq)]
#[repr(align(8))]
struct Short([u8; 24]);

impl RequestId {
    pub(crate) fn from_json(json: &str) -> Self {
        let mut short = Short([0; 24]);
        Self(match short.0.get_mut(..json.len()) {
            Some(place) => {
                place.copy_from_slice(json.as_bytes());
                Id::Short(short)
            }
            None => Id::Long(json.into()),
        })
    }

    /// The JSON text: `1` or `"a"`.
    #[must_use]
    pub fn as_json(&self) -> &str {
        match &self.0 {
            Id::Short(Short(text)) => {
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                str::from_utf8(text).unwrap_or_default()
            }
            Id::Long(text) => text,
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestId").field(&self.as_json()).finish()
    }
}

/// What kind of JSON-RPC message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// It has a method and an `id`.
    Request,
    /// It has a method and no `id`. It is judged like a request: a server may run it.
    Notification,
    /// It answers a request of the server (older revisions).
    Response,
}

/// One JSON-RPC message: an operation, and what is needed to answer it.
#[derive(Clone, Debug)]
pub struct Message {
    pub(crate) operation: Operation,
    pub(crate) kind: MessageKind,
    pub(crate) id: Option<RequestId>,
    /// Where `params.arguments` stands in the body.
    pub(crate) arguments: Option<Range<usize>>,
}

impl Message {
    /// What is asked for.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Request, notification or response.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The `id` to answer with.
    #[must_use]
    pub const fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }
}

/// What one HTTP request asks for: its messages, its revision, and the very bytes that were read.
///
/// [`McpRequestLayer`](crate::McpRequestLayer) puts it into the request's extensions. Cheap to
/// clone.
#[derive(Clone)]
pub struct McpRequest(Arc<Parts>);

struct Parts {
    said: Said,
    body: Bytes,
}

/// What was read in a body.
pub(super) struct Said {
    pub(super) messages: Messages,
    pub(super) is_batch: bool,
    pub(super) version: ProtocolVersion,
    /// Whether the request names a session (`Mcp-Session-Id`).
    pub(super) has_session: bool,
    /// `clientInfo` as `name/version`: what the client says it is, and nothing to decide by.
    pub(super) client_claimed: Option<Box<str>>,
}

/// Nearly every request has one, which needs no list.
pub(crate) enum Messages {
    One([Message; 1]),
    Several(Vec<Message>),
}

impl Messages {
    const fn as_slice(&self) -> &[Message] {
        match self {
            Self::One(message) => message,
            Self::Several(messages) => messages.as_slice(),
        }
    }
}

// The body holds arguments, which belong into no log.
impl fmt::Debug for McpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpRequest")
            .field("messages", &self.messages())
            .field("version", &self.0.said.version)
            .finish_non_exhaustive()
    }
}

impl McpRequest {
    pub(super) fn new(said: Said, body: Bytes) -> Self {
        Self(Arc::new(Parts { said, body }))
    }

    /// A request without a message: `GET` (as which `HEAD` counts) or `DELETE`.
    pub(crate) fn without_message(
        method: &'static str,
        version: ProtocolVersion,
        has_session: bool,
    ) -> Self {
        let said = Said {
            messages: Messages::One([Message {
                operation: Operation::new(method, []),
                kind: MessageKind::Request,
                id: None,
                arguments: None,
            }]),
            is_batch: false,
            version,
            has_session,
            client_claimed: None,
        };
        Self::new(said, Bytes::new())
    }

    /// The messages: one, or several in a batch of 2025-03-26. Never none.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        self.0.said.messages.as_slice()
    }

    /// Whether the messages came in an array.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        self.0.said.is_batch
    }

    /// The revision to whose rules the request is held.
    #[must_use]
    pub fn version(&self) -> ProtocolVersion {
        self.0.said.version
    }

    /// Whether the request carries `Mcp-Session-Id`.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.0.said.has_session
    }

    /// What the client says it is (`clientInfo`, as `name/version`). Anyone can claim anything.
    #[must_use]
    pub fn client_claimed(&self) -> Option<&str> {
        self.0.said.client_claimed.as_deref()
    }

    /// The `id` to answer with: that of the only message, if it is a request.
    #[must_use]
    pub fn id(&self) -> Option<&RequestId> {
        match self.messages() {
            [message] if message.kind() == MessageKind::Request => message.id(),
            _ => None,
        }
    }

    /// Whether it carries messages: `GET` and `DELETE` carry none.
    pub(crate) fn is_message(&self) -> bool {
        !self.0.body.is_empty()
    }

    /// The bytes of a message's `params.arguments`, a JSON value as it came: what may be said in it
    /// twice is told at [`Access::arguments`](crate::Access::arguments).
    #[must_use]
    pub fn arguments(&self, message: &Message) -> Option<&[u8]> {
        self.0.body.get(message.arguments.clone()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_as_it_stood_in_the_message() {
        for (json, shown) in [
            ("1", r#"RequestId("1")"#),
            (r#""a""#, r#"RequestId("\"a\"")"#),
            (
                r#""1868a90c-5f2c-4a0b-9d51""#,
                r#"RequestId("\"1868a90c-5f2c-4a0b-9d51\"")"#,
            ),
        ] {
            assert_eq!(format!("{:?}", RequestId::from_json(json)), shown);
        }
    }
}
