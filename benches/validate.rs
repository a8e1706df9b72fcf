//! What it costs to judge a token: all that comes before its signature, and the signature.
#![allow(missing_docs, clippy::expect_used)]

mod scene;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use mcp_auth::{Algorithm, Clock, KeyStore, SystemClock, testing::TestIssuer};

fn validate(c: &mut Criterion) {
    let issuer = TestIssuer::start().expect("an issuer");
    let (validator, keys) = (scene::validator(&issuer), scene::keys(&issuer));
    let now = SystemClock.now();
    let mut group = c.benchmark_group("validate");
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let claims = scene::claims(issuer.url(), "alice");
        let token = Bytes::from(issuer.token_signed_with(algorithm, &claims));
        group.bench_function(format!("inspect {algorithm:?}"), |b| {
            b.iter(|| {
                validator
                    .inspect(black_box(token.clone()), now)
                    .expect("a good one")
            });
        });
        let inspected = validator.inspect(token.clone(), now).expect("a good one");
        let key = keys.key(inspected.key_id()).now_or_never();
        let key = key.and_then(Result::ok).flatten().expect("its key");
        group.bench_function(format!("verify {algorithm:?}"), |b| {
            b.iter(|| inspected.verify(black_box(&key)).expect("a good one"));
        });
    }
    group.finish();
}

criterion_group!(benches, validate);
criterion_main!(benches);
