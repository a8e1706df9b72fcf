//! What the tests of the gateway share: the process under test, and servers to stand behind it.
//!
//! Everything listens on loopback, on ports that the system chose, and ends with the test.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

pub mod gateway;
pub mod redis;
pub mod revocations;
pub mod tls;
pub mod upstream;

use std::{
    future::Future,
    path::Path,
    time::{Duration, Instant},
};

/// How long anything may take that should take no time at all, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `check` gives a value, asking every few milliseconds.
pub async fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for a future, and not for ever.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The lines of a JSON lines file. A line that is still being written does not count.
pub fn json_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}
