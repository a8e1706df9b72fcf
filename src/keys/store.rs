//! The one trait behind which keys live.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::error::StoreError;

/// What a store answers when it is boxed.
type BoxAnswer<Key> = Pin<Box<dyn Future<Output = Result<Option<Key>, StoreError>> + Send>>;

/// Answers one question: which key belongs to this id?
///
/// Both ends of the pipeline ask it: [`JwtValidateLayer`](crate::JwtValidateLayer) for the key
/// that verifies a signature ([`VerificationKeyId`](crate::VerificationKeyId)), and
/// [`KeyMapLayer`](crate::KeyMapLayer) for the key to inject ([`UpstreamKeyId`](crate::UpstreamKeyId)).
/// A secret manager, a database or a file plugs in here. [`key_store_fn`] makes a store of a
/// closure.
pub trait KeyStore<Id>: Clone + Send + Sync + 'static {
    /// The key, cheap to clone.
    type Key: Clone + Send + Sync + 'static;

    /// The answer. A store in memory answers with [`Ready`](std::future::Ready) and allocates
    /// nothing; a remote one boxes its future. It is polled once where the request is handed in,
    /// and, if it is not ready then, again by the task that waits for the response.
    ///
    /// The request waits for as long as it takes: a store that asks elsewhere gives up in time, with a
    /// [`StoreError`].
    type Future: Future<Output = Result<Option<Self::Key>, StoreError>> + Send + Unpin + 'static;

    /// Looks the key up. `Ok(None)`: there is none, and the caller is refused.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it could not be found out: the caller is asked to come back (503).
    fn key(&self, id: &Id) -> Self::Future;
}

/// A key store made of a closure. The id comes by value; what the closure captures it clones into
/// the future.
///
/// ```
/// use std::{collections::HashMap, sync::Arc};
/// use mcp_auth::{StoreError, UpstreamKey, UpstreamKeyId, key_store_fn};
///
/// let vault = Arc::new(HashMap::from([("alice".to_owned(), "k-1".to_owned())]));
/// let keys = key_store_fn(move |id: UpstreamKeyId| {
///     let vault = Arc::clone(&vault);
///     async move {
///         let principal = id.token().principal();
///         // A machine that is called alice is not the user alice.
///         if principal.is_machine() {
///             return Ok(None);
///         }
///         match vault.get(principal.subject()) {
///             Some(key) => UpstreamKey::new("alice", key.clone())
///                 .map(Some)
///                 .map_err(|error| StoreError::new(error.to_string())),
///             None => Ok(None),
///         }
///     }
/// });
/// # fn is_store(_: impl mcp_auth::KeyStore<UpstreamKeyId, Key = UpstreamKey>) {}
/// # is_store(keys);
/// ```
pub const fn key_store_fn<Id, Key, F, Fut>(find: F) -> KeyStoreFn<F>
where
    F: Fn(Id) -> Fut,
    Fut: Future<Output = Result<Option<Key>, StoreError>>,
{
    KeyStoreFn { find }
}

/// What [`key_store_fn`] makes.
#[derive(Clone, Copy)]
#[must_use]
pub struct KeyStoreFn<F> {
    find: F,
}

impl<F> fmt::Debug for KeyStoreFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStoreFn").finish_non_exhaustive()
    }
}

impl<Id, Key, F, Fut> KeyStore<Id> for KeyStoreFn<F>
where
    Id: Clone,
    Key: Clone + Send + Sync + 'static,
    F: Fn(Id) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Key>, StoreError>> + Send + 'static,
{
    type Key = Key;
    type Future = BoxAnswer<Key>;

    fn key(&self, id: &Id) -> Self::Future {
        Box::pin((self.find)(id.clone()))
    }
}

/// Any key store behind one type, for a field or a choice at run time. Each answer is boxed.
#[must_use]
pub struct BoxKeyStore<Id, Key> {
    ask: Arc<Ask<Id, Key>>,
}

type Ask<Id, Key> = dyn Fn(&Id) -> BoxAnswer<Key> + Send + Sync;

impl<Id, Key> BoxKeyStore<Id, Key> {
    /// Takes the store in.
    pub fn new<K: KeyStore<Id, Key = Key>>(store: K) -> Self {
        Self {
            ask: Arc::new(move |id| Box::pin(store.key(id))),
        }
    }
}

impl<Id, Key> Clone for BoxKeyStore<Id, Key> {
    fn clone(&self) -> Self {
        Self {
            ask: Arc::clone(&self.ask),
        }
    }
}

impl<Id, Key> fmt::Debug for BoxKeyStore<Id, Key> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxKeyStore").finish_non_exhaustive()
    }
}

impl<Id, Key> KeyStore<Id> for BoxKeyStore<Id, Key>
where
    Id: 'static,
    Key: Clone + Send + Sync + 'static,
{
    type Key = Key;
    type Future = BoxAnswer<Key>;

    fn key(&self, id: &Id) -> Self::Future {
        (self.ask)(id)
    }
}
