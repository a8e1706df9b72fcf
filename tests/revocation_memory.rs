//! What revocations take in memory, and that they give it back.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::{alloc::System, time::Duration};

use cap::Cap;
use mcp_auth::{Clock, MemoryRevocationStore, UnixTime, testing::TestClock};

/// Counts what is allocated. No other test may run in this process.
#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

const ISSUER: &str = "https://idp.example.com";

/// What the store may take for each entry, however long its id is.
const EACH: usize = 64;

#[test]
fn an_entry_takes_at_most_64_bytes_and_gives_them_back_when_its_time_is_over() {
    let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
    let before = ALLOCATED.allocated();
    let store = MemoryRevocationStore::new().with_clock(clock.clone());
    let long = "x".repeat(100);
    let revoke = |round: usize, n: usize| {
        let until = clock.now().saturating_add(Duration::from_secs(60));
        store.revoke_token(ISSUER, &format!("{round} {n} {long}"), until);
    };
    let taken = || ALLOCATED.allocated() - before;

    // At any size, whatever room was made for those to come.
    for n in 1..=1_000_000 {
        revoke(0, n);
        if n >= 10_000 && n % 1000 == 0 {
            assert!(taken() <= n * EACH, "{} for {n}", taken());
        }
    }
    // Others come, until each part of the table was looked through.
    clock.advance(Duration::from_secs(61));
    for n in 1..=100_000 {
        revoke(1, n);
    }
    assert!(taken() <= 100_000 * EACH, "{}", taken());
    // And so on for ever: there are never more of the past than of the present.
    for round in 2..8 {
        clock.advance(Duration::from_secs(61));
        for n in 1..=100_000 {
            revoke(round, n);
        }
        assert!(taken() <= 200_000 * EACH, "{} in round {round}", taken());
    }
    drop(store);
    assert!(taken() < 10_000, "{}", taken());
}
