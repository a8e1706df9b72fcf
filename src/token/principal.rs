//! Who is calling.

use std::{
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

use crate::hash::Hash128;

/// Who is calling: issuer, subject and client.
///
/// Limits, sessions and keys belong to a principal, never to a token. Two tokens of one user and
/// client are one principal; one user behind two clients is two.
///
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Principal(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    iss: Arc<str>,
    sub: Arc<str>,
    client_id: Option<Arc<str>>,
    /// Made when it is first asked for, and then kept with the token.
    hash: OnceLock<Hash128>,
}

impl Principal {
    pub(crate) fn new(iss: Arc<str>, sub: Arc<str>, client_id: Option<Arc<str>>) -> Self {
        Self(Arc::new(Parts {
            iss,
            sub,
            client_id,
            hash: OnceLock::new(),
        }))
    }

    /// The `iss` claim: who vouches for the caller.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.iss
    }

    /// The `sub` claim: the caller, unique within the issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.sub
    }

    /// The `client_id` claim, else `azp`: the program that the caller uses.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.0.client_id.as_deref()
    }

    /// The client, and its issuer, within which alone its name is unique.
    pub(crate) fn shared_client(&self) -> Option<(&Arc<str>, &Arc<str>)> {
        Some((&self.0.iss, self.0.client_id.as_ref()?))
    }

    /// Whether the caller is a program of its own and no user: `sub` equals `client_id`, as
    /// RFC 9068 section 2.2 has it for the client credentials grant.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        self.0.client_id.as_ref() == Some(&self.0.sub)
    }

    /// What stands for the principal in the tables in memory.
    pub(crate) fn hash128(&self) -> Hash128 {
        let Parts {
            iss,
            sub,
            client_id,
            hash,
        } = &*self.0;
        *hash.get_or_init(|| Hash128::of(&("principal", iss, sub, client_id)))
    }
}

/// All of it counts.
impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.issuer() == other.issuer()
            && self.subject() == other.subject()
            && self.client_id() == other.client_id()
    }
}

impl Eq for Principal {}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash128().hash(state);
    }
}
