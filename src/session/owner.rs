//! What stands for the principal that opened a session.

use std::fmt;

use sha2::{Digest, Sha256};

use super::hash::write_hex;
use crate::token::Principal;

/// Stands for the principal that opened a session: a SHA-256 of issuer, subject and client, the same
/// for every token of theirs. A store keeps 32 bytes for any name, and no names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionOwner([u8; 32]);

impl SessionOwner {
    /// The principal as an owner.
    #[must_use]
    pub fn of(principal: &Principal) -> Self {
        let mut hash = Sha256::new();
        // Lengths stand before the parts, so that no two principals run into the same text.
        let mut part = |text: &str| {
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(text);
        };
        part(principal.issuer());
        part(principal.subject());
        if let Some(client) = principal.client_id() {
            part(client);
        }
        Self(hash.finalize().into())
    }

    /// An owner as it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionOwner(")?;
        write_hex(&self.0, f)?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn owner(iss: &str, sub: &str, client_id: Option<&str>) -> SessionOwner {
        SessionOwner::of(&Principal::new(
            iss.into(),
            sub.into(),
            client_id.map(Into::into),
        ))
    }

    #[test]
    fn every_part_counts_and_none_runs_into_the_next() {
        let all = [
            owner("i", "s", Some("c")),
            owner("x", "s", Some("c")),
            owner("i", "x", Some("c")),
            owner("i", "s", Some("x")),
            owner("i", "s", Some("")),
            owner("i", "s", None),
            owner("is", "", Some("c")),
            owner("", "is", Some("c")),
            owner("i", "sc", None),
            owner("i", "", Some("sc")),
        ];
        assert_eq!(BTreeSet::from(all).len(), all.len());
        assert_eq!(owner("i", "s", Some("c")), all[0]);
        assert_eq!(SessionOwner::from_bytes(*all[0].as_bytes()), all[0]);
    }
}
