//! With a million revocations a check costs at most twice what it costs with few.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::revocations::{FEW, MANY, in_memory, in_redis, one_by_one, side_by_side, tokens};

/// Enough that half of the rounds are undisturbed.
const ROUNDS: usize = 41;

/// Compares what a round typically takes. Both take turns, so that whatever else the machine does
/// slows down both.
async fn assert_at_most_twice(few: impl AsyncFn(), many: impl AsyncFn()) {
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_few.push(time(&few).await);
        of_many.push(time(&many).await);
    }
    let (of_few, of_many) = (median(of_few), median(of_many));
    assert!(of_many <= of_few * 2, "few: {of_few:?}; many: {of_many:?}");
}

async fn time(round: impl AsyncFn()) -> Duration {
    let start = Instant::now();
    round().await;
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.swap_remove(ROUNDS / 2)
}

#[tokio::test]
async fn in_memory_a_check_costs_with_a_million_revocations_what_it_costs_with_a_thousand() {
    // Ten leave most parts of the table empty, and those are not looked into at all: without
    // optimization that is half of the cost. The benchmark compares ten.
    let (few, many, tokens) = (in_memory(1000), in_memory(MANY), tokens());
    assert_at_most_twice(
        async || one_by_one(&few, &tokens).await,
        async || one_by_one(&many, &tokens).await,
    )
    .await;
}

#[tokio::test]
async fn in_redis_a_check_costs_with_a_million_revocations_what_it_costs_with_ten() {
    let ((_one, few), (_other, many), tokens) = (in_redis(FEW), in_redis(MANY), tokens());
    assert_at_most_twice(
        async || side_by_side(&few, &tokens).await,
        async || side_by_side(&many, &tokens).await,
    )
    .await;
}
