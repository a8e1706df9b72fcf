//! Whether headers and body tell the same (Streamable HTTP of 2026-07-28, "Server Validation").
//!
//! Whenever both speak they agree, whatever the revision: routers and limiters in between may
//! believe the header, and the server runs the body.

use std::borrow::Cow;

use crate::mcp::{
    Message, MessageError, MessageKind, ProtocolVersion,
    envelope::{Envelope, Params},
    headers::Decoded,
    member::Member,
};

/// The revision to whose rules the message is held.
pub(super) fn version(
    envelope: &Envelope<'_>,
    headers: &Decoded<'_>,
) -> Result<ProtocolVersion, MessageError> {
    let named = envelope
        .params
        .get()
        .and_then(|params| params.meta.get())
        .map_or(&Member::Absent, |meta| &meta.protocol_version);
    match (headers.version, named) {
        (Some(header), Member::Absent) => Ok(ProtocolVersion::from_text(header)),
        (Some(header), Member::Is(named)) if header == named => {
            Ok(ProtocolVersion::from_text(header))
        }
        (Some(_), _) => Err(MessageError::header_mismatch(
            "The header MCP-Protocol-Version does not match the body",
        )),
        (None, Member::Is(named)) => Ok(ProtocolVersion::from_text(named)),
        (None, Member::Absent) => Ok(opened(envelope)),
        (None, Member::OtherType) => Err(MessageError::invalid_params(
            "The protocol version is no string",
        )),
    }
}

/// The revision of what names none: the one that `initialize` asks for, where it is one that
/// `initialize` opens.
fn opened(envelope: &Envelope<'_>) -> ProtocolVersion {
    envelope
        .method
        .get()
        .filter(|method| *method == "initialize")
        .and_then(|_| envelope.params.get()?.protocol_version.get())
        .map(|text| ProtocolVersion::from_text(text))
        .filter(|version| !version.is_stateless())
        .unwrap_or(ProtocolVersion::V2025_03_26)
}

/// Refuses headers that say something else than the body.
pub(super) fn agree(
    message: &Message,
    envelope: &Envelope<'_>,
    headers: &Decoded<'_>,
) -> Result<(), MessageError> {
    let method = message.operation.method();
    if let Some(header) = headers.method
        && (message.kind == MessageKind::Response || header != method)
    {
        return Err(MessageError::header_mismatch(
            "The header Mcp-Method does not match the body",
        ));
    }
    if let (Some(header), Some(params)) = (&headers.name, envelope.params.get())
        && !may_be_named(method, params, header)
    {
        return Err(MessageError::header_mismatch(
            "The header Mcp-Name does not match the body",
        ));
    }
    Ok(())
}

/// Whether `header` is the name in `params`, as far as `method` has one there.
fn may_be_named(method: &str, params: &Params<'_>, header: &str) -> bool {
    if let Some(source) = source(method, params) {
        return source.get().is_some_and(|name| name == header);
    }
    // Which member a method that is not known here would be named by is not known either.
    let mut named = [&params.name, &params.uri, &params.task_id]
        .into_iter()
        .filter_map(Member::get)
        .peekable();
    named.peek().is_none() || named.any(|name| name == header)
}

/// The member that `Mcp-Name` mirrors.
fn source<'a, 'b>(method: &str, params: &'b Params<'a>) -> Option<&'b Member<Cow<'a, str>>> {
    match method {
        "tools/call" | "prompts/get" => Some(&params.name),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some(&params.uri),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => Some(&params.task_id),
        _ => None,
    }
}

/// Refuses a request without the headers that 2026-07-28 demands.
///
/// Of notifications that revision demands none, and no name of a method that it does not define:
/// that one is answered as what does not exist.
pub(super) fn complete(
    version: ProtocolVersion,
    message: &Message,
    envelope: &Envelope<'_>,
    headers: &Decoded<'_>,
) -> Result<(), MessageError> {
    if message.kind != MessageKind::Request {
        return Ok(());
    }
    let method = message.operation.method();
    let has_name = version.defines(method)
        && envelope
            .params
            .get()
            .and_then(|params| source(method, params))
            .is_some_and(|source| source.get().is_some());
    let missing = if headers.version.is_none() {
        "The header MCP-Protocol-Version is missing"
    } else if headers.method.is_none() {
        "The header Mcp-Method is missing"
    } else if has_name && headers.name.is_none() {
        "The header Mcp-Name is missing"
    } else {
        return Ok(());
    };
    Err(MessageError::header_mismatch(missing))
}

/// Refuses an answer of the client: in 2026-07-28 there is nothing that it could answer.
pub(super) fn no_response(message: &Message) -> Result<(), MessageError> {
    if message.kind == MessageKind::Response {
        return Err(MessageError::invalid_request(
            "This revision has no responses of clients",
        ));
    }
    Ok(())
}
