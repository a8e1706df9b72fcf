//! What a decision costs, with few rules and with many.
#![allow(missing_docs, clippy::expect_used)]

mod scene;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mcp_auth::{Access, Clock, McpRequest, Policy, SystemClock};

fn policy(c: &mut Criterion) {
    let token = scene::verified("alice");
    let request = McpRequest::from_bytes(scene::CALL.into()).expect("a message");
    let message = request.messages().first().expect("one");
    let operation = message.operation();
    let access = Access::new(&token, operation, SystemClock.now());
    let mut group = c.benchmark_group("policy");
    for rules in [10, 10_000] {
        let policy = scene::policy(rules);
        assert!(policy.decide(&access).is_allowed());
        group.bench_function(format!("{rules} rules"), |b| {
            b.iter(|| policy.decide(black_box(&access)));
        });
    }
    group.finish();
}

criterion_group!(benches, policy);
criterion_main!(benches);
