//! Takes from one count after the other, until one has not enough.

use std::{
    fmt,
    future::Future,
    mem,
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

type Take = (Quota, RateKey, NonZeroU32);

/// What is to be taken, count by count, each count once. Nearly every request has one, which needs
/// no list.
#[derive(Default)]
pub(super) struct Several {
    first: Option<Take>,
    others: Vec<Take>,
}

impl Several {
    pub(super) fn add(&mut self, quota: Quota, key: RateKey, cost: NonZeroU32) {
        let Some(first) = &mut self.first else {
            self.first = Some((quota, key, cost));
            return;
        };
        let mut all = std::iter::once(first).chain(&mut self.others);
        match all.find(|(own, taken, _)| *own == quota && *taken == key) {
            Some((_, _, total)) => *total = total.saturating_add(cost.get()),
            None => self.others.push((quota, key, cost)),
        }
    }
}

#[cfg(test)]
impl Several {
    /// What each count is to give.
    pub(super) fn costs(&self) -> Vec<u32> {
        let all = self.first.iter().chain(&self.others);
        all.map(|(_, _, cost)| cost.get()).collect()
    }
}

/// What all counts together say: the first that has not enough, else the last.
pub struct Takes<L: RateLimitStore> {
    asked: Option<L::Future>,
    /// What is asked after that, if anything is.
    left: Option<Box<Left<L>>>,
    is_local: bool,
}

struct Left<L> {
    config: Arc<Config<L>>,
    now: UnixTime,
    takes: vec::IntoIter<Take>,
}

impl<L: RateLimitStore> Takes<L> {
    /// Asks for the first; `None` where there is nothing to take.
    #[inline]
    pub(super) fn new(config: &Arc<Config<L>>, takes: &mut Several, now: UnixTime) -> Option<Self> {
        let (quota, key, cost) = takes.first.as_ref()?;
        Some(Self {
            asked: Some(config.store.take(key, quota, *cost, now)),
            left: (!takes.others.is_empty()).then(|| {
                Box::new(Left {
                    config: Arc::clone(config),
                    now,
                    takes: mem::take(&mut takes.others).into_iter(),
                })
            }),
            is_local: false,
        })
    }

    /// Asks for the next; `false` where none is left.
    fn ask_next(&mut self) -> bool {
        self.asked = self.left.as_mut().and_then(|left| {
            let (quota, key, cost) = left.takes.next()?;
            Some(left.config.store.take(&key, &quota, cost, left.now))
        });
        self.asked.is_some()
    }
}

impl<L: RateLimitStore> Future for Takes<L> {
    type Output = Result<Verdict, StoreError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let Some(asked) = &mut this.asked else {
                // Polled after it was ready, which no executor does.
                return Poll::Pending;
            };
            match ready!(Pin::new(asked).poll(context)) {
                Ok(Verdict::Allowed { remaining, local }) => {
                    this.is_local |= local;
                    if !this.ask_next() {
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
    }
}

impl<L: RateLimitStore> fmt::Debug for Takes<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takes").finish_non_exhaustive()
    }
}
