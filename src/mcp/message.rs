//! What a message means: its kind, its `id`, its operation.

use std::borrow::Cow;

use crate::{
    json::Reader,
    mcp::{
        Message, MessageError, MessageKind, Operation, RequestId, Target, TargetName,
        edit::range_in,
        envelope::{Envelope, Params},
        member::Member,
        methods,
        operation::Targets,
        read::MAX_DEPTH,
    },
};

/// Longer than any method.
const MAX_METHOD: usize = 256;
/// Longer than the name of a tool or prompt, a URI or the id of a task.
const MAX_NAME: usize = 8 * 1024;
/// As many bytes as all that one subscription is for may have together. A policy looks at each of
/// them a dozen times: a whole body of them would hold up its thread for a second.
const MAX_NAMES: usize = 1000 * 256;
/// Longer than any `id`, as JSON text.
const MAX_ID: usize = 256;
/// As much as is kept of the name and of the version that a client claims, in bytes.
const MAX_CLAIM: usize = 64;

/// The message in an envelope; `text` is the body that the envelope was read from.
pub(super) fn message(text: &str, envelope: &Envelope<'_>) -> Result<Message, MessageError> {
    let refuse = |message| Err(MessageError::invalid_request(message));
    if let Some(fault) = envelope.first_fault() {
        return refuse(fault);
    }
    if envelope.jsonrpc.get().is_none_or(|text| text != "2.0") {
        return refuse("The message is not JSON-RPC 2.0");
    }
    let id = id(envelope)?;
    let is_answer = envelope.has_result || envelope.has_error;
    let method = match &envelope.method {
        Member::Is(_) if is_answer => return refuse("The message is a request and a response"),
        Member::Is(method) => method,
        Member::OtherType => return refuse("The method is no string"),
        Member::Absent => return response(envelope, id),
    };
    if method.len() > MAX_METHOD || methods::is_taken(method) {
        return refuse("There can be no such method");
    }
    let params = envelope.params.get_or_empty();
    let params =
        params.map_err(|()| MessageError::invalid_params("The parameters are no object"))?;
    if matches!(params.meta.member(), Member::OtherType) {
        return Err(MessageError::invalid_params("The metadata is no object"));
    }
    Ok(Message {
        operation: Operation {
            method: known(method),
            targets: targets(method, params)?,
        },
        kind: if id.is_some() {
            MessageKind::Request
        } else {
            MessageKind::Notification
        },
        id,
        arguments: params.arguments.and_then(|part| range_in(text, part)),
    })
}

/// An answer to a request of the server: a result or an error, and not both. An error may come
/// without an `id`.
fn response(envelope: &Envelope<'_>, id: Option<RequestId>) -> Result<Message, MessageError> {
    let has_one = envelope.has_result != envelope.has_error;
    if !has_one || (envelope.has_result && id.is_none()) {
        return Err(MessageError::invalid_request(
            "The message is neither a request nor a response",
        ));
    }
    Ok(Message {
        operation: Operation::new("response", []),
        kind: MessageKind::Response,
        id,
        arguments: None,
    })
}

/// The `id`, a string or an integer.
fn id(envelope: &Envelope<'_>) -> Result<Option<RequestId>, MessageError> {
    let Some(json) = envelope.id else {
        return Ok(None);
    };
    let digits = json.strip_prefix('-').unwrap_or(json);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // A string is decoded, for half a surrogate pair is JSON and still no text.
    let is_text = || matches!(Reader::new(json, MAX_DEPTH).text(), Ok(Some(_)));
    if json.len() <= MAX_ID && (is_integer || is_text()) {
        Ok(Some(RequestId::from_json(json)))
    } else {
        Err(MessageError::invalid_request(
            "The id is neither a string nor an integer",
        ))
    }
}

/// The `id` for a refusal, where there is no doubt which one it is. That of a response is the
/// server's, and to the client it would be that of a request of its own.
pub(super) fn echo(envelope: &Envelope<'_>) -> Option<RequestId> {
    let is_response =
        matches!(envelope.method, Member::Absent) && envelope.has_result != envelope.has_error;
    if is_response || envelope.fault.is_some() {
        return None;
    }
    id(envelope).ok().flatten()
}

/// The method, as a constant where it is one of the protocol.
fn known(method: &str) -> Cow<'static, str> {
    methods::known(method).map_or_else(|| Cow::Owned(method.to_owned()), Cow::Borrowed)
}

