//! A policy made of rules: which scopes for which method, tool, prompt and resource.

use std::collections::HashSet;

use crate::{
    error::ConfigError,
    policy::{Access, Decision, Explanation, Policy, Requirement, ScopeHierarchy, rules::Rules},
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
/// without its host, for `db://user@Host:1` and the like by the host's name, for `note:///a/b` and the
/// like as `note://a/b`, and each, unless a rule names it, with or without a slash at its end.
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
    pub(super) base: Scope,
    pub(super) hierarchy: ScopeHierarchy,
    pub(super) methods: Rules,
    pub(super) tools: Rules,
    pub(super) prompts: Rules,
    pub(super) resources: Rules,
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
