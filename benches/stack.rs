//! What the default stack costs around a service that does nothing: with a token that was seen
//! before, and with one that was not.
#![allow(missing_docs)]

mod scene;

use criterion::{Criterion, criterion_group, criterion_main};
use mcp_auth::Algorithm;

fn stack(c: &mut Criterion) {
    let mut group = c.benchmark_group("stack");
    let warm = scene::scene(Algorithm::RS256, 1000);
    group.bench_function("warm", |b| b.iter(|| warm.send()));
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let cold = scene::scene(algorithm, 0);
        group.bench_function(format!("cold {algorithm:?}"), |b| b.iter(|| cold.send()));
    }
    group.finish();
}

criterion_group!(benches, stack);
criterion_main!(benches);
