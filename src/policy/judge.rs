//! What the rules of a policy say of an operation.

use crate::{
    mcp::{Operation, ProtocolVersion, Target},
    policy::{
        Access, Decision, ScopeHierarchy, ScopePolicy, explanation::Because, rules::Rule, uri,
    },
    token::Scope,
};

impl ScopePolicy {
    /// The decision, and what made it.
    pub(super) fn judge<'a>(&'a self, access: &Access<'a>) -> (Decision, Because<'a>) {
        let operation = access.operation;
        let method = self.methods.find(operation.method());
        if let Some(no) = self.refuse(operation, access.version, method.is_some()) {
            return no;
        }
        let mut needs = Needs {
            held: access.token.scope(),
            hierarchy: &self.hierarchy,
            scope: self.base.clone(),
            because: Because::Base,
            are_met: self.hierarchy.covers(access.token.scope(), &self.base),
        };
        if let Some(rule) = method {
            needs.add(rule);
        }
        for target in operation.targets() {
            // The rule of the method, without which it was refused above, speaks of the task.
            if is_task_method(operation) && matches!(target, Target::Task(_)) {
                continue;
            }
            let Some(rule) = self.rule_for(target) else {
                return (Decision::forbid(), Because::NoRule(target));
            };
            needs.add(rule);
            if let Target::Resource(uri) = target
                && !rule.is_exact()
            {
                self.read_otherwise(uri, rule).for_each(|it| needs.add(it));
            }
        }
        needs.decide()
    }

    /// What is refused whatever the scopes, before any rule for what it names is looked for.
    fn refuse(
        &self,
        operation: &Operation,
        version: ProtocolVersion,
        has_rule: bool,
    ) -> Option<(Decision, Because<'static>)> {
        let method = operation.method();
        if !has_rule && !exists(method, version) {
            return Some((Decision::unknown_method(), Because::NotDefined(version)));
        }
        if is_task_method(operation) && !has_rule {
            return Some((Decision::forbid(), Because::NoMethodRule));
        }
        if !operation.targets().is_empty() {
            return None;
        }
        match method {
            "tools/call"
            | "prompts/get"
            | "resources/read"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "resources/directory/read"
            | "completion/complete" => Some((Decision::forbid(), Because::NoTarget)),
            _ if has_rule || needs_base_only(method) => None,
            _ => Some((Decision::forbid(), Because::NoMethodRule)),
        }
    }

    fn rule_for(&self, target: &Target) -> Option<Rule<'_>> {
        match target {
            Target::Tool(name) => self.tools.find(name),
            Target::Prompt(name) => self.prompts.find(name),
            Target::Resource(uri) if uri::is_ambiguous(uri) => self.resources.find_exact(uri),
            Target::Resource(uri) => self.resources.find(uri),
            // A task shows what a tool gave, and its id does not tell which one.
            Target::Task(_) => self.methods.find("tasks/get"),
        }
    }

    /// The rules for what else some servers read, where they tell more than that of the URI itself.
    /// They add to it: where the URI is read as it stands, it is not the thing that they speak of.
    fn read_otherwise<'a>(&'a self, uri: &'a str, own: Rule<'a>) -> impl Iterator<Item = Rule<'a>> {
        let read = uri::readings(uri).flat_map(|[uri, other]| {
            let rule = self.resources.find(&uri);
            // What a rule names is not what a glob takes it for with another slash.
            let is_named = rule.is_some_and(|rule| rule.is_exact());
            let other = (!is_named).then(|| self.resources.find(&other)).flatten();
            rule.into_iter().chain(other)
        });
        read.filter(move |rule| rule.tells > own.tells)
    }
}

fn is_task_method(operation: &Operation) -> bool {
    operation.method().starts_with("tasks/")
}

fn exists(method: &str, version: ProtocolVersion) -> bool {
    match method {
        "GET" | "DELETE" => true,
        "response" => !version.is_stateless(),
        // Whoever does not know a notification ignores it.
        _ => version.defines(method) || method.starts_with("notifications/"),
    }
}

/// What asks for the base only where no rule names it.
fn needs_base_only(method: &str) -> bool {
    matches!(
        method,
        "initialize"
            | "ping"
            | "server/discover"
            | "logging/setLevel"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "subscriptions/listen"
            | "GET"
            | "DELETE"
            | "response"
    ) || method.starts_with("notifications/")
}

/// The scopes that an operation needs, as far as they are known.
struct Needs<'a> {
    held: &'a Scope,
    hierarchy: &'a ScopeHierarchy,
    scope: Scope,
    /// The first thing that is not met, else the last that is.
    because: Because<'a>,
    are_met: bool,
}

impl<'a> Needs<'a> {
    fn add(&mut self, rule: Rule<'a>) {
        let (scope, is_met) = rule.requirement.nearest(self.held, self.hierarchy);
        self.scope.join(scope);
        if self.are_met {
            self.because = Because::Rule(rule);
            self.are_met = is_met;
        }
    }

    fn decide(self) -> (Decision, Because<'a>) {
        let decision = if self.are_met {
            Decision::allow_by(self.scope)
        } else {
            Decision::needs(self.scope)
        };
        (decision, self.because)
    }
}