/// What a message of this method is about.
fn targets(method: &str, params: &Params<'_>) -> Result<Targets, MessageError> {
    Ok(Targets::AtMostOne(match method {
        "tools/call" => Some(Target::Tool(required(&params.name)?)),
        "prompts/get" => Some(Target::Prompt(required(&params.name)?)),
        "resources/read" => Some(Target::Resource(required(&params.uri)?)),
        "resources/subscribe" | "resources/unsubscribe" | "resources/directory/read" => {
            optional(&params.uri, Target::Resource)?
        }
        "completion/complete" => completed(params)?,
        "subscriptions/listen" => return subscribed(params),
        _ if method.starts_with("tasks/") => optional(&params.task_id, Target::Task)?,
        _ => None,
    }))
}

/// What a completion is for. Where that is unclear it is for nothing, and nothing allows it.
fn completed(params: &Params<'_>) -> Result<Option<Target>, MessageError> {
    let Some(reference) = params.reference.get() else {
        return Ok(None);
    };
    match reference.kind.get().map(AsRef::as_ref) {
        Some("ref/prompt") => optional(&reference.name, Target::Prompt),
        Some("ref/resource") => optional(&reference.uri, Target::Resource),
        _ => Ok(None),
    }
}

/// What a subscription is for: resources, and tasks.
fn subscribed(params: &Params<'_>) -> Result<Targets, MessageError> {
    let refuse = Err(MessageError::invalid_params(
        "The subscription does not say what it is for",
    ));
    let filter = match params.notifications.member() {
        Member::Is(filter) => filter,
        Member::Absent => return Ok(Targets::AtMostOne(None)),
        Member::OtherType => return refuse,
    };
    let mut targets = Vec::new();
    let kinds = [
        (
            &filter.resources,
            Target::Resource as fn(TargetName) -> Target,
        ),
        (&filter.tasks, Target::Task),
    ];
    let mut length = 0;
    for (names, target) in kinds {
        match names {
            Member::Is(names) => {
                for name in names {
                    length += name.len();
                    if length > MAX_NAMES {
                        return too_long();
                    }
                    targets.push(target(bounded(name)?));
                }
            }
            Member::Absent => {}
            Member::OtherType => return refuse,
        }
    }
    Ok(targets.into_iter().collect())
}

fn required(name: &Member<Cow<'_, str>>) -> Result<TargetName, MessageError> {
    name.get()
        .ok_or(MessageError::invalid_params("The name or uri is missing"))
        .and_then(|name| bounded(name))
}

fn optional(
    name: &Member<Cow<'_, str>>,
    target: fn(TargetName) -> Target,
) -> Result<Option<Target>, MessageError> {
    name.get().map(|name| bounded(name).map(target)).transpose()
}

fn bounded(name: &str) -> Result<TargetName, MessageError> {
    if name.len() > MAX_NAME {
        return too_long();
    }
    Ok(name.into())
}

const fn too_long<T>() -> Result<T, MessageError> {
    Err(MessageError::invalid_params("The name or uri is too long"))
}

/// `clientInfo` as `name/version`, without control characters and of bounded length.
pub(super) fn client_claimed(envelope: &Envelope<'_>) -> Option<Box<str>> {
    let params = envelope.params.get()?;
    let is_initialize = envelope.method.get().is_some_and(|it| it == "initialize");
    let info = match params.client_info.get() {
        Some(info) if is_initialize => info,
        _ => params.meta.get()?.client_info.get()?,
    };
    let mut claimed = String::new();
    push_printable(&mut claimed, &info.name);
    if claimed.is_empty() {
        return None;
    }
    let name = claimed.len();
    claimed.push('/');
    push_printable(&mut claimed, &info.version);
    if claimed.len() == name + 1 {
        claimed.pop();
    }
    Some(claimed.into())
}

/// Adds [`MAX_CLAIM`] bytes at most, without control characters.
fn push_printable(claimed: &mut String, text: &Member<Cow<'_, str>>) {
    let end = claimed.len() + MAX_CLAIM;
    let text = text.get().map_or("", AsRef::as_ref);
    for char in text.chars().filter(|char| !char.is_control()) {
        if claimed.len() + char.len_utf8() > end {
            return;
        }
        claimed.push(char);
    }
}
