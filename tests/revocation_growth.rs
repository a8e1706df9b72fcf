//! With a million revocations a check costs at most twice what it costs with ten.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::revocations::{FEW, MANY, in_memory, in_redis, one_by_one, side_by_side, tokens};

/// Enough that one of the rounds is undisturbed.
const ROUNDS: usize = 41;

/// Compares the quickest rounds: what else the machine does, and takes of its caches, only ever adds
/// to a round. Both take turns.
async fn assert_at_most_twice(few: impl AsyncFn(), many: impl AsyncFn()) {
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_few.push(time(&few).await);
        of_many.push(time(&many).await);
    }
    let (of_few, of_many) = (of_few.into_iter().min(), of_many.into_iter().min());
    let (of_few, of_many) = (of_few.unwrap(), of_many.unwrap());
    println!("{FEW}: {of_few:?}; {MANY}: {of_many:?}");
    assert!(
        of_many <= of_few * 2,
        "{FEW}: {of_few:?}; {MANY}: {of_many:?}"
    );
}

async fn time(round: impl AsyncFn()) -> Duration {
    let start = Instant::now();
    round().await;
    start.elapsed()
}

#[tokio::test]
async fn in_memory_a_check_costs_with_a_million_revocations_what_it_costs_with_ten() {
    let (few, many, tokens) = (in_memory(FEW), in_memory(MANY), tokens());
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
