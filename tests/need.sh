# need COMMAND PACKAGE: a command that a script calls, and the Debian package that brings it. On a
# machine where it may, it installs the package, or else says what to install.
need() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -qq -y --no-install-recommends "$2" >/dev/null
    else
        echo "$1 is missing: install the package $2" >&2
        exit 1
    fi
}
