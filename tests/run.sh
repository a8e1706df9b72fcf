#!/usr/bin/env bash
# Runs every test. On a fresh machine that has Rust it installs what else is needed, or says what to
# install where it may not.
set -euo pipefail
cd "$(dirname "$0")/.."

. tests/need.sh

command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.88 or newer (https://rustup.rs)" >&2; exit 1; }
need cc gcc
need curl curl
need chromium chromium
need openssl openssl
need redis-server redis-server
need redis-sentinel redis-sentinel
need npm npm

# Some tests run the gateway as a process of its own.
cargo build --locked --all-features --examples
cargo test --locked --all-features

# Each example asserts what it shows. (The gateway is run by tests of its own.)
for example in policy_only custom_store single_layer check_again axum_service hyper_service; do
    cargo run --locked --quiet --example "$example"
done

# The official conformance suite, behind the stack as without it.
tests/e2e/conformance.sh

# The gateway with the tokens and keys of a real identity provider.
tests/e2e/identity_provider.sh
