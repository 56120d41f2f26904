#!/bin/sh
# Sees to it that the system has what its argument names: some ngspice, some C++ compiler, or some
# Chromium that the tests can look at pages with. Where there is none, it installs the system's package with apt-get (as root or through sudo) or brew.
# Where that cannot be done, one line says what to do.
#
#     system_packages.sh ngspice|compiler|browser
# shellcheck disable=SC2086 # $root, $patience and $debian are several words each
set -u

has() {
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 && return 0
    done
    return 1
}

give_up() {
    echo "warning: no $what, and $1" >&2
    exit 0
}

case "${1:-}" in
ngspice)
    what="ngspice on PATH"
    by_hand="ngspice 39 or later"
    debian="ngspice libngspice0"
    if [ -n "${KCOMPILE_NGSPICE:-}" ] || has ngspice; then exit 0; fi
    ;;
compiler)
    what="C++ compiler (kcompile then works without its compiled kernel, slower)"
    by_hand="g++ 12 or later, or clang++"
    debian=g++
    if [ -n "${CXX:-}" ] || has c++ g++ clang++; then exit 0; fi
    ;;
browser)
    what="Chromium (the tests then do not look at HTML reports)"
    by_hand="Chromium, or name one in KCOMPILE_BROWSER,"
    debian=chromium-headless-shell
    if [ -n "${KCOMPILE_BROWSER:-}" ] ||
        has chromium-headless-shell chromium chromium-browser google-chrome; then exit 0; fi
    ;;
*)
    echo "usage: system_packages.sh ngspice|compiler|browser" >&2
    exit 2
    ;;
esac

if has apt-get; then
    if [ "$(id -u)" -eq 0 ]; then
        root=
    elif ! has sudo; then
        give_up "installing it takes root: ask for 'apt-get install $debian'"
    elif [ -t 0 ]; then
        root=sudo
    else
        root="sudo -n"
    fi
    patience="-o DPkg::Lock::Timeout=600"
    # The lists may be missing or too old to name files that the mirror still has.
    $root apt-get update -q $patience </dev/null ||
        echo "warning: apt-get update failed; trying with the lists that are there" >&2
    $root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q $patience --no-install-recommends $debian </dev/null ||
        give_up "'apt-get install $debian' failed"
elif has brew && [ "$1" = ngspice ]; then
    brew install --quiet ngspice || give_up "'brew install ngspice' failed"
elif [ "$(uname)" = Darwin ] && [ "$1" = compiler ]; then
    give_up "only you can install it: 'xcode-select --install'"
else
    give_up "no apt-get or brew to install it with: install $by_hand by hand"
fi
