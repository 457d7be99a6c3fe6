# Sourced by the other scripts: installs Debian packages for programs that are missing.
# shellcheck shell=bash

# Programs that the machine lacked and that could not be installed.
still_missing=()
# nft and the servers live in sbin, which is not on every user's path.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

# want PROGRAM=PACKAGE...: installs the package of each program that is not there.
#
# Where this user may not install, or installing fails, it says so and goes on: what needs the
# program is then reported as NOT RUN.
want() {
    local pair program packages=() missing=()
    for pair in "$@"; do
        program=${pair%%=*}
        if ! command -v "$program" >/dev/null; then
            missing+=("$program")
            packages+=("${pair#*=}")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    local as_root=()
    if ! command -v apt-get >/dev/null; then
        echo "missing: ${missing[*]}; no apt-get here, please install them yourself" >&2
    elif [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        echo "missing: ${missing[*]}; to have everything: sudo apt-get install ${packages[*]}" >&2
    else
        [ "$(id -u)" = 0 ] || as_root=(sudo -n)
        echo "installing: ${packages[*]}" >&2
        install_packages "${as_root[@]+"${as_root[@]}"}" -- "${packages[@]}" ||
            echo "installing failed; going on without" >&2
    fi
    for program in "${missing[@]}"; do
        command -v "$program" >/dev/null || still_missing+=("$program")
    done
}

# want_python_module MODULE=PACKAGE: installs the package of a Python module that no interpreter has.
# It is for /usr/bin/python3.
want_python_module() {
    local module=${1%%=*} package=${1#*=} interpreter
    for interpreter in python3 /usr/bin/python3; do
        "$interpreter" -c "import $module" >/dev/null 2>&1 && return 0
    done
    # A name that no program has, so that it counts as missing.
    want "python-module-$module=$package" || true
    still_missing=("${still_missing[@]/python-module-$module/}")
}

# want_header FILE=PACKAGE: installs the package of a C header that is not there, by its path below
# /usr/include.
want_header() {
    local file=/usr/include/${1%%=*} package=${1#*=}
    [ ! -e "$file" ] || return 0
    # A name that no program has, so that it counts as missing.
    want "header-${1%%=*}=$package" || true
    [ ! -e "$file" ] || still_missing=("${still_missing[@]/header-${1%%=*}/}")
}

# install_packages [sudo -n] -- PACKAGE...
install_packages() {
    local as_root=()
    while [ "$1" != -- ]; do
        as_root+=("$1")
        shift
    done
    shift
    local environment=(env DEBIAN_FRONTEND=noninteractive)
    local apt=(apt-get -y -q -o Dpkg::Use-Pty=0)
    # The servers' packages would start them as services of this machine. We start our own, in a
    # private network, and end them.
    local policy=/usr/sbin/policy-rc.d wrote_policy=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]+"${as_root[@]}"}" tee "$policy" >/dev/null
        "${as_root[@]+"${as_root[@]}"}" chmod 755 "$policy"
        wrote_policy=yes
    fi
    local result=0
    # An old package list is good enough in most cases; a stale one is fetched anew.
    "${as_root[@]+"${as_root[@]}"}" "${environment[@]}" "${apt[@]}" install \
        --no-install-recommends "$@" </dev/null >/dev/null 2>&1 ||
        { "${as_root[@]+"${as_root[@]}"}" "${environment[@]}" "${apt[@]}" update </dev/null >/dev/null &&
            "${as_root[@]+"${as_root[@]}"}" "${environment[@]}" "${apt[@]}" install \
                --no-install-recommends "$@" </dev/null >/dev/null; } || result=$?
    if [ -n "$wrote_policy" ]; then
        "${as_root[@]+"${as_root[@]}"}" rm -f "$policy"
    fi
    return "$result"
}
