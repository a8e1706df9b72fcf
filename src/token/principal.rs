//! Who is calling.

use std::sync::Arc;

/// Who is calling: issuer, subject and client.
///
/// Limits, sessions and keys belong to a principal, never to a token. Two tokens of one user and
/// client are one principal; one user behind two clients is two.
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts {
    iss: Arc<str>,
    sub: Arc<str>,
    client_id: Option<Arc<str>>,
}

impl Principal {
    pub(crate) fn new(iss: Arc<str>, sub: Arc<str>, client_id: Option<Arc<str>>) -> Self {
        Self(Arc::new(Parts {
            iss,
            sub,
            client_id,
        }))
    }

    /// The `iss` claim: who vouches for the caller.
    #[must_use]
    pub fn issuer(&self) -> &Arc<str> {
        &self.0.iss
    }

    /// The `sub` claim: the caller, unique within the issuer.
    #[must_use]
    pub fn subject(&self) -> &Arc<str> {
        &self.0.sub
    }

    /// The `client_id` claim, else `azp`: the program that the caller uses.
    #[must_use]
    pub fn client_id(&self) -> Option<&Arc<str>> {
        self.0.client_id.as_ref()
    }

    /// Whether the caller is a program of its own and no user: `sub` equals `client_id`, as
    /// RFC 9068 section 2.2 has it for the client credentials grant.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        self.0.client_id.as_ref() == Some(&self.0.sub)
    }
}
