//! Takes from one count after the other, until one has not enough.

use std::{
    fmt,
    future::Future,
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    vec,
};

use super::layer::Config;
use crate::{
    clock::UnixTime,
    error::StoreError,
    rate::{Quota, RateKey, RateLimitStore, Verdict},
};

/// What all counts together say: the first that has not enough, else the last.
pub struct Takes<L: RateLimitStore> {
    config: Arc<Config<L>>,
    now: UnixTime,
    asked: Option<L::Future>,
    left: vec::IntoIter<(Quota, RateKey, NonZeroU32)>,
    is_local: bool,
}

impl<L: RateLimitStore> Takes<L> {
    pub(super) fn new(
        config: Arc<Config<L>>,
        takes: Vec<(Quota, RateKey, NonZeroU32)>,
        now: UnixTime,
    ) -> Self {
        Self {
            config,
            now,
            asked: None,
            left: takes.into_iter(),
            is_local: false,
        }
    }
}

impl<L: RateLimitStore> Future for Takes<L> {
    type Output = Result<Verdict, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Some(asked) = &mut this.asked {
                let verdict = ready!(Pin::new(asked).poll(context));
                this.asked = None;
                match verdict {
                    Ok(Verdict::Allowed { remaining, local }) => {
                        this.is_local |= local;
                        if this.left.len() == 0 {
                            let verdict = Verdict::allowed(remaining);
                            return Poll::Ready(Ok(if this.is_local {
                                verdict.by_local_count()
                            } else {
                                verdict
                            }));
                        }
                    }
                    other => return Poll::Ready(other),
                }
            }
            let Some((quota, key, cost)) = this.left.next() else {
                return Poll::Ready(Ok(Verdict::allowed(u32::MAX)));
            };
            this.asked = Some(this.config.store.take(&key, &quota, cost, this.now));
        }
    }
}

impl<L: RateLimitStore> fmt::Debug for Takes<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takes").finish_non_exhaustive()
    }
}
