//! Whom keys belong to, by what the token says.

use std::{collections::BTreeSet, hash::Hash, sync::Arc};

use super::keys::Keys;
use crate::{
    keys::UpstreamKey,
    policy::ScopeHierarchy,
    token::{Scope, VerifiedToken},
};

/// Gives keys to all whose token says this and that. A rule without keys refuses them.
///
/// A claim is named by its path: `iss`, `sub`, `client_id` (else `azp`), or any other
/// (`realm_access.roles`). It must be the value, or a list that holds it. A rule that names `sub`
/// means a user, not a machine (`sub` equal to `client_id`) of that name, unless it says so.
///
/// ```
/// use mcp_auth::{KeyMap, KeyRule, Scope, UpstreamKey};
///
/// let nightly = KeyRule::new("iss", "https://idp.example.com")
///     .with_claim("client_id", "nightly-job")
///     .with_machine(true)
///     .with_key(UpstreamKey::new("nightly", "k-9")?, "read:data".parse()?);
/// let keys = KeyMap::new().with_rule(nightly);
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyRule {
    /// Path and value. Never none: a key for everybody would have to be said in other words.
    claims: Vec<(Box<str>, Box<str>)>,
    machine: Option<bool>,
    pub(super) keys: Keys,
}

impl KeyRule {
    /// A rule for tokens whose claim at `path` is `value`, or a list that holds it.
    pub fn new(path: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        Self {
            claims: vec![(path.into(), value.into())],
            machine: None,
            keys: Keys::default(),
        }
    }

    /// And whose claim at this path is that.
    pub fn with_claim(mut self, path: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.claims.push((path.into(), value.into()));
        self
    }

    /// And which are a machine's (`sub` equal to `client_id`), or, with `false`, are not.
    pub const fn with_machine(mut self, machine: bool) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Adds a key: it serves operations that need no other scopes than these, with those that they
    /// imply; [`Scope::EMPTY`] serves all. It replaces the rule's key of the same name.
    pub fn with_key(mut self, key: UpstreamKey, scopes: Scope) -> Self {
        // The map widens the scopes when it takes the rule in.
        self.keys.add(key, scopes, &ScopeHierarchy::default());
        self
    }

    pub(super) fn matches(&self, token: &VerifiedToken) -> bool {
        let is_machine = token.principal().is_machine();
        self.machine().is_none_or(|machine| machine == is_machine)
            && self
                .claims
                .iter()
                .all(|(path, value)| has(token, path, value))
    }

    fn machine(&self) -> Option<bool> {
        self.machine.or(self.value_of("sub").and(Some(false)))
    }

    pub(super) fn value_of(&self, path: &str) -> Option<&str> {
        let claim = self.claims.iter().find(|(it, _)| **it == *path);
        claim.map(|(_, value)| &**value)
    }

    /// Whether it can match nobody: a `sub` that is its own `client_id` is a machine's.
    pub(super) fn is_void(&self) -> bool {
        let sub = self.value_of("sub");
        sub.is_some() && sub == self.value_of("client_id") && self.machine() != Some(true)
    }

    /// What it says, in any order: rules of the same words match the same tokens.
    pub(super) fn words(&self) -> impl Eq + Hash + use<> {
        let claims: BTreeSet<_> = self.claims.iter().cloned().collect();
        (self.machine(), claims)
    }

    /// What a key without a name is called after.
    pub(super) fn subject(&self) -> Arc<str> {
        let subject = self.value_of("sub").or(self.value_of("client_id"));
        let first = self.claims.first().map(|(_, value)| &**value);
        subject.or(first).unwrap_or_default().into()
    }
}

fn has(token: &VerifiedToken, path: &str, value: &str) -> bool {
    let principal = token.principal();
    match path {
        "iss" => principal.issuer() == value,
        "sub" => principal.subject() == value,
        "client_id" => principal.client_id() == Some(value),
        _ => token.claims().has(path, value),
    }
}
