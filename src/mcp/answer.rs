//! An answer as it stands in its body: what of it can be a list.

use std::borrow::Cow;

use crate::{
    json::{self, Reader},
    mcp::{
        list::ListKind,
        member::{Member, Object, Slot, members},
        read::MAX_DEPTH,
    },
};

/// An answer that cannot be read in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl From<json::Error> for Unreadable {
    fn from(_: json::Error) -> Self {
        Self
    }
}

/// One object and nothing behind it.
pub(super) fn object<'a, T: Object<'a>>(text: &'a str) -> Result<Slot<T>, Unreadable> {
    let mut reader = Reader::new(text, MAX_DEPTH);
    let mut slot = Slot::default();
    slot.read(&mut reader)?;
    reader.end()?;
    Ok(slot)
}

/// The elements of an array, as JSON texts. `None`: it is something else.
pub(super) fn array(text: &str) -> Result<Option<Vec<&str>>, Unreadable> {
    let mut reader = Reader::new(text, MAX_DEPTH);
    if reader.peek()? != b'[' {
        return Ok(None);
    }
    let mut elements = Vec::new();
    reader.elements(|reader| {
        elements.push(reader.json()?);
        Ok(())
    })?;
    reader.end()?;
    Ok(Some(elements))
}

/// A message, as far as it matters here.
#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    pub(super) is_faulty: bool,
    /// The JSON text.
    pub(super) id: Option<&'a str>,
    /// The JSON text.
    pub(super) result: Option<&'a str>,
}

impl<'a> Object<'a> for Answer<'a> {
    members! { (self, reader)
        "result" => self.result = Some(reader.json()?),
        "id" => self.id = Some(reader.json()?),
        "jsonrpc" => reader.skip()?,
        "method" => reader.skip()?,
        "params" => reader.skip()?,
        "error" => reader.skip()?,
    }

    fn fault(&mut self, _: &'static str) {
        self.is_faulty = true;
    }
}

/// What is found in a result, as JSON texts.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) is_faulty: bool,
    tools: Option<&'a str>,
    prompts: Option<&'a str>,
    resources: Option<&'a str>,
    templates: Option<&'a str>,
    pub(super) cache_scope: Option<&'a str>,
}

impl<'a> Found<'a> {
    pub(super) const fn list(&self, kind: ListKind) -> Option<&'a str> {
        match kind {
            ListKind::Tools => self.tools,
            ListKind::Prompts => self.prompts,
            ListKind::Resources => self.resources,
            ListKind::Templates => self.templates,
        }
    }
}

impl<'a> Object<'a> for Found<'a> {
    members! { (self, reader)
        "tools" => self.tools = Some(reader.json()?),
        "prompts" => self.prompts = Some(reader.json()?),
        "resources" => self.resources = Some(reader.json()?),
        "resourceTemplates" => self.templates = Some(reader.json()?),
        "cacheScope" => self.cache_scope = Some(reader.json()?),
    }

    fn fault(&mut self, _: &'static str) {
        self.is_faulty = true;
    }
}

/// An element of a list.
#[derive(Debug, Default)]
pub(super) struct Element<'a> {
    pub(super) is_faulty: bool,
    name: Member<Cow<'a, str>>,
    uri: Member<Cow<'a, str>>,
    template: Member<Cow<'a, str>>,
}

impl Element<'_> {
    /// By what it is asked for.
    pub(super) fn name(&self, kind: ListKind) -> Option<&str> {
        let name = match kind {
            ListKind::Tools | ListKind::Prompts => &self.name,
            ListKind::Resources => &self.uri,
            ListKind::Templates => &self.template,
        };
        name.get().map(AsRef::as_ref)
    }
}

impl<'a> Object<'a> for Element<'a> {
    members! { (self, reader)
        "name" => self.name.read(reader)?,
        "uri" => self.uri.read(reader)?,
        "uriTemplate" => self.template.read(reader)?,
    }

    fn fault(&mut self, _: &'static str) {
        self.is_faulty = true;
    }
}
