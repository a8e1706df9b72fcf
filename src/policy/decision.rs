//! What a policy answers.

use crate::token::Scope;

/// What a policy answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Yes.
    Allow(Grant),
    /// No.
    Deny(Denial),
}

impl Decision {
    /// Yes, and no scope was needed for it.
    #[must_use]
    pub const fn allow() -> Self {
        Self::Allow(Grant {
            scope: Scope::EMPTY,
        })
    }

    /// Yes, by these scopes.
    #[must_use]
    pub const fn allow_by(scope: Scope) -> Self {
        Self::Allow(Grant { scope })
    }

    /// No, and these are all the scopes that the operation needs.
    #[must_use]
    pub const fn needs(scope: Scope) -> Self {
        Self::Deny(Denial {
            kind: DenialKind::InsufficientScope,
            required: scope,
        })
    }

    /// No, and no scope would change that.
    #[must_use]
    pub const fn forbid() -> Self {
        Self::Deny(Denial {
            kind: DenialKind::Forbidden,
            required: Scope::EMPTY,
        })
    }

    /// There is no such method.
    #[must_use]
    pub const fn unknown_method() -> Self {
        Self::Deny(Denial {
            kind: DenialKind::UnknownMethod,
            required: Scope::EMPTY,
        })
    }

    /// Whether it is a yes.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// A yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    scope: Scope,
}

impl Grant {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    pub(crate) fn into_scope(self) -> Scope {
        self.scope
    }

    /// The scopes that the operation needed: an upstream key must serve all of them.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// Which kind of no it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenialKind {
    /// A token with more scopes would be let through.
    InsufficientScope,
    /// No scope would change it.
    Forbidden,
    /// The revision of the request has no such method.
    UnknownMethod,
}

/// A no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    kind: DenialKind,
    required: Scope,
}

impl Denial {
    pub(crate) fn into_required(self) -> Scope {
        self.required
    }

    /// Which kind of no it is.
    #[must_use]
    pub const fn kind(&self) -> DenialKind {
        self.kind
    }

    /// All the scopes that the operation needs, held or not.
    #[must_use]
    pub const fn required(&self) -> &Scope {
        &self.required
    }
}
