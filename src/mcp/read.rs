//! From bytes to messages: what everyone behind us will read, or a refusal.

use bytes::Bytes;

use crate::{
    json::{self, Reader},
    mcp::{
        McpRequest, MessageError, ProtocolVersion,
        envelope::Envelope,
        headers::{Decoded, MirroredHeaders},
        member::Slot,
        message::{client_claimed, echo, message},
        mirror,
        request::{Messages, Said},
    },
};

/// The deepest nesting that is read: the limit that most parsers behind us have themselves.
pub(super) const MAX_DEPTH: u8 = 128;

/// More messages than a batch has.
const MAX_BATCH: usize = 100;

/// Reads the body of a POST.
///
/// # Errors
///
/// [`MessageError`] where not everyone would read the same messages, or the mirrored headers
/// contradict them.
pub(crate) fn read(body: Bytes, headers: &MirroredHeaders<'_>) -> Result<McpRequest, MessageError> {
    read_body(body, Some(headers))
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
        Self::from_bytes(Bytes::copy_from_slice(json))
    }

    /// The same of bytes that are kept as they are: nothing is copied.
    ///
    /// # Errors
    ///
    /// As [`from_json`](Self::from_json).
    pub fn from_bytes(json: Bytes) -> Result<Self, MessageError> {
        read_body(json, None)
    }
}

fn read_body(
    body: Bytes,
    headers: Option<&MirroredHeaders<'_>>,
) -> Result<McpRequest, MessageError> {
    let said = read_text(&body, headers)?;
    Ok(McpRequest::new(said, body))
}

fn read_text(body: &[u8], headers: Option<&MirroredHeaders<'_>>) -> Result<Said, MessageError> {
    let text = str::from_utf8(body).map_err(|_| MessageError::not_json())?;
    let mut reader = Reader::new(text, MAX_DEPTH);
    if reader.peek().map_err(unread)? == b'[' {
        let elements = elements(reader).map_err(unread)?;
        let elements = elements.ok_or(MessageError::invalid_request("The batch is too long"))?;
        batch(text, &elements, headers)
    } else {
        let mut slot = Slot::default();
        slot.read(&mut reader).map_err(unread)?;
        reader.end().map_err(unread)?;
        let envelope = slot
            .get()
            .ok_or(MessageError::invalid_request("The body is no message"))?;
        one(text, envelope, headers).map_err(|error| error.with_id(echo(envelope)))
    }
}

#[cold]
fn unread(error: json::Error) -> MessageError {
    match error {
        json::Error::Malformed => MessageError::not_json(),
        json::Error::TooDeep => MessageError::invalid_request("The body is nested too deep"),
    }
}

