#!/usr/bin/env bash
# Runs the gateway with a real identity provider: oidc-provider, a certified OpenID provider. It, and the
# Node.js that runs it, are installed below target/ at the versions of the lock file.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/e2e/npm.sh
home_of identity_provider
# A module looks for others beside itself.
cp tests/e2e/identity_provider/server.mjs "$home"

cargo build --locked --all-features --example gateway
IDENTITY_PROVIDER_HOME=$home cargo test --locked --all-features --test identity_provider
