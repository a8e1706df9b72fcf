//! The policy that follows from a map of keys.

use std::{collections::HashSet, fmt, sync::Arc};

use super::KeyMap;
use crate::{
    policy::{Access, Decision, Policy},
    token::Scope,
};

/// The policy that follows from a [`KeyMap`] where there is no other: operations are not told
/// apart, and a caller needs one of the scopes of a key that is mapped to it.
///
/// - It is granted the scopes that it has of the strongest such key, so that no key is injected that
///   lacks one of them: nobody knows here which calls read and which write. Of the keys that have
///   them all it gets the weakest.
/// - One with a key without scopes needs none. Without the scopes of another key it is granted
///   nothing in particular, and gets the weakest key.
/// - Where it has none, the first scope of its weakest key is what it is asked for.
/// - One to whom nothing is mapped passes: [`KeyMapLayer`](crate::KeyMapLayer) refuses it, for that
///   very reason.
///
/// It is made by [`KeyMap::scope_policy`].
///
/// ```
/// use mcp_auth::{Access, Claims, KeyMap, Operation, Policy, UnixTime, VerifiedToken};
///
/// let keys = KeyMap::from_json(r#"{"alice": {"key": "k-1", "scopes": ["read:data"]}}"#)?;
/// let claims = r#"{"iss":"https://idp","sub":"alice","aud":"a","exp":2000000000,"scope":"email"}"#;
/// let alice = VerifiedToken::assertion(Claims::from_json(claims).unwrap());
/// let call = Operation::tool("get_note");
/// let decision = keys.scope_policy().decide(&Access::new(&alice, &call, UnixTime::EPOCH));
/// assert_eq!(decision, mcp_auth::Decision::needs("read:data".parse()?));
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct KeyScopePolicy {
    map: KeyMap,
    /// All scopes of all keys.
    known: Arc<HashSet<Box<str>>>,
}

impl KeyScopePolicy {
    pub(super) fn new(map: KeyMap) -> Self {
        let rules = map.0.rules.iter().map(|rule| &rule.keys);
        let keys = map.0.users.values().chain(rules);
        let scopes = keys.flat_map(|keys| keys.scopes());
        let known = Arc::new(scopes.map(|scope| scope.as_str().into()).collect());
        Self { map, known }
    }
}

impl Policy for KeyScopePolicy {
    fn decide(&self, access: &Access<'_>) -> Decision {
        let Some(keys) = self.map.keys_of(access.token) else {
            return Decision::allow();
        };
        let held = self.map.0.hierarchy.widen(access.token.scope());
        match (keys.strongest_held(&held), keys.least_scope()) {
            (Some(scope), _) => Decision::allow_by(scope),
            (None, Some(scope)) => Decision::needs(Scope::from_iter([scope.clone()])),
            (None, None) => Decision::allow(),
        }
    }

    fn knows(&self, scope: &str) -> bool {
        self.known.contains(scope)
    }
}

impl fmt::Debug for KeyScopePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyScopePolicy").field(&self.map).finish()
    }
}
