//! Who is calling.

use std::sync::Arc;

/// Who is calling: issuer, subject and client.
///
/// Limits, sessions and keys belong to a principal, never to a token. Two tokens of one user and
/// client are one principal; one user behind two clients is two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    iss: Arc<str>,
    sub: Arc<str>,
    client_id: Option<Arc<str>>,
}

impl Principal {
    pub(crate) const fn new(iss: Arc<str>, sub: Arc<str>, client_id: Option<Arc<str>>) -> Self {
        Self {
            iss,
            sub,
            client_id,
        }
    }

    /// The `iss` claim: who vouches for the caller.
    #[must_use]
    pub const fn issuer(&self) -> &Arc<str> {
        &self.iss
    }

    /// The `sub` claim: the caller, unique within the issuer.
    #[must_use]
    pub const fn subject(&self) -> &Arc<str> {
        &self.sub
    }

    /// The `client_id` claim, else `azp`: the program that the caller uses.
    #[must_use]
    pub const fn client_id(&self) -> Option<&Arc<str>> {
        self.client_id.as_ref()
    }

    /// Whether the caller is a program of its own and no user: `sub` equals `client_id`, as
    /// RFC 9068 section 2.2 has it for the client credentials grant.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        self.client_id.as_ref() == Some(&self.sub)
    }
}
