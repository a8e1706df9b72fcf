//! The trait behind which counts live.

use std::{fmt, future::Future, num::NonZeroU32, pin::Pin, sync::Arc, time::Duration};

use crate::{
    clock::UnixTime,
    error::StoreError,
    rate::{Quota, RateKey},
};

type BoxAnswer = Pin<Box<dyn Future<Output = Result<Verdict, StoreError>> + Send>>;
type Take = dyn Fn(&RateKey, &Quota, NonZeroU32, UnixTime) -> BoxAnswer + Send + Sync;

/// What a limit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// There was enough, and it is spent.
    #[non_exhaustive]
    Allowed {
        /// How many units are left.
        remaining: u32,
        /// Whether a local count stood in for the shared one.
        local: bool,
    },
    /// There was not enough, and nothing is spent.
    #[non_exhaustive]
    Limited {
        /// How long until there is enough.
        retry_after: Duration,
        /// Whether a local count stood in for the shared one.
        local: bool,
    },
}

impl Verdict {
    /// There was enough: `remaining` units are left.
    #[must_use]
    pub const fn allowed(remaining: u32) -> Self {
        Self::Allowed {
            remaining,
            local: false,
        }
    }

    /// There was not enough: come back after `retry_after`.
    #[must_use]
    pub const fn limited(retry_after: Duration) -> Self {
        Self::Limited {
            retry_after,
            local: false,
        }
    }

    /// The same, said by a local count that stood in for the shared one.
    #[must_use]
    pub const fn by_local_count(self) -> Self {
        match self {
            Self::Allowed { remaining, .. } => Self::Allowed {
                remaining,
                local: true,
            },
            Self::Limited { retry_after, .. } => Self::Limited {
                retry_after,
                local: true,
            },
        }
    }
}

/// Keeps the counts of limits.
///
/// ```
/// use std::num::NonZeroU32;
/// use mcp_auth::{MemoryRateLimitStore, Quota, RateKey, RateLimitStore, UnixTime};
///
/// /// Counts in memory, and takes twice as much in the first minute after a restart.
/// #[derive(Clone)]
/// struct SlowStart {
///     counts: MemoryRateLimitStore,
///     started: UnixTime,
/// }
///
/// impl RateLimitStore for SlowStart {
///     type Future = <MemoryRateLimitStore as RateLimitStore>::Future;
///
///     fn take(
///         &self,
///         key: &RateKey,
///         quota: &Quota,
///         cost: NonZeroU32,
///         now: UnixTime,
///     ) -> Self::Future {
///         let is_early = now.saturating_since(self.started).as_secs() < 60;
///         let cost = if is_early { cost.saturating_add(cost.get()) } else { cost };
///         self.counts.take(key, quota, cost, now)
///     }
/// }
/// ```
pub trait RateLimitStore: Clone + Send + Sync + 'static {
    /// The answer. It is polled once where the request is handed in, and, if it is not ready then,
    /// again by the task that waits for the response.
    ///
    /// The request waits for as long as it takes: a store that asks elsewhere gives up in time, with a
    /// [`StoreError`].
    type Future: Future<Output = Result<Verdict, StoreError>> + Send + Unpin + 'static;

    /// Spends `cost` units of the key's quota, all or nothing, in one step that no other call can
    /// come between.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the count could not be kept.
    fn take(&self, key: &RateKey, quota: &Quota, cost: NonZeroU32, now: UnixTime) -> Self::Future;
}

/// Any limit store behind one type. Each answer is boxed.
#[derive(Clone)]
#[must_use]
pub struct BoxRateLimitStore {
    take: Arc<Take>,
}

impl BoxRateLimitStore {
    /// Takes the store in.
    pub fn new<L: RateLimitStore>(store: L) -> Self {
        Self {
            take: Arc::new(move |key, quota, cost, now| {
                Box::pin(store.take(key, quota, cost, now))
            }),
        }
    }
}

impl fmt::Debug for BoxRateLimitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxRateLimitStore").finish_non_exhaustive()
    }
}

impl RateLimitStore for BoxRateLimitStore {
    type Future = BoxAnswer;

    fn take(&self, key: &RateKey, quota: &Quota, cost: NonZeroU32, now: UnixTime) -> Self::Future {
        (self.take)(key, quota, cost, now)
    }
}
