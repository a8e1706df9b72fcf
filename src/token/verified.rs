//! The proof that a token was checked.

use std::{ops::Deref, sync::Arc};

use crate::token::{Claims, Principal, Scope};

/// A token that was checked: its claims, and the fact that somebody answers for them.
///
/// Over HTTP only [`JwtValidateLayer`](crate::JwtValidateLayer) puts one into the request's
/// extensions. It holds no token text. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VerifiedToken(Arc<Claims>);

impl VerifiedToken {
    /// Says that these claims were checked, by you: for tests and for validators of your own.
    ///
    /// Nothing is checked here. Everything behind this call trusts the claims.
    #[must_use]
    pub fn assertion(claims: Claims) -> Self {
        Self(Arc::new(claims))
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.0
    }

    /// Who is calling.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        self.0.principal()
    }

    /// What the token allows.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.0.scope()
    }
}

impl Deref for VerifiedToken {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.0
    }
}
