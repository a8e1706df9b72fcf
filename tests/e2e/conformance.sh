#!/usr/bin/env bash
# Runs the official conformance suite of MCP against a server, as it is, behind the whole stack and
# behind the gateway, and fails where it does not find the same. The suite, and the Node.js that runs
# it, are installed below target/ at the versions of the lock file.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/e2e/npm.sh
home_of conformance

cargo build --locked --all-features --example gateway
CONFORMANCE_HOME=$home cargo test --locked --all-features --test conformance