/// The elements of a batch: `None` where there are more than it may have.
fn elements(mut reader: Reader<'_>) -> Result<Option<Vec<Slot<Envelope<'_>>>>, json::Error> {
    let mut elements = Vec::new();
    let mut is_too_long = false;
    reader.elements(|reader| {
        if elements.len() == MAX_BATCH {
            is_too_long = true;
            return reader.skip();
        }
        let mut element = Slot::default();
        element.read(reader)?;
        elements.push(element);
        Ok(())
    })?;
    reader.end()?;
    Ok((!is_too_long).then_some(elements))
}

fn one(
    text: &str,
    envelope: &Envelope<'_>,
    headers: Option<&MirroredHeaders<'_>>,
) -> Result<Said, MessageError> {
    let message = message(text, envelope)?;
    let decoded = decode(headers)?;
    let version = mirror::version(envelope, &decoded)?;
    mirror::agree(&message, envelope, &decoded)?;
    if version.is_stateless() {
        mirror::no_response(&message)?;
        if headers.is_some() {
            mirror::complete(version, &message, envelope, &decoded)?;
        }
    }
    Ok(Said {
        messages: Messages::One([message]),
        is_batch: false,
        version,
        has_session: headers.is_some_and(|headers| headers.has_session),
        client_claimed: client_claimed(envelope),
    })
}

fn batch(
    text: &str,
    elements: &[Slot<Envelope<'_>>],
    headers: Option<&MirroredHeaders<'_>>,
) -> Result<Said, MessageError> {
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
    Ok(Said {
        messages: Messages::Several(messages),
        is_batch: true,
        version: ProtocolVersion::V2025_03_26,
        has_session: headers.is_some_and(|headers| headers.has_session),
        client_claimed: claimed,
    })
}

fn decode<'a>(headers: Option<&MirroredHeaders<'a>>) -> Result<Decoded<'a>, MessageError> {
    headers
        .map_or_else(|| Ok(Decoded::default()), MirroredHeaders::decode)
        .map_err(MessageError::header_mismatch)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::mcp::MessageKind;

    /// Version, method and name as the headers have them; `-` stands for a header that is missing.
    fn headers<'a>([version, method, name]: [&'a str; 3]) -> MirroredHeaders<'a> {
        let some = |value: &'a str| (value != "-").then_some(value.as_bytes());
        MirroredHeaders {
            protocol_version: some(version),
            method: some(method),
            name: some(name),
            has_session: false,
        }
    }

    fn read_with(values: [&str; 3], body: &str) -> Result<McpRequest, MessageError> {
        read(Bytes::copy_from_slice(body.as_bytes()), &headers(values))
    }

    /// A request with the id 7 that names its version in `_meta` where it has one.
    fn request(method: &str, params: &str, version: &str) -> String {
        let meta = match version {
            "-" => String::from("\"x\":0"),
            _ => format!(r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{version}"}}"#),
        };
        let comma = if params.is_empty() { "" } else { "," };
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}{comma}{meta}}}}}"#
        )
    }

    const OK: i32 = 0;
    const NEW: &str = "2026-07-28";

    #[test]
    fn headers_and_body_agree_or_are_refused() {
        let tool = r#""name":"put_note""#;
        let uri = r#""uri":"file:///a""#;
        let task = r#""taskId":"t1""#;
        for (expected, values, method, params, meta) in [
            // All there, and the same.
            (OK, [NEW, "tools/call", "put_note"], "tools/call", tool, NEW),
            (
                OK,
                [NEW, " tools/call\t", " put_note "],
                "tools/call",
                tool,
                NEW,
            ),
            (
                OK,
                [NEW, "tools/call", "=?base64?cHV0X25vdGU=?="],
                "tools/call",
                tool,
                NEW,
            ),
            (
                OK,
                [NEW, "resources/read", "file:///a"],
                "resources/read",
                uri,
                NEW,
            ),
            (OK, [NEW, "tasks/get", "t1"], "tasks/get", task, NEW),
            (OK, [NEW, "tools/list", "-"], "tools/list", "", NEW),
            // What this revision does not define has no name to mirror.
            (OK, [NEW, "tasks/result", "-"], "tasks/result", task, NEW),
            (
                OK,
                [NEW, "resources/subscribe", "-"],
                "resources/subscribe",
                uri,
                NEW,
            ),
            (
                -32020,
                [NEW, "tasks/result", "t2"],
                "tasks/result",
                task,
                NEW,
            ),
            (-32020, [NEW, "tasks/get", "-"], "tasks/get", task, NEW),
            // What `_meta` lacks is the server's to refuse.
            (OK, [NEW, "tools/call", "put_note"], "tools/call", tool, "-"),
            // An unknown version passes, and is held to the newest rules.
            (
                OK,
                ["2099-01-01", "tools/call", "put_note"],
                "tools/call",
                tool,
                "2099-01-01",
            ),
            (
                -32020,
                ["2099-01-01", "-", "put_note"],
                "tools/call",
                tool,
                "2099-01-01",
            ),
            // Missing.
            (
                -32020,
                ["-", "tools/call", "put_note"],
                "tools/call",
                tool,
                NEW,
            ),
            (-32020, [NEW, "-", "put_note"], "tools/call", tool, NEW),
            (-32020, [NEW, "tools/call", "-"], "tools/call", tool, NEW),
            (
                -32020,
                [NEW, "resources/read", "-"],
                "resources/read",
                uri,
                NEW,
            ),
            (
                -32020,
                [NEW, "tasks/cancel", "-"],
                "tasks/cancel",
                task,
                NEW,
            ),
            // Different.
            (
                -32020,
                [NEW, "tools/call", "get_note"],
                "tools/call",
                tool,
                NEW,
            ),
            (
                -32020,
                [NEW, "tools/call", "Put_note"],
                "tools/call",
                tool,
                NEW,
            ),
            (
                -32020,
                [NEW, "tools/list", "put_note"],
                "tools/call",
                tool,
                NEW,
            ),
            (
                -32020,
                [NEW, "Tools/call", "put_note"],
                "tools/call",
                tool,
                NEW,
            ),
            (
                -32020,
                [NEW, "tools/call", "put_note, put_note"],
                "tools/call",
                tool,
                NEW,
            ),
            (
                -32020,
                [NEW, "=?base64?dG9vbHMvY2FsbA==?=", "put_note"],
                "tools/call",
                tool,
                NEW,
            ),
            (
                -32020,
                [NEW, "tools/call", "=?base64?Z2V0X25vdGU=?="],
                "tools/call",
                tool,
                NEW,
            ),
            (
                -32020,
                [NEW, "resources/read", "file:///b"],
                "resources/read",
                uri,
                NEW,
            ),
            (-32020, [NEW, "tasks/get", "t2"], "tasks/get", task, NEW),
            (
                -32020,
                ["2025-11-25", "tools/call", "put_note"],
                "tools/call",
                tool,
                NEW,
            ),
            (
                -32020,
                [NEW, "tools/call", "put_note"],
                "tools/call",
                tool,
                "2025-11-25",
            ),
            // Malformed.
            (-32020, [NEW, "tools/call", ""], "tools/call", tool, NEW),
            (
                -32020,
                ["", "tools/call", "put_note"],
                "tools/call",
                tool,
                "-",
            ),
            (
                -32020,
                [NEW, "tools/call", "=?base64?cHV0X25vdGU?="],
                "tools/call",
                tool,
                NEW,
            ),
            // In the older revisions they need not be there, and must not lie either.
            (OK, ["2025-11-25", "-", "-"], "tools/call", tool, "-"),
            (OK, ["-", "-", "-"], "tools/call", tool, "-"),
            (OK, ["-", "tools/call", "put_note"], "tools/call", tool, "-"),
            (
                -32020,
                ["2025-11-25", "tools/list", "-"],
                "tools/call",
                tool,
                "-",
            ),
            (
                -32020,
                ["2025-03-26", "-", "get_note"],
                "tools/call",
                tool,
                "-",
            ),
            (-32020, ["-", "-", "get_note"], "tools/call", tool, "-"),
            // A method that is not known here, and a name that some member must be.
            (OK, ["-", "-", "a"], "acme/do", r#""name":"a""#, "-"),
            (-32020, ["-", "-", "b"], "acme/do", r#""name":"a""#, "-"),
            (OK, ["-", "-", "b"], "ping", "", "-"),
            // The parameters before the headers.
            (-32602, [NEW, "tools/list", "-"], "tools/call", "", NEW),
        ] {
            let body = request(method, params, meta);
            let got = read_with(values, &body);
            let code = got.as_ref().map_or_else(MessageError::code, |_| OK);
            assert_eq!(code, expected, "{values:?} {body}");
            if let Err(error) = got {
                assert_eq!(error.id().unwrap().as_json(), "7", "{body}");
                let reason = if code == -32020 {
                    "header_mismatch"
                } else {
                    "malformed_message"
                };
                assert_eq!(error.reason().as_str(), reason);
            }
        }
    }

    #[test]
    fn the_revision_is_the_headers_then_the_bodys_then_the_oldest() {
        use ProtocolVersion::{Unknown, V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};
        for (expected, values, method, params, meta) in [
            (V2025_03_26, ["-", "-", "-"], "ping", "", "-"),
            (V2025_06_18, ["2025-06-18", "-", "-"], "ping", "", "-"),
            (V2025_11_25, ["-", "-", "-"], "ping", "", "2025-11-25"),
            (V2026_07_28, [NEW, "tools/list", "-"], "tools/list", "", NEW),
            (Unknown, ["1", "tools/list", "-"], "tools/list", "", "-"),
            (
                V2025_11_25,
                ["-", "-", "-"],
                "initialize",
                r#""protocolVersion":"2025-11-25""#,
                "-",
            ),
            (
                V2025_03_26,
                ["-", "-", "-"],
                "initialize",
                r#""protocolVersion":"2099-01-01""#,
                "-",
            ),
            (
                V2025_03_26,
                ["-", "-", "-"],
                "initialize",
                r#""protocolVersion":"2026-07-28""#,
                "-",
            ),
            (
                V2025_03_26,
                ["-", "-", "-"],
                "initialize",
                r#""protocolVersion":7"#,
                "-",
            ),
            (
                V2025_03_26,
                ["-", "-", "-"],
                "ping",
                r#""protocolVersion":"2025-11-25""#,
                "-",
            ),
        ] {
            let body = request(method, params, meta);
            assert_eq!(
                read_with(values, &body).unwrap().version(),
                expected,
                "{body}"
            );
        }
    }

    #[test]
    fn a_version_that_is_no_string_is_refused() {
        let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}}"#;
        let code = |values| read_with(values, body).unwrap_err().code();
        assert_eq!(code(["-", "-", "-"]), -32602);
        assert_eq!(code([NEW, "tools/list", "-"]), -32020);
    }

    #[test]
    fn notifications_need_no_headers_and_responses_have_no_place_in_the_newest_revision() {
        let note = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
        let read = read_with([NEW, "-", "-"], note).unwrap();
        assert_eq!(read.messages()[0].kind(), MessageKind::Notification);
        let other = read_with([NEW, "tools/list", "-"], note).unwrap_err();
        assert_eq!(other.code(), -32020);

        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        let read = read_with(["2025-11-25", "-", "-"], answer).unwrap();
        assert_eq!(read.messages()[0].operation().method(), "response");
        for (values, code) in [
            ([NEW, "-", "-"], -32600),
            (["2025-11-25", "tools/call", "-"], -32020),
            (["2025-11-25", "response", "-"], -32020),
        ] {
            assert_eq!(read_with(values, answer).unwrap_err().code(), code);
        }
    }

    #[test]
    fn batches_belong_to_one_revision() {
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let two = format!("[{ping},{ping}]");
        assert_eq!(read_with(["-"; 3], &two).unwrap().messages().len(), 2);
        let three = format!(" [{ping},{ping},{ping}]\n");
        let read = read_with(["2025-03-26", "-", "-"], &three).unwrap();
        assert!(read.is_batch() && read.id().is_none());
        assert_eq!(read.messages().len(), 3);

        let longest = format!("[{}]", vec![ping; 100].join(","));
        assert_eq!(read_with(["-"; 3], &longest).unwrap().messages().len(), 100);
        let too_long = format!("[{}]", vec![ping; 101].join(","));
        let newer = request("tools/list", "", "2025-06-18");
        for (code, values, body) in [
            (-32600, ["2025-06-18", "-", "-"], two.as_str()),
            (-32600, [NEW, "ping", "-"], &two),
            (-32600, ["-"; 3], &too_long),
            (-32600, ["-"; 3], "[]"),
            (-32600, ["-"; 3], &format!("[[{ping}]]")),
            (-32600, ["-"; 3], &format!("[{ping},1]")),
            (-32600, ["-"; 3], &format!("[{ping},{newer}]")),
            (-32020, ["2025-03-26", "-", "-"], &format!("[{newer}]")),
            (-32020, ["-", "tools/list", "-"], &two),
            (-32700, ["-"; 3], &format!("[{ping}")),
            (-32700, ["-"; 3], &format!("[{ping}]]")),
        ] {
            let error = read_with(values, body).unwrap_err();
            assert_eq!((error.code(), error.id()), (code, None), "{body}");
        }
    }

    #[test]
    fn the_first_fault_counts_and_what_follows_it_must_still_be_json() {
        let faulty = r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":1,"x":[{"y":{}}],"ID":2"#;
        for (code, message, rest) in [
            (-32600, "A member is repeated", r#","z":{"a":[1]}}"#),
            (-32700, "The body is not JSON", r#","method":{"a":[1}}"#),
            (-32700, "The body is not JSON", r#","z":"\ud800","a" 1}"#),
            (-32700, "The body is not JSON", ""),
        ] {
            let error = read_with(["-"; 3], &format!("{faulty}{rest}")).unwrap_err();
            assert_eq!((error.code(), error.message()), (code, message), "{rest}");
            assert_eq!(error.id(), None, "{rest}");
        }
    }
}
