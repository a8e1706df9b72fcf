#!/usr/bin/env bash
# benches/run.sh [OUT]: measures this crate beside others, prints one table and which targets are
# met, and writes the figures as JSON lines into OUT. It ends with 1 where a target is missed. On two
# cores that do nothing else it takes a quarter of an hour and the time to build. With BENCH_QUICK=1 it
# only shows that everything runs: in minutes, and no target is judged.
set -euo pipefail
out=$(realpath -m "${1:-$(dirname "$0")/peers/target/bench.jsonl}")
cd "$(dirname "$0")/.."

. tests/need.sh

command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.88 or newer (https://rustup.rs)" >&2; exit 1; }
need cc gcc
need wrk wrk
need taskset util-linux
need python3 python3

cargo build --locked --release --example gateway
peers() { cargo run --locked --release --quiet --manifest-path benches/peers/Cargo.toml -- "$@"; }
rm -f "$out"
peers in-process "$out"
peers flood "$out"
peers wire "$out" "${CARGO_TARGET_DIR:-target}/release/examples/gateway"
python3 benches/table.py "$out"
