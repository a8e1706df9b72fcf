//! The trait behind which revocations live.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{error::StoreError, token::VerifiedToken};

type BoxAnswer = Pin<Box<dyn Future<Output = Result<Revocation, StoreError>> + Send>>;

/// Whether a token is still to be honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// Nothing speaks against the token.
    Active,
    /// The token, its session, its client or its subject was revoked.
    Revoked,
}

/// Answers whether a token was revoked: by (`iss`, `jti`), by `sid`, by `client_id`, or by subject
/// (everything issued up to an instant; a token without `iat` counts as older).
pub trait RevocationStore: Clone + Send + Sync + 'static {
    /// The answer. It is polled once where the request is handed in, and, if it is not ready then,
    /// again by the task that waits for the response.
    ///
    /// The request waits for as long as it takes: a store that asks elsewhere gives up in time, with a
    /// [`StoreError`].
    type Future: Future<Output = Result<Revocation, StoreError>> + Send + Unpin + 'static;

    /// Must answer for this very token, and must not answer [`Revocation::Active`] when unsure.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it could not be found out.
    fn status(&self, token: &VerifiedToken) -> Self::Future;
}

/// A revocation store made of a closure. The token comes by value; what the closure captures it
/// clones into the future.
///
/// ```
/// use std::{collections::HashSet, sync::Arc};
/// use mcp_auth::{Revocation, VerifiedToken, revocation_store_fn};
///
/// let left_the_company = Arc::new(HashSet::from(["bob"]));
/// let store = revocation_store_fn(move |token: VerifiedToken| {
///     let gone = Arc::clone(&left_the_company);
///     async move {
///         Ok(if gone.contains(token.principal().subject()) {
///             Revocation::Revoked
///         } else {
///             Revocation::Active
///         })
///     }
/// });
/// # fn is_store(_: impl mcp_auth::RevocationStore) {}
/// # is_store(store);
/// ```
pub const fn revocation_store_fn<F, Fut>(status: F) -> RevocationStoreFn<F>
where
    F: Fn(VerifiedToken) -> Fut,
    Fut: Future<Output = Result<Revocation, StoreError>>,
{
    RevocationStoreFn { status }
}

/// What [`revocation_store_fn`] makes.
#[derive(Clone, Copy)]
#[must_use]
pub struct RevocationStoreFn<F> {
    status: F,
}

impl<F> fmt::Debug for RevocationStoreFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationStoreFn").finish_non_exhaustive()
    }
}

impl<F, Fut> RevocationStore for RevocationStoreFn<F>
where
    F: Fn(VerifiedToken) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Revocation, StoreError>> + Send + 'static,
{
    type Future = BoxAnswer;

    fn status(&self, token: &VerifiedToken) -> Self::Future {
        Box::pin((self.status)(token.clone()))
    }
}

/// Any revocation store behind one type. Each answer is boxed.
#[derive(Clone)]
#[must_use]
pub struct BoxRevocationStore {
    ask: Arc<dyn Fn(&VerifiedToken) -> BoxAnswer + Send + Sync>,
}

impl BoxRevocationStore {
    /// Takes the store in.
    pub fn new<V: RevocationStore>(store: V) -> Self {
        Self {
            ask: Arc::new(move |token| Box::pin(store.status(token))),
        }
    }
}

impl fmt::Debug for BoxRevocationStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxRevocationStore").finish_non_exhaustive()
    }
}

impl RevocationStore for BoxRevocationStore {
    type Future = BoxAnswer;

    fn status(&self, token: &VerifiedToken) -> Self::Future {
        (self.ask)(token)
    }
}
