//! What it costs to take from a bucket, beside few others and beside many.
#![allow(missing_docs, clippy::expect_used)]

mod scene;

use std::{
    hint::black_box,
    num::{NonZeroU32, NonZeroUsize},
};

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use mcp_auth::{Clock, MemoryRateLimitStore, Quota, RateKey, RateLimitStore, SystemClock};

fn limit(c: &mut Criterion) {
    let quota = Quota::per_second(NonZeroU32::new(1_000_000_000).expect("not zero"));
    let key_of = |subject: &str| {
        RateKey::new("calls").with_principal(scene::verified(subject).principal().clone())
    };
    let now = SystemClock.now();
    let alice = key_of("alice");
    let mut group = c.benchmark_group("limit");
    for others in [10, 10_000] {
        let room = NonZeroUsize::new(others + 1).expect("not zero");
        let store = MemoryRateLimitStore::with_capacity(room);
        let take = |key: &RateKey| {
            let verdict = store.take(key, &quota, NonZeroU32::MIN, now);
            verdict
                .now_or_never()
                .and_then(Result::ok)
                .expect("it is in memory")
        };
        for other in 0..others {
            take(&key_of(&format!("user-{other}")));
        }
        group.bench_function(format!("beside {others}"), |b| {
            b.iter(|| take(black_box(&alice)));
        });
    }
    group.finish();
}

criterion_group!(benches, limit);
criterion_main!(benches);
