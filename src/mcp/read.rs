//! From bytes to messages: what everyone behind us will read, or a refusal.

use bytes::Bytes;

use crate::mcp::{
    McpRequest, MessageError, ProtocolVersion, depth,
    envelope::{Body, Envelope},
    headers::{Decoded, MirroredHeaders},
    member::Member,
    message::{client_claimed, echo, message},
    mirror,
    request::Parts,
};

/// Reads the body of a POST.
///
/// # Errors
///
/// [`MessageError`] where not everyone would read the same messages, or the mirrored headers
/// contradict them.
pub(crate) fn read(body: Bytes, headers: &MirroredHeaders<'_>) -> Result<McpRequest, MessageError> {
    read_parts(body, Some(headers)).map(McpRequest::new)
}

impl McpRequest {
    /// Reads the messages in `json`, where there is no HTTP around them.
    ///
    /// Nothing is said here of mirrored headers. The revision is the one that the message names,
    /// else 2025-03-26.
    ///
    /// ```
    /// use mcp_auth::{McpRequest, Operation};
    ///
    /// let request = McpRequest::from_json(
    ///     br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"put_note"}}"#,
    /// )?;
    /// let [message] = request.messages() else { panic!("one message") };
    /// assert_eq!(message.operation(), &Operation::tool("put_note"));
    /// # Ok::<(), mcp_auth::MessageError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MessageError`] where it is no JSON-RPC message, or one that not every parser reads alike:
    /// with repeated members, with members that differ from a reserved one only in case, nested
    /// more than 128 deep, not in UTF-8.
    pub fn from_json(json: &[u8]) -> Result<Self, MessageError> {
        read_parts(Bytes::copy_from_slice(json), None).map(Self::new)
    }
}

fn read_parts(body: Bytes, headers: Option<&MirroredHeaders<'_>>) -> Result<Parts, MessageError> {
    let text = str::from_utf8(&body).map_err(|_| MessageError::not_json())?;
    if depth::is_too_deep(&body) {
        return Err(MessageError::invalid_request("The body is nested too deep"));
    }
    let mut parts = match Body::read(text).map_err(|_| MessageError::not_json())? {
        Body::One(Member::Is(envelope)) => {
            one(text, &envelope, headers).map_err(|error| error.with_id(echo(&envelope)))?
        }
        Body::One(_) => return Err(MessageError::invalid_request("The body is no message")),
        Body::Many(elements) => batch(text, &elements, headers)?,
        Body::TooMany => return Err(MessageError::invalid_request("The batch is too long")),
    };
    parts.body = body;
    Ok(parts)
}

fn one(
    text: &str,
    envelope: &Envelope<'_>,
    headers: Option<&MirroredHeaders<'_>>,
) -> Result<Parts, MessageError> {
    let message = message(text, envelope)?;
    let decoded = decode(headers)?;
    let version = mirror::version(envelope, &decoded)?;
    mirror::agree(&message, envelope, &decoded)?;
    if version.is_stateless() {
        mirror::no_response(&message)?;
        if headers.is_some() {
            mirror::complete(&message, envelope, &decoded)?;
        }
    }
    Ok(Parts {
        messages: vec![message],
        is_batch: false,
        version,
        has_session: headers.is_some_and(|headers| headers.has_session),
        client_claimed: client_claimed(envelope),
        body: Bytes::new(),
    })
}

fn batch(
    text: &str,
    elements: &[Member<Envelope<'_>>],
    headers: Option<&MirroredHeaders<'_>>,
) -> Result<Parts, MessageError> {
    let decoded = decode(headers)?;
    let mut messages = Vec::with_capacity(elements.len());
    let mut claimed = None;
    for element in elements {
        let envelope = element.get().ok_or(MessageError::invalid_request(
            "An element of the batch is no message",
        ))?;
        if mirror::version(envelope, &decoded)? != ProtocolVersion::V2025_03_26 {
            return Err(MessageError::invalid_request("Only 2025-03-26 has batches"));
        }
        let message = message(text, envelope)?;
        mirror::agree(&message, envelope, &decoded)?;
        claimed = claimed.or_else(|| client_claimed(envelope));
        messages.push(message);
    }
    if messages.is_empty() {
        return Err(MessageError::invalid_request("The batch is empty"));
    }
    Ok(Parts {
        messages,
        is_batch: true,
        version: ProtocolVersion::V2025_03_26,
        has_session: headers.is_some_and(|headers| headers.has_session),
        client_claimed: claimed,
        body: Bytes::new(),
    })
}

fn decode<'a>(headers: Option<&MirroredHeaders<'a>>) -> Result<Decoded<'a>, MessageError> {
    headers
        .map_or_else(|| Ok(Decoded::default()), MirroredHeaders::decode)
        .map_err(MessageError::header_mismatch)
}
