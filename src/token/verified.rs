//! The proof that a token was checked.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use crate::token::{Claims, Names, Principal, Scope};

/// A token that was checked: its claims, and the fact that somebody answers for them.
///
/// Over HTTP only [`JwtValidateLayer`](crate::JwtValidateLayer) puts one into the request's
/// extensions. It holds no token text. Cheap to clone.
#[derive(Clone)]
pub struct VerifiedToken(Arc<Parts>);

struct Parts {
    claims: Claims,
    /// Made when they are first asked for: a token is asked about again and again.
    names: OnceLock<Names>,
}

impl VerifiedToken {
    /// Says that these claims were checked, by you: for tests and for validators of your own.
    ///
    /// Nothing is checked here. Everything behind this call trusts the claims.
    #[must_use]
    pub fn assertion(claims: Claims) -> Self {
        Self(Arc::new(Parts {
            claims,
            names: OnceLock::new(),
        }))
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// Who is calling.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        self.claims().principal()
    }

    /// What the token allows.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.claims().scope()
    }

    /// By what it is revoked.
    pub(crate) fn names(&self) -> &Names {
        self.0.names.get_or_init(|| Names::of(self.claims()))
    }
}

impl Deref for VerifiedToken {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        self.claims()
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedToken").field(self.claims()).finish()
    }
}
