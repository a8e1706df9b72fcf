//! A JSON-RPC message as it stands in the body: what was found, not yet what it means.

use std::borrow::Cow;

use crate::mcp::member::{Member, Object, Slot, members};

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

impl<'a> Object<'a> for Envelope<'a> {
    members! { (self, reader)
        "jsonrpc" => self.jsonrpc.read(reader)?,
        "id" => self.id = Some(reader.json()?),
        "method" => self.method.read(reader)?,
        "params" => self.params.read(reader)?,
        "result" => {
            reader.skip()?;
            self.has_result = true;
        },
        "error" => {
            reader.skip()?;
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

impl<'a> Object<'a> for Params<'a> {
    members! { (self, reader)
        "name" => self.name.read(reader)?,
        "arguments" => self.arguments = Some(reader.json()?),
        "_meta" => self.meta.read(reader)?,
        "uri" => self.uri.read(reader)?,
        "taskId" => self.task_id.read(reader)?,
        "ref" => self.reference.read(reader)?,
        "notifications" => self.notifications.read(reader)?,
        "protocolVersion" => self.protocol_version.read(reader)?,
        "clientInfo" => self.client_info.read(reader)?,
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

impl<'a> Object<'a> for Meta<'a> {
    // The last two are named only because nearly every request has them: what is reserved is
    // remembered without an allocation.
    members! { (self, reader)
        "io.modelcontextprotocol/protocolVersion" => self.protocol_version.read(reader)?,
        "io.modelcontextprotocol/clientInfo" => self.client_info.read(reader)?,
        "io.modelcontextprotocol/clientCapabilities" => reader.skip()?,
        "progressToken" => reader.skip()?,
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

impl<'a> Object<'a> for Reference<'a> {
    members! { (self, reader)
        "type" => self.kind.read(reader)?,
        "name" => self.name.read(reader)?,
        "uri" => self.uri.read(reader)?,
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

impl<'a> Object<'a> for Filter<'a> {
    members! { (self, reader)
        "resourceSubscriptions" => self.resources.read(reader)?,
        "taskIds" => self.tasks.read(reader)?,
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

impl<'a> Object<'a> for ClientInfo<'a> {
    members! { (self, reader)
        "name" => self.name.read(reader)?,
        "version" => self.version.read(reader)?,
    }

    fn fault(&mut self, _: &'static str) {}
}
