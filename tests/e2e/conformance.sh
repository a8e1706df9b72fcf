#!/usr/bin/env bash
# Runs the official conformance suite of MCP against a server, as it is, behind the whole stack and
# behind the gateway, and fails where it does not find the same. The suite, and the Node.js that runs
# it, are installed below target/ at the versions of the lock file.
set -euo pipefail
cd "$(dirname "$0")/../.."

wanted=tests/e2e/conformance
home=${CARGO_TARGET_DIR:-$PWD/target}/conformance

command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer with npm (https://nodejs.org)" >&2; exit 1; }

# The lock file is copied last: a half installation is done again.
if ! cmp -s "$wanted/package-lock.json" "$home/installed.json" || ! cmp -s "$wanted/package.json" "$home/package.json"; then
    rm -rf "$home"
    mkdir -p "$home"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$home"
    npm ci --prefix "$home" --no-audit --no-fund --loglevel=error \
        && "$home/node_modules/node/bin/node" --version >/dev/null \
        || { echo "the suite was not installed: npm needs a registry that it can reach, and leave to run install scripts" >&2; exit 1; }
    cp "$wanted/package-lock.json" "$home/installed.json"
fi

cargo build --locked --all-features --example gateway
CONFORMANCE_HOME=$home cargo test --locked --all-features --test conformance
