#!/usr/bin/env bash
# Runs the gateway with a real identity provider: oidc-provider, a certified OpenID provider. It, and the
# Node.js that runs it, are installed below target/ at the versions of the lock file.
set -euo pipefail
cd "$(dirname "$0")/../.."

wanted=tests/e2e/identity_provider
home=${CARGO_TARGET_DIR:-$PWD/target}/identity_provider

command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer with npm (https://nodejs.org)" >&2; exit 1; }

# The lock file is copied last: a half installation is done again.
if ! cmp -s "$wanted/package-lock.json" "$home/installed.json" || ! cmp -s "$wanted/package.json" "$home/package.json"; then
    rm -rf "$home"
    mkdir -p "$home"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$home"
    npm ci --prefix "$home" --no-audit --no-fund --loglevel=error \
        && "$home/node_modules/node/bin/node" --version >/dev/null \
        || { echo "the provider was not installed: npm needs a registry that it can reach, and leave to run install scripts" >&2; exit 1; }
    cp "$wanted/package-lock.json" "$home/installed.json"
fi
# A module looks for others beside itself.
cp "$wanted/server.mjs" "$home"

cargo build --locked --all-features --example gateway
IDENTITY_PROVIDER_HOME=$home cargo test --locked --all-features --test identity_provider
