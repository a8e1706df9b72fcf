//! The proof that a token was checked.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::token::{Claims, Names, Principal, Scope};
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
use crate::{clock::UnixTime, keys::VerificationKey};

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
    /// Where it is remembered, what it was verified with.
    #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
    key: OnceLock<VerificationKey>,
    /// The revocations that were last looked through, and did not name it.
    named_by_none_of: AtomicU64,
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
            #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
            key: OnceLock::new(),
            named_by_none_of: AtomicU64::new(0),
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

    /// Whether the revocations of this version were looked through, and did not name it. No version
    /// is 0.
    pub(crate) fn is_named_by_none_of(&self, version: u64) -> bool {
        self.0.named_by_none_of.load(Ordering::Acquire) == version
    }

    pub(crate) fn set_named_by_none_of(&self, version: u64) {
        self.0.named_by_none_of.store(version, Ordering::Release);
    }

    /// By what it is revoked.
    pub(crate) fn names(&self) -> &Names {
        self.0.names.get_or_init(|| Names::of(self.claims()))
    }
}

#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
impl VerifiedToken {
    /// Remembers what it was verified with.
    pub(super) fn set_key(&self, key: VerificationKey) {
        // A token is verified once.
        let _ = self.0.key.set(key);
    }

    /// Whether the key that it was verified with, and is remembered with, is still good.
    pub(super) fn is_key_in_force(&self, now: UnixTime) -> bool {
        self.0.key.get().is_some_and(|key| key.is_in_force(now))
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
