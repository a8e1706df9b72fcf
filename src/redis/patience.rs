//! How long an answer may take.

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::timeout;

/// Waits for an answer, in slices that count as long as they were meant to be: the time in which a
/// busy machine kept this process from running is not held against Redis, whose answer may lie
/// there unread.
pub(super) async fn in_time<F: Future>(limit: Duration, question: F) -> Option<F::Output> {
    const SLICES: u32 = 5;
    let mut question = pin!(question);
    for _ in 0..SLICES {
        if let Ok(answer) = timeout(limit / SLICES, &mut question).await {
            return Some(answer);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_time_in_which_the_process_ran_counts() {
        let limit = Duration::from_millis(50);
        let start = tokio::time::Instant::now();
        assert_eq!(in_time(limit, std::future::pending::<()>()).await, None);
        let took = start.elapsed();
        assert!((50..=55).contains(&took.as_millis()), "{took:?}");

        let (answer, question) = oneshot::channel();
        let waiting = tokio::spawn(in_time(limit, question));
        tokio::task::yield_now().await;
        // The whole machine slept.
        advance(Duration::from_secs(9)).await;
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && answer.send("late").is_ok());
        assert_eq!(waiting.await.ok().flatten(), Some(Ok("late")));
    }
}
