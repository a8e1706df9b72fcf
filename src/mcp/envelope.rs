//! A JSON-RPC message as it stands in the body: what was found, not yet what it means.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use crate::mcp::member::{Member, Object, Slot, Text, Texts, reserved};

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
    reserved! { "jsonrpc" "id" "method" "params" "result" "error" }

    fn read<A: MapAccess<'de>>(&mut self, name: &'static str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "jsonrpc" => self.jsonrpc = map.next_value::<Text<'de>>()?.0,
            "id" => self.id = Some(map.next_value::<&RawValue>()?.get()),
            "method" => self.method = map.next_value::<Text<'de>>()?.0,
            "params" => map.next_value_seed(&mut self.params)?,
            _ => {
                self.has_result |= name == "result";
                self.has_error |= name == "error";
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn fault(&mut self, fault: &'static str) {
        self.fault = Some(fault);
    }
}

impl Envelope<'_> {
    /// The first reason for which the message cannot be read in one way only.
    pub(super) fn first_fault(&self) -> Option<&'static str> {
        let params = self.params.get();
        let meta = params.and_then(|params| params.meta.get());
        let reference = params.and_then(|params| params.reference.get());
        let filter = params.and_then(|params| params.notifications.get());
        self.fault
            .or(params.and_then(|params| params.fault))
            .or(meta.and_then(|meta| meta.fault))
            .or(reference.and_then(|reference| reference.fault))
            .or(filter.and_then(|filter| filter.fault))
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
    reserved! { "name" "arguments" "_meta" "uri" "taskId" "ref" "notifications" "protocolVersion" "clientInfo" }

    fn read<A: MapAccess<'de>>(&mut self, name: &'static str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "name" => self.name = map.next_value::<Text<'de>>()?.0,
            "arguments" => self.arguments = Some(map.next_value::<&RawValue>()?.get()),
            "_meta" => map.next_value_seed(&mut self.meta)?,
            "uri" => self.uri = map.next_value::<Text<'de>>()?.0,
            "taskId" => self.task_id = map.next_value::<Text<'de>>()?.0,
            "ref" => map.next_value_seed(&mut self.reference)?,
            "notifications" => map.next_value_seed(&mut self.notifications)?,
            "protocolVersion" => self.protocol_version = map.next_value::<Text<'de>>()?.0,
            _ => map.next_value_seed(&mut self.client_info)?,
        }
        Ok(())
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
    reserved! { "io.modelcontextprotocol/protocolVersion" "io.modelcontextprotocol/clientInfo" "io.modelcontextprotocol/clientCapabilities" "progressToken" }

    fn read<A: MapAccess<'de>>(&mut self, name: &'static str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "io.modelcontextprotocol/protocolVersion" => {
                self.protocol_version = map.next_value::<Text<'de>>()?.0;
            }
            "io.modelcontextprotocol/clientInfo" => map.next_value_seed(&mut self.client_info)?,
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
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
    reserved! { "type" "name" "uri" }

    fn read<A: MapAccess<'de>>(&mut self, name: &'static str, map: &mut A) -> Result<(), A::Error> {
        let text = map.next_value::<Text<'de>>()?.0;
        match name {
            "type" => self.kind = text,
            "name" => self.name = text,
            _ => self.uri = text,
        }
        Ok(())
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
    reserved! { "resourceSubscriptions" "taskIds" }

    fn read<A: MapAccess<'de>>(&mut self, name: &'static str, map: &mut A) -> Result<(), A::Error> {
        let texts = map.next_value::<Texts<'de>>()?.0;
        match name {
            "resourceSubscriptions" => self.resources = texts,
            _ => self.tasks = texts,
        }
        Ok(())
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
    reserved! { "name" "version" }

    fn read<A: MapAccess<'de>>(&mut self, name: &'static str, map: &mut A) -> Result<(), A::Error> {
        let text = map.next_value::<Text<'de>>()?.0;
        match name {
            "name" => self.name = text,
            _ => self.version = text,
        }
        Ok(())
    }

    fn fault(&mut self, _: &'static str) {}
}
