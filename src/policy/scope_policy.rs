//! A policy made of rules: which scopes for which method, tool, prompt and resource.

use std::collections::HashSet;

use crate::{
    error::ConfigError,
    mcp::{Operation, ProtocolVersion, Target},
    policy::{
        Access, Decision, Explanation, Policy, Requirement, ScopeHierarchy,
        explanation::Because,
        rules::{Rule, Rules},
        uri,
    },
    token::{Scope, ScopeToken},
};

/// A policy made of rules: which scopes for which method, tool, prompt and resource.
///
/// A name that ends in `*` is a glob. An exact name goes before a glob, a longer glob before a
/// shorter one. What a rule asks for adds to the base. Where a method has a rule and what it names
/// has one, both must hold.
///
/// It denies by default. Tools, prompts, resources and tasks need a rule; `completion/complete`,
/// `resources/subscribe`, `resources/unsubscribe` and `subscriptions/listen` follow the rules of
/// what they name, a task those of `tasks/get`. Without a rule, only the base is asked of the life
/// cycle (`initialize`, `ping`, `server/discover`, `logging/setLevel`, `notifications/*`), the
/// lists, `GET`, `DELETE` and, in revisions that have them, answers of the client. A method that
/// its revision does not define exists only if a rule names it; `resources/directory/read` of the
/// skills extension then follows the rules of the resource, too.
///
/// A resource's URI that some server could take for another matches no glob: with dot segments,
/// empty segments, backslashes, white space or control characters; with escapes that no URI needs
/// (`%73ecret`, `%2e`, `%252f`), or of slashes; with a scheme or host as parsers do not write it
/// (`FILE:`, `https://h:443`), or with user information. Else URIs and rules are compared with their
/// escapes decoded; and unless a rule names the very URI, the rules for what else some servers read
/// must hold too, where they are more specific: the URI without its query and fragment, for a file
/// without its host, for `db://user@Host:1` and the like by the host's name, and each, unless a rule
/// names it, with or without a slash at its end.
///
/// ```
/// use mcp_auth::{Access, Claims, Operation, Policy, Requirement, ScopePolicy, UnixTime, VerifiedToken};
///
/// let policy = ScopePolicy::new()
///     .with_base("read:data".parse()?)
///     .tool("get_*", Requirement::base())?
///     .tool("put_*", Requirement::all("write:data".parse()?))?;
///
/// let reader = VerifiedToken::assertion(Claims::from_json(
///     r#"{"iss":"https://idp.example.com","sub":"alice","exp":2000000000,"scope":"read:data"}"#,
/// )?);
/// let now = UnixTime::from_secs(1_900_000_000);
/// let get = Operation::tool("get_note");
/// let put = Operation::tool("put_note");
/// assert!(policy.decide(&Access::new(&reader, &get, now)).is_allowed());
/// assert_eq!(
///     policy.explain(&Access::new(&reader, &put, now)).to_string(),
///     r#"insufficient_scope: tools/call "put_note" (tools "put_*") needs read:data write:data"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ScopePolicy {
    base: Scope,
    hierarchy: ScopeHierarchy,
    methods: Rules,
    tools: Rules,
    prompts: Rules,
    resources: Rules,
    /// The scopes that rules name.
    named: HashSet<ScopeToken>,
}

impl Default for ScopePolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl ScopePolicy {
    /// A policy without base and rules.
    pub fn new() -> Self {
        Self {
            base: Scope::EMPTY,
            hierarchy: ScopeHierarchy::default(),
            methods: Rules::new("methods"),
            tools: Rules::new("tools"),
            prompts: Rules::new("prompts"),
            resources: Rules::of_uris("resources"),
            named: HashSet::new(),
        }
    }

