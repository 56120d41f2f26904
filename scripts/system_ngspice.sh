#!/bin/sh
# Sees to it that some ngspice is there: where none is, installs the system's package with apt-get
# (as root or through sudo) or brew. Where that cannot be done, one line says what to do.
set -u

if [ -n "${KCOMPILE_NGSPICE:-}" ] || command -v ngspice >/dev/null 2>&1; then
    exit 0
fi

give_up() {
    echo "warning: no ngspice on PATH, and $1" >&2
    exit 0
}

if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" -eq 0 ]; then
        root=
    elif ! command -v sudo >/dev/null 2>&1; then
        give_up "installing it takes root: ask for 'apt-get install ngspice'"
    elif [ -t 0 ]; then
        root=sudo
    else
        root="sudo -n"
    fi
    # The lists may be missing or too old to name files that the mirror still has.
    $root apt-get update -q </dev/null ||
        echo "warning: apt-get update failed; trying with the lists that are there" >&2
    $root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends ngspice libngspice0 </dev/null ||
        give_up "'apt-get install ngspice' failed"
elif command -v brew >/dev/null 2>&1; then
    brew install --quiet ngspice || give_up "'brew install ngspice' failed"
else
    give_up "no apt-get or brew to install it with: install ngspice 39 or later by hand"
fi
