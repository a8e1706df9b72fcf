//! Which scopes a rule asks for.

use crate::{
    error::ConfigError,
    policy::ScopeHierarchy,
    token::{Scope, ScopeToken},
};

/// Which scopes a rule asks for, beside the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// This set, or any one of the others.
    first: Scope,
    others: Vec<Scope>,
}

impl Requirement {
    /// All of these scopes.
    #[must_use]
    pub const fn all(scope: Scope) -> Self {
        Self {
            first: scope,
            others: Vec::new(),
        }
    }

    /// All the scopes of any one of these sets.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where there is no set, or an empty one: that would ask for nothing, which
    /// [`Requirement::base`] says in so many words.
    pub fn any(alternatives: impl IntoIterator<Item = Scope>) -> Result<Self, ConfigError> {
        let mut alternatives = alternatives.into_iter();
        let Some(first) = alternatives.next() else {
            return Err(ConfigError::new("there is no alternative"));
        };
        let others = Vec::from_iter(alternatives);
        if first.is_empty() || others.iter().any(Scope::is_empty) {
            return Err(ConfigError::new(
                "one of the alternatives asks for no scope",
            ));
        }
        Ok(Self { first, others })
    }

    /// Nothing beside the base.
    #[must_use]
    pub const fn base() -> Self {
        Self::all(Scope::EMPTY)
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = &ScopeToken> {
        self.first.iter().chain(self.others.iter().flatten())
    }

    /// The set of which the least is missing, the first of equals, and whether none of it is.
    pub(super) fn nearest(&self, held: &Scope, hierarchy: &ScopeHierarchy) -> (&Scope, bool) {
        let mut nearest = &self.first;
        let mut least = hierarchy.missing(held, nearest);
        for scope in &self.others {
            let missing = hierarchy.missing(held, scope);
            if missing < least {
                (nearest, least) = (scope, missing);
            }
        }
        (nearest, least == 0)
    }
}
