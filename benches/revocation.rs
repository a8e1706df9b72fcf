//! What it costs to ask whether a token is revoked, with ten revocations and with a million: in
//! memory, and in a Redis of its own whose one connection carries 64 questions at a time.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mcp_auth::VerifiedToken;
use support::revocations::{FEW, MANY, in_memory, in_redis, one_by_one, side_by_side, tokens};
use tokio::runtime;

/// So many tokens, again and again the same.
fn some(tokens: &[VerifiedToken], n: u64) -> impl Iterator<Item = &VerifiedToken> {
    tokens.iter().cycle().take(usize::try_from(n).unwrap())
}

async fn time(checks: impl Future<Output = ()>) -> Duration {
    let start = Instant::now();
    checks.await;
    start.elapsed()
}

fn revocation(c: &mut Criterion) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let (runtime, tokens) = (runtime.unwrap(), tokens());
    let mut group = c.benchmark_group("revocation");
    for n in [FEW, MANY] {
        let store = in_memory(n);
        group.bench_function(BenchmarkId::new("memory", n), |b| {
            b.iter_custom(|checks| {
                runtime.block_on(time(one_by_one(&store, some(&tokens, checks))))
            });
        });
    }
    for n in [FEW, MANY] {
        let (_server, store) = in_redis(n);
        // The first question connects.
        runtime.block_on(side_by_side(&store, &tokens));
        group.bench_function(BenchmarkId::new("redis", n), |b| {
            b.iter_custom(|checks| {
                runtime.block_on(time(side_by_side(&store, some(&tokens, checks))))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, revocation);
criterion_main!(benches);
