//! The keys of one caller.

use crate::{
    keys::UpstreamKey,
    policy::ScopeHierarchy,
    token::{Scope, ScopeToken},
};

/// The keys of one caller, in the order in which they were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<ScopedKey>);

#[derive(Clone, Debug)]
pub(super) struct ScopedKey {
    pub(super) key: UpstreamKey,
    /// What it serves; empty: everything.
    pub(super) scopes: Scope,
    /// The same with all that is implied.
    wide: Scope,
}

impl ScopedKey {
    /// How much it can do.
    fn strength(&self) -> usize {
        if self.scopes.is_empty() {
            usize::MAX
        } else {
            self.wide.len()
        }
    }

    fn suffices(&self, needs: &Scope) -> bool {
        self.scopes.is_empty() || needs.iter().all(|scope| self.wide.contains(scope.as_str()))
    }
}

impl Keys {
    /// Adds a key, or puts it in the place of the one of its name.
    pub(super) fn add(&mut self, key: UpstreamKey, scopes: Scope, hierarchy: &ScopeHierarchy) {
        let wide = hierarchy.widen(&scopes);
        let new = ScopedKey { key, scopes, wide };
        match self.0.iter_mut().find(|it| it.key.name() == new.key.name()) {
            Some(old) => *old = new,
            None => self.0.push(new),
        }
    }

    pub(super) fn widen(&mut self, hierarchy: &ScopeHierarchy) {
        for key in &mut self.0 {
            key.wide = hierarchy.widen(&key.scopes);
        }
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.0.iter().any(|it| it.key.name() == name)
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = &ScopeToken> {
        self.0.iter().flat_map(|it| &it.scopes)
    }

    /// The weakest that suffices, a tie goes to the first.
    pub(super) fn weakest(&self, needs: &Scope) -> Option<&UpstreamKey> {
        let fits = self.0.iter().filter(|it| it.suffices(needs));
        Some(&fits.min_by_key(|it| it.strength())?.key)
    }

    /// Of the strongest key of which `held` has a scope, those that it has; a tie goes to the last.
    pub(super) fn strongest_held(&self, held: &Scope) -> Option<Scope> {
        let strongest = self
            .0
            .iter()
            .filter(|it| it.scopes.iter().any(|scope| held.contains(scope.as_str())))
            .max_by_key(|it| it.strength())?;
        let scopes = strongest.scopes.iter();
        let has = scopes.filter(|scope| held.contains(scope.as_str()));
        Some(has.cloned().collect())
    }

    /// The first scope of the weakest key: what to ask for to be let through at all. `None` where a
    /// key needs no scope.
    pub(super) fn least_scope(&self) -> Option<&ScopeToken> {
        if self.0.iter().any(|it| it.scopes.is_empty()) {
            return None;
        }
        let weakest = self.0.iter().min_by_key(|it| it.strength())?;
        weakest.scopes.iter().next()
    }
}
