//! What it costs to read a message, small and large.
#![allow(missing_docs, clippy::expect_used)]

mod scene;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp_auth::McpRequest;

/// A `tools/call` of about so many bytes.
fn call(bytes: usize) -> Bytes {
    let row = r#"{"id":7,"name":"row number 7","price":7.25,"tags":["a","b"],"done":false}"#;
    let rows = vec![row; bytes / row.len() + 1].join(",");
    let head = r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":"#;
    format!(r#"{head}{{"name":"put_rows","arguments":{{"rows":[{rows}]}}}}}}"#).into()
}

fn request(c: &mut Criterion) {
    let mut group = c.benchmark_group("request");
    let small = Bytes::from_static(scene::CALL.as_bytes());
    for body in [small, call(4 << 10), call(256 << 10)] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("{} bytes", body.len()), |b| {
            b.iter(|| McpRequest::from_bytes(black_box(body.clone())).expect("a message"));
        });
    }
    group.finish();
}

criterion_group!(benches, request);
criterion_main!(benches);
