//! By what a token is called at its issuer.

use crate::{hash::Hash128, token::Claims};

/// What a token is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// `jti`.
    Token,
    /// `sid`.
    Session,
    /// `client_id`, else `azp`.
    Client,
    /// `sub`.
    Subject,
}

impl Name {
    /// What stands for a name of this kind in the tables in memory.
    pub(crate) fn hash(self, iss: &str, id: &str) -> Hash128 {
        Hash128::of(&(self, iss, id))
    }
}

/// The names of one token, as far as it has them, in the order of [`Name`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names([Option<Hash128>; 4]);

impl Names {
    pub(super) fn of(claims: &Claims) -> Self {
        let principal = claims.principal();
        let names = [
            (Name::Token, claims.jwt_id()),
            (Name::Session, claims.session_id()),
            (Name::Client, principal.client_id()),
            (Name::Subject, Some(principal.subject())),
        ];
        Self(names.map(|(name, id)| Some(name.hash(principal.issuer(), id?))))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<Hash128>> {
        self.0.into_iter()
    }
}
