//! Which internal key belongs to whom.

mod json;
mod keys;
mod node;
mod policy;
mod rule;
mod rules;

use std::{
    collections::HashMap,
    fmt,
    future::{Ready, ready},
    sync::Arc,
};

use foldhash::fast::RandomState;

use self::{keys::Keys, rules::Rules};
pub use self::{policy::KeyScopePolicy, rule::KeyRule};
use crate::{
    error::{ConfigError, StoreError},
    keys::{KeyStore, UpstreamKey, UpstreamKeyId},
    policy::{Grant, ScopeHierarchy},
    token::{Scope, VerifiedToken},
};

/// Upstream keys in memory: who gets which. Cheap to clone.
///
/// A caller is looked for among the users by name, then among the rules in their order; the first
/// match counts. Of a caller's keys the weakest that suffices is given: its scopes, with all that the
/// hierarchy says they imply, hold every scope that the operation was granted by. Weaker is the
/// one with fewer scopes, implied ones counted; a tie goes to the first. A key without scopes
/// serves everything and counts as the strongest. Where none suffices there is no key, and the
/// caller is refused. Nobody falls back to the key of another.
///
/// A user is a `sub` that is not its own `client_id`: a machine that is called `alice` is not the
/// user `alice`. Names are compared byte by byte. A user's name says nothing of the issuer: where you
/// trust several, use rules that name `iss`.
///
/// ```
/// use mcp_auth::{KeyMap, KeyRule, Scope, UpstreamKey};
///
/// let keys = KeyMap::new()
///     .with_user("alice", UpstreamKey::new("ro", "k-1")?, "read:data".parse()?)
///     .with_user("alice", UpstreamKey::new("rw", "k-2")?, "read:data write:data".parse()?)
///     .with_rule(
///         KeyRule::new("realm_access.roles", "auditor")
///             .with_key(UpstreamKey::new("audit", "k-3")?, Scope::EMPTY),
///     );
///
/// // The same as it is written in a file.
/// let keys = KeyMap::from_json(
///     r#"{"alice": [{"name": "ro", "key": "k-1", "scopes": ["read:data"]},
///                   {"name": "rw", "key": "k-2", "scopes": ["read:data", "write:data"]}]}"#,
/// )?;
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct KeyMap(Arc<Inner>);

#[derive(Clone, Default)]
struct Inner {
    /// Whoever asks adds none, so a quick hash will do.
    users: HashMap<Arc<str>, Keys, RandomState>,
    rules: Rules,
    hierarchy: ScopeHierarchy,
}

impl KeyMap {
    /// A map in which nobody has a key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a map from JSON:
    ///
    /// - `{"alice": "KEY"}`: a key that serves everything;
    /// - `{"alice": {"key": "KEY", "name": "ro", "scopes": ["read:data"]}}`, where `name` and
    ///   `scopes` may be left out;
    /// - `{"alice": [{"name": "ro", "key": "…", "scopes": […]}, {"name": "rw", …}]}`;
    /// - `[{"match": {"iss": "…", "sub": "alice"}, "keys": [ … ]},
    ///   {"match": {"client_id": "batch", "machine": true}, "keys": [ … ]}]`: rules, whose first
    ///   match counts, as [`KeyRule`] has them.
    ///
    /// A key is called after its subject where it has no name. The caller wipes `json`, as it
    /// came to it; what is read from it is wiped when the map is dropped.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it is nothing of that kind: unknown or repeated members, repeated
    /// subjects, names or matches, a match without a claim, an empty list, a key that is empty or
    /// cannot stand in a header. The message names the place and the name, and never holds a key.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        json::read(json).map_err(|what| ConfigError::new(format!("the key map {what}")))
    }

    /// Adds a key for a user: it serves operations that need no other scopes than these, with those
    /// that they imply; [`Scope::EMPTY`] serves all. It replaces the user's key of the same name.
    pub fn with_user(
        mut self,
        subject: impl Into<Arc<str>>,
        key: UpstreamKey,
        scopes: Scope,
    ) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        let keys = inner.users.entry(subject.into()).or_default();
        keys.add(key, scopes, &inner.hierarchy);
        self
    }

    /// Adds a rule behind those that are there.
    pub fn with_rule(mut self, mut rule: KeyRule) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        rule.keys.widen(&inner.hierarchy);
        inner.rules.push(rule);
        self
    }

    /// Says which scopes imply which others: the same that the policy goes by.
    pub fn with_hierarchy(mut self, hierarchy: ScopeHierarchy) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        let rules = inner.rules.iter_mut().map(|rule| &mut rule.keys);
        for keys in inner.users.values_mut().chain(rules) {
            keys.widen(&hierarchy);
        }
        inner.hierarchy = hierarchy;
        self
    }

    /// The policy that follows from the map where there is no other: see [`KeyScopePolicy`].
    pub fn scope_policy(&self) -> KeyScopePolicy {
        KeyScopePolicy::new(self.clone())
    }

    /// All keys of a caller; `None` where nothing is mapped to it.
    fn keys_of(&self, token: &VerifiedToken) -> Option<&Keys> {
        let principal = token.principal();
        let user = if principal.is_machine() {
            None
        } else {
            self.0.users.get(principal.subject())
        };
        user.or_else(|| self.0.rules.keys_of(token))
    }
}

/// Shows how much there is, and no key.
impl fmt::Debug for KeyMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMap")
            .field("users", &self.0.users.len())
            .field("rules", &self.0.rules.len())
            .finish_non_exhaustive()
    }
}

impl KeyStore<UpstreamKeyId> for KeyMap {
    type Key = UpstreamKey;
    type Future = Ready<Result<Option<UpstreamKey>, StoreError>>;

    fn key(&self, id: &UpstreamKeyId) -> Self::Future {
        const NOTHING: &Scope = &Scope::EMPTY;
        let needs = id.grant().map_or(NOTHING, Grant::scope);
        let keys = self.keys_of(id.token());
        ready(Ok(keys.and_then(|keys| keys.weakest(needs)).cloned()))
    }
}
