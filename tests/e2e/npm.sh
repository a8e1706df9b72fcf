# Sourced: installs what an end-to-end test needs from npm, and the Node.js that runs it.

# home_of NAME: sets `home` to the folder below target/ where the packages of tests/e2e/NAME are
# installed at the versions of its lock file.
home_of() {
    local wanted=tests/e2e/$1
    home=${CARGO_TARGET_DIR:-$PWD/target}/$1

    command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer with npm (https://nodejs.org)" >&2; exit 1; }

    # The lock file is copied last: a half installation is done again.
    cmp -s "$wanted/package-lock.json" "$home/installed.json" && cmp -s "$wanted/package.json" "$home/package.json" && return
    rm -rf "$home"
    mkdir -p "$home"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$home"
    npm ci --prefix "$home" --no-audit --no-fund --loglevel=error \
        && "$home/node_modules/node/bin/node" --version >/dev/null \
        || { echo "$1 was not installed: npm needs a registry that it can reach, and leave to run install scripts" >&2; exit 1; }
    cp "$wanted/package-lock.json" "$home/installed.json"
}
