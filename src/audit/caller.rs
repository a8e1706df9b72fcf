//! Who called, in the log.

use std::fmt;

use crate::{
    audit::text::{Text, is_short},
    token::{Scope, VerifiedToken},
};

/// The caller of a request, if it is known.
#[derive(Clone)]
pub(crate) enum Caller {
    Unknown,
    /// All its texts are short enough: nothing is copied.
    Known(VerifiedToken),
    Cut(Box<Cut>),
}

/// A caller with a text that is longer than the log takes.
#[derive(Clone)]
pub(crate) struct Cut {
    user: Text,
    issuer: Text,
    client_id: Option<Text>,
    scope: Scope,
}

impl Caller {
    /// Whoever the token is of.
    pub(crate) fn of(token: VerifiedToken) -> Self {
        let principal = token.principal();
        let (user, issuer) = (principal.subject(), principal.issuer());
        let client_id = principal.client_id();
        if is_short(user) && is_short(issuer) && client_id.is_none_or(is_short) {
            return Self::Known(token);
        }
        Self::Cut(Box::new(Cut {
            user: Text::new(user),
            issuer: Text::new(issuer),
            client_id: client_id.map(Text::new),
            scope: token.scope().clone(),
        }))
    }

    pub(super) fn user(&self) -> Option<&str> {
        match self {
            Self::Unknown => None,
            Self::Known(token) => Some(token.principal().subject()),
            Self::Cut(cut) => Some(cut.user.as_str()),
        }
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        match self {
            Self::Unknown => None,
            Self::Known(token) => Some(token.principal().issuer()),
            Self::Cut(cut) => Some(cut.issuer.as_str()),
        }
    }

    pub(super) fn client_id(&self) -> Option<&str> {
        match self {
            Self::Unknown => None,
            Self::Known(token) => token.principal().client_id(),
            Self::Cut(cut) => cut.client_id.as_ref().map(Text::as_str),
        }
    }

    pub(super) fn scope(&self) -> &Scope {
        match self {
            Self::Unknown => &Scope::EMPTY,
            Self::Known(token) => token.scope(),
            Self::Cut(cut) => &cut.scope,
        }
    }

    fn fields(&self) -> impl fmt::Debug + PartialEq {
        (self.user(), self.issuer(), self.client_id(), self.scope())
    }
}

/// By what the log says of it.
impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        self.fields() == other.fields()
    }
}

/// What the log says of it: no other claim.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::token::Claims;

    fn caller([iss, sub, client]: [&str; 3]) -> (Caller, VerifiedToken) {
        let json = format!(
            r#"{{"iss":"{iss}","sub":"{sub}","client_id":"{client}","exp":1,"scope":"a","x":"s3cr3t"}}"#
        );
        let token = VerifiedToken::assertion(Claims::from_json(&json).unwrap());
        (Caller::of(token.clone()), token)
    }

    #[test]
    fn a_short_caller_is_shared_and_a_long_one_cut() {
        let (caller_of_it, token) = caller(["https://i", &"é".repeat(128), "app"]);
        let shared = token.principal().subject().as_ptr();
        assert_eq!(caller_of_it.user().map(str::as_ptr), Some(shared));
        let long = "x".repeat(300);
        let cut = format!("{}…", "x".repeat(256));
        for place in 0..3 {
            let mut texts = ["https://i", "alice", "app"];
            let mut shown = texts;
            (texts[place], shown[place]) = (&long, &cut);
            let (caller, _) = caller(texts);
            let said = [caller.issuer(), caller.user(), caller.client_id()];
            assert_eq!(said, shown.map(Some));
            assert!(caller.scope().iter().any(|scope| scope.as_str() == "a"));
        }
    }

    #[test]
    fn other_claims_are_neither_shown_nor_compared() {
        let (one, _) = caller(["https://i", "alice", "app"]);
        assert!(!format!("{one:?}").contains("s3cr3t"));
        let (same, _) = caller(["https://i", "alice", "app"]);
        let (other, _) = caller(["https://i", "bob", "app"]);
        assert!(one == same && one != other && one != Caller::Unknown);
    }
}