    /// Reads a policy file: JSON with the members `base`, `hierarchy`, `methods`, `tools`,
    /// `prompts` and `resources`, none of which has to be there.
    ///
    /// A rule is a list of scopes (all of them), a list of lists (any one of them), or `[]` (the
    /// base only).
    ///
    /// ```
    /// let policy = mcp_auth::ScopePolicy::from_json(
    ///     r#"{"base":["read:data"],"hierarchy":{"admin":["write:data"]},"tools":{"put_*":["write:data"]}}"#,
    /// )?;
    /// # let _ = policy;
    /// # Ok::<(), mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names the place: unknown and repeated members, rules that come twice,
    /// a `*` that is not at the end, a glob that can match no URI, what is no scope, a cycle in the
    /// hierarchy.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        serde_json::from_str(json)
            .map_err(|error| ConfigError::new(format!("the policy cannot be read: {error}")))
    }

    /// The same with the scopes that everything needs, in place of those before.
    pub fn with_base(mut self, base: Scope) -> Self {
        self.base = base;
        self
    }

    /// The same with the scopes that imply others, in place of those before.
    pub fn with_hierarchy(mut self, hierarchy: ScopeHierarchy) -> Self {
        self.hierarchy = hierarchy;
        self
    }

    /// The same with a rule for a JSON-RPC method, or for `GET`, `DELETE` and `response`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the rule comes twice, or has a `*` that is not at the end.
    pub fn method(self, pattern: &str, requirement: Requirement) -> Result<Self, ConfigError> {
        self.insert(|policy| &mut policy.methods, pattern, requirement)
    }

    /// The same with a rule for a tool's name.
    ///
    /// # Errors
    ///
    /// As [`method`](Self::method).
    pub fn tool(self, pattern: &str, requirement: Requirement) -> Result<Self, ConfigError> {
        self.insert(|policy| &mut policy.tools, pattern, requirement)
    }

    /// The same with a rule for a prompt's name.
    ///
    /// # Errors
    ///
    /// As [`method`](Self::method).
    pub fn prompt(self, pattern: &str, requirement: Requirement) -> Result<Self, ConfigError> {
        self.insert(|policy| &mut policy.prompts, pattern, requirement)
    }

    /// The same with a rule for a resource's URI or URI template. A template is compared as it stands,
    /// braces and all, which is how lists and completions name it: what it expands to needs a rule of
    /// its own. A glob such as `note://*` is one for `note://{id}` and for `note://1`.
    ///
    /// # Errors
    ///
    /// As [`method`](Self::method); where another rule says the same decoded, it comes twice. And where
    /// it is a glob that can match no URI, because parsers write its scheme or host otherwise.
    pub fn resource(self, pattern: &str, requirement: Requirement) -> Result<Self, ConfigError> {
        self.insert(|policy| &mut policy.resources, pattern, requirement)
    }

    fn insert(
        mut self,
        rules: fn(&mut Self) -> &mut Rules,
        pattern: &str,
        requirement: Requirement,
    ) -> Result<Self, ConfigError> {
        self.named.extend(requirement.scopes().cloned());
        rules(&mut self).insert(pattern, requirement)?;
        Ok(self)
    }

    /// Which scopes imply others.
    #[must_use]
    pub const fn hierarchy(&self) -> &ScopeHierarchy {
        &self.hierarchy
    }

    /// The decision with the rule that made it.
    #[must_use]
    pub fn explain(&self, access: &Access<'_>) -> Explanation {
        let (decision, because) = self.judge(access);
        Explanation::new(decision, because, access.operation)
    }

    fn judge<'a>(&'a self, access: &Access<'a>) -> (Decision, Because<'a>) {
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

impl Policy for ScopePolicy {
    fn decide(&self, access: &Access<'_>) -> Decision {
        self.judge(access).0
    }

    fn base(&self) -> Scope {
        self.base.clone()
    }

    fn knows(&self, scope: &str) -> bool {
        scope.parse().is_ok_and(|scope: ScopeToken| {
            self.base.contains(scope.as_str())
                || self.named.contains(&scope)
                || self.hierarchy.names(&scope)
        })
    }
}
