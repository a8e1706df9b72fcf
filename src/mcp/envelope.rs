//! A JSON-RPC message as it stands in the body: what was found, not yet what it means.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, MapAccess};

use crate::mcp::member::{Member, Object, Slot, ignore, json, members, text, texts};

/// Reads the whole text: one JSON value and nothing after it.
pub(super) fn read<'a, S>(text: &'a str, seed: S) -> Result<S::Value, serde_json::Error>
where
    S: DeserializeSeed<'a>,
{
    let mut json = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// A message.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) fault: Option<&'static str>,
    pub(super) jsonrpc: Member<Cow<'a, str>>,
    /// The JSON text.
    pub(super) id: Option<&'a str>,
    pub(super) method: Member<Cow<'a, str>>,
    pub(super) params: Slot<Params<'a>>,
    pub(super) has_result: bool,
    pub(super) has_error: bool,
}

impl<'de> Object<'de> for Envelope<'de> {
    members! { (self, map)
        "jsonrpc" => self.jsonrpc = text(map)?,
        "id" => self.id = Some(json(map)?),
        "method" => self.method = text(map)?,
        "params" => map.next_value_seed(&mut self.params)?,
        "result" => {
            ignore(map)?;
            self.has_result = true;
        },
        "error" => {
            ignore(map)?;
            self.has_error = true;
        },
    }

    fn fault(&mut self, fault: &'static str) {
        self.fault = Some(fault);
    }
}

impl Envelope<'_> {
    /// The first reason for which the message cannot be read in one way only.
    pub(super) fn first_fault(&self) -> Option<&'static str> {
        let params = self.params.object();
        self.fault
            .or(params.fault)
            .or(params.meta.object().fault)
            .or(params.reference.object().fault)
            .or(params.notifications.object().fault)
    }
}

/// `params`.
#[derive(Debug, Default)]
pub(super) struct Params<'a> {
    fault: Option<&'static str>,
    pub(super) name: Member<Cow<'a, str>>,
    pub(super) uri: Member<Cow<'a, str>>,
    pub(super) task_id: Member<Cow<'a, str>>,
    /// The JSON text.
    pub(super) arguments: Option<&'a str>,
    pub(super) meta: Slot<Meta<'a>>,
    /// `ref`: what a completion is for.
    pub(super) reference: Slot<Reference<'a>>,
    /// What a subscription is for.
    pub(super) notifications: Slot<Filter<'a>>,
    /// Of `initialize`.
    pub(super) protocol_version: Member<Cow<'a, str>>,
    /// Of `initialize`.
    pub(super) client_info: Slot<ClientInfo<'a>>,
}

impl<'de> Object<'de> for Params<'de> {
    members! { (self, map)
        "name" => self.name = text(map)?,
        "arguments" => self.arguments = Some(json(map)?),
        "_meta" => map.next_value_seed(&mut self.meta)?,
        "uri" => self.uri = text(map)?,
        "taskId" => self.task_id = text(map)?,
        "ref" => map.next_value_seed(&mut self.reference)?,
        "notifications" => map.next_value_seed(&mut self.notifications)?,
        "protocolVersion" => self.protocol_version = text(map)?,
        "clientInfo" => map.next_value_seed(&mut self.client_info)?,
    }

    fn fault(&mut self, fault: &'static str) {
        self.fault = Some(fault);
    }
}

/// `params._meta`.
#[derive(Debug, Default)]
pub(super) struct Meta<'a> {
    fault: Option<&'static str>,
    pub(super) protocol_version: Member<Cow<'a, str>>,
    pub(super) client_info: Slot<ClientInfo<'a>>,
}

impl<'de> Object<'de> for Meta<'de> {
    // The last two are named only because nearly every request has them: what is reserved is
    // remembered without an allocation.
    members! { (self, map)
        "io.modelcontextprotocol/protocolVersion" => self.protocol_version = text(map)?,
        "io.modelcontextprotocol/clientInfo" => map.next_value_seed(&mut self.client_info)?,
        "io.modelcontextprotocol/clientCapabilities" => ignore(map)?,
        "progressToken" => ignore(map)?,
    }

    fn fault(&mut self, fault: &'static str) {
        self.fault = Some(fault);
    }
}

/// `params.ref` of `completion/complete`.
#[derive(Debug, Default)]
pub(super) struct Reference<'a> {
    fault: Option<&'static str>,
    pub(super) kind: Member<Cow<'a, str>>,
    pub(super) name: Member<Cow<'a, str>>,
    pub(super) uri: Member<Cow<'a, str>>,
}

impl<'de> Object<'de> for Reference<'de> {
    members! { (self, map)
        "type" => self.kind = text(map)?,
        "name" => self.name = text(map)?,
        "uri" => self.uri = text(map)?,
    }

    fn fault(&mut self, fault: &'static str) {
        self.fault = Some(fault);
    }
}

/// `params.notifications` of `subscriptions/listen`.
#[derive(Debug, Default)]
pub(super) struct Filter<'a> {
    fault: Option<&'static str>,
    pub(super) resources: Member<Vec<Cow<'a, str>>>,
    /// Of the tasks extension.
    pub(super) tasks: Member<Vec<Cow<'a, str>>>,
}

impl<'de> Object<'de> for Filter<'de> {
    members! { (self, map)
        "resourceSubscriptions" => self.resources = texts(map)?,
        "taskIds" => self.tasks = texts(map)?,
    }

    fn fault(&mut self, fault: &'static str) {
        self.fault = Some(fault);
    }
}

/// What the client says it is. Nothing is decided by it, so nothing in it is at fault.
#[derive(Debug, Default)]
pub(super) struct ClientInfo<'a> {
    pub(super) name: Member<Cow<'a, str>>,
    pub(super) version: Member<Cow<'a, str>>,
}

impl<'de> Object<'de> for ClientInfo<'de> {
    members! { (self, map)
        "name" => self.name = text(map)?,
        "version" => self.version = text(map)?,
    }

    fn fault(&mut self, _: &'static str) {}
}
