//! The trait behind which sessions live.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    clock::UnixTime,
    error::StoreError,
    session::{SessionHash, SessionOwner},
};

type Answer = Result<Option<SessionOwner>, StoreError>;
type BoxAnswer = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Remembers who opened which session. Every answer is whose the session is, `None` where it is
/// nobody's; the layer compares.
///
/// Sessions end: those that nobody used for a day may be forgotten.
///
/// ```
/// use std::{collections::HashMap, future::{Ready, ready}, sync::{Arc, Mutex}};
/// use mcp_auth::{SessionHash, SessionOwner, SessionStore, StoreError, UnixTime};
///
/// /// Remembers for ever, and everything: for a demonstration.
/// #[derive(Clone, Default)]
/// struct Endless(Arc<Mutex<HashMap<SessionHash, SessionOwner>>>);
///
/// impl Endless {
///     fn with(
///         &self,
///         ask: impl FnOnce(&mut HashMap<SessionHash, SessionOwner>) -> Option<SessionOwner>,
///     ) -> Ready<Result<Option<SessionOwner>, StoreError>> {
///         let broken = |_| StoreError::new("the sessions are lost");
///         ready(self.0.lock().map(|mut all| ask(&mut all)).map_err(broken))
///     }
/// }
///
/// impl SessionStore for Endless {
///     type Future = Ready<Result<Option<SessionOwner>, StoreError>>;
///
///     fn owner(&self, session: SessionHash, _: UnixTime) -> Self::Future {
///         self.with(|all| all.get(&session).copied())
///     }
///
///     fn bind(&self, session: SessionHash, owner: SessionOwner, _: UnixTime) -> Self::Future {
///         self.with(|all| Some(*all.entry(session).or_insert(owner)))
///     }
///
///     fn forget(&self, session: SessionHash) -> Self::Future {
///         self.with(|all| all.remove(&session))
///     }
/// }
/// ```
pub trait SessionStore: Clone + Send + Sync + 'static {
    /// The answer. It is polled once where the request is handed in, and, if it is not ready then,
    /// again by the task that waits for the response.
    ///
    /// The request waits for as long as it takes: a store that asks elsewhere gives up in time, with a
    /// [`StoreError`].
    type Future: Future<Output = Result<Option<SessionOwner>, StoreError>> + Send + Unpin + 'static;

    /// Whose the session is at `now`. To ask is to use it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it could not be found out.
    fn owner(&self, session: SessionHash, now: UnixTime) -> Self::Future;

    /// Gives the session to `owner`, unless it is somebody's already, in one step; answers whose it
    /// is from here on.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it could not be kept.
    fn bind(&self, session: SessionHash, owner: SessionOwner, now: UnixTime) -> Self::Future;

    /// Forgets the session; answers whose it was.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it could not be done.
    fn forget(&self, session: SessionHash) -> Self::Future;
}

/// Any session store behind one type. Each answer is boxed.
#[derive(Clone)]
#[must_use]
pub struct BoxSessionStore {
    store: Arc<dyn Boxed>,
}

impl BoxSessionStore {
    /// Takes the store in.
    pub fn new<T: SessionStore>(store: T) -> Self {
        Self {
            store: Arc::new(store),
        }
    }
}

impl fmt::Debug for BoxSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxSessionStore").finish_non_exhaustive()
    }
}

impl SessionStore for BoxSessionStore {
    type Future = BoxAnswer;

    fn owner(&self, session: SessionHash, now: UnixTime) -> Self::Future {
        self.store.boxed_owner(session, now)
    }

    fn bind(&self, session: SessionHash, owner: SessionOwner, now: UnixTime) -> Self::Future {
        self.store.boxed_bind(session, owner, now)
    }

    fn forget(&self, session: SessionHash) -> Self::Future {
        self.store.boxed_forget(session)
    }
}

/// The same trait with one future for all.
trait Boxed: Send + Sync {
    fn boxed_owner(&self, session: SessionHash, now: UnixTime) -> BoxAnswer;
    fn boxed_bind(&self, session: SessionHash, owner: SessionOwner, now: UnixTime) -> BoxAnswer;
    fn boxed_forget(&self, session: SessionHash) -> BoxAnswer;
}

impl<T: SessionStore> Boxed for T {
    fn boxed_owner(&self, session: SessionHash, now: UnixTime) -> BoxAnswer {
        Box::pin(self.owner(session, now))
    }

    fn boxed_bind(&self, session: SessionHash, owner: SessionOwner, now: UnixTime) -> BoxAnswer {
        Box::pin(self.bind(session, owner, now))
    }

    fn boxed_forget(&self, session: SessionHash) -> BoxAnswer {
        Box::pin(self.forget(session))
    }
}
