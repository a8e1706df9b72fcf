//! One thing that is asked for.

use std::{borrow::Cow, fmt};

use crate::mcp::TargetName;

/// What an operation is about: the tool, prompt, resource or task that it names.
///
/// Names are as they were decoded from the message: case counts, nothing is normalised.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A tool by its name: `tools/call`.
    Tool(TargetName),
    /// A prompt by its name: `prompts/get`, `completion/complete`.
    Prompt(TargetName),
    /// A resource by its URI or URI template: `resources/read` and its like.
    Resource(TargetName),
    /// A task by its id: `tasks/get` and its like.
    Task(TargetName),
}

impl Target {
    /// The name, URI or id.
    #[must_use]
    pub fn name(&self) -> &str {
        self.target_name()
    }

    /// The word for what it is.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Tool(_) => "tool",
            Self::Prompt(_) => "prompt",
            Self::Resource(_) => "resource",
            Self::Task(_) => "task",
        }
    }

    pub(crate) const fn target_name(&self) -> &TargetName {
        match self {
            Self::Tool(name) | Self::Prompt(name) | Self::Resource(name) | Self::Task(name) => name,
        }
    }
}

/// One thing that is asked for: a method, and what it is about.
///
/// ```
/// use mcp_auth::{Operation, Target};
///
/// let call = Operation::tool("put_note");
/// assert_eq!(call.method(), "tools/call");
/// assert_eq!(call.target().map(Target::name), Some("put_note"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub(super) method: Cow<'static, str>,
    pub(super) targets: Targets,
}

/// Nearly every operation names one thing, which needs no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Targets {
    AtMostOne(Option<Target>),
    Several(Vec<Target>),
}

impl FromIterator<Target> for Targets {
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        let mut targets = targets.into_iter();
        let first = targets.next();
        match targets.next() {
            None => Self::AtMostOne(first),
            Some(second) => {
                Self::Several(first.into_iter().chain([second]).chain(targets).collect())
            }
        }
    }
}

impl Operation {
    /// An operation of any method.
    pub fn new(
        method: impl Into<Cow<'static, str>>,
        targets: impl IntoIterator<Item = Target>,
    ) -> Self {
        Self {
            method: method.into(),
            targets: targets.into_iter().collect(),
        }
    }

    /// `tools/call` of a tool.
    pub fn tool(name: impl Into<TargetName>) -> Self {
        Self::new("tools/call", [Target::Tool(name.into())])
    }

    /// `prompts/get` of a prompt.
    pub fn prompt(name: impl Into<TargetName>) -> Self {
        Self::new("prompts/get", [Target::Prompt(name.into())])
    }

    /// `resources/read` of a resource.
    pub fn resource(uri: impl Into<TargetName>) -> Self {
        Self::new("resources/read", [Target::Resource(uri.into())])
    }

    /// The JSON-RPC method, or `GET` and `DELETE` for the requests of the older revisions that
    /// carry no message. For a client's answer to a request of the server it is `response`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    pub(crate) const fn shared_method(&self) -> &Cow<'static, str> {
        &self.method
    }

    /// What it is about, where it names one thing or several (the first of them).
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        self.targets().first()
    }

    /// All that it names: several only for `subscriptions/listen`.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        match &self.targets {
            Targets::AtMostOne(target) => target.as_slice(),
            Targets::Several(targets) => targets,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.method)?;
        self.targets()
            .iter()
            .try_for_each(|target| write!(f, " {}", target.name()))
    }
}
