//! How long an answer is waited for.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

type Slot = Arc<Mutex<Option<Pin<Box<Sleep>>>>>;

/// The timer of a connection. Its requests mostly come one after the other, and to set a timer anew
/// costs far less than to have one made and removed for each.
#[derive(Default)]
pub(crate) struct Timer(Slot);

/// A wait for one answer. The timer is free again when this is dropped.
pub(crate) struct Wait {
    sleep: Option<Pin<Box<Sleep>>>,
    slot: Slot,
}

impl Timer {
    /// Begins to wait for so long.
    pub(crate) fn wait(&self, span: Duration) -> Wait {
        let until = Instant::now() + span;
        let free = lock(&self.0).take();
        let sleep = match free {
            Some(mut sleep) => {
                sleep.as_mut().reset(until);
                sleep
            }
            None => Box::pin(sleep_until(until)),
        };
        Wait {
            sleep: Some(sleep),
            slot: Arc::clone(&self.0),
        }
    }
}

impl Wait {
    /// Completes when the wait has been too long.
    pub(crate) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(context),
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        *lock(&self.slot) = self.sleep.take();
    }
}

fn lock(slot: &Slot) -> std::sync::MutexGuard<'_, Option<Pin<Box<Sleep>>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each connection has its own.
impl Clone for Timer {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn is_over(wait: &mut Wait) -> bool {
        let mut nobody = Context::from_waker(std::task::Waker::noop());
        wait.poll_over(&mut nobody).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_is_as_long_as_it_was_to_be() {
        let timer = Timer::default();
        let mut first = timer.wait(10 * SECOND);
        assert!(!is_over(&mut first));
        advance(9 * SECOND).await;
        assert!(!is_over(&mut first));
        drop(first);
        // The same timer, set anew.
        let mut second = timer.wait(10 * SECOND);
        assert!(!is_over(&mut second));
        advance(9 * SECOND).await;
        // Another at the same time.
        let mut third = timer.wait(10 * SECOND);
        assert!(!is_over(&mut second) && !is_over(&mut third));
        advance(SECOND).await;
        assert!(is_over(&mut second) && !is_over(&mut third));
        drop(second);
        // One that ran out can be set, too, to any time.
        let mut fourth = timer.wait(SECOND);
        assert!(!is_over(&mut fourth));
        advance(SECOND).await;
        assert!(is_over(&mut fourth) && !is_over(&mut third));
        advance(8 * SECOND).await;
        assert!(is_over(&mut third));
    }
}
