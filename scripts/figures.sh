#!/usr/bin/env bash
# Makes the README's figures, as --figure draws them, into man/figures or the directory named: over the
# simulated network of the tests, in virtual time, so that the same program gives the same bytes. A test
# (tests/figures.rs) compares. SHAKEDOWN names the program; without it, the debug build is made.
#
# usage: scripts/figures.sh [DIRECTORY]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
directory=${1:-$root/man/figures}
if [ -z "${SHAKEDOWN:-}" ]; then
    (cd "$root" && cargo build --locked --quiet)
    SHAKEDOWN=$root/target/debug/shakedown
fi
mkdir -p "$directory"

# Name, what is simulated (src/cmd/sim), and the command.
draw() {
    local name=$1 simulation=$2
    shift 2
    # Some of them end as was not asked for, which is what they show.
    SHAKEDOWN_SIM=$simulation LC_ALL=C.UTF-8 "$SHAKEDOWN" "$@" -q \
        --figure "$directory/$name.svg" >/dev/null || [ $? = 1 ]
    echo "${directory#"$root/"}/$name.svg"
}

draw close echo:dwell=30ms close 192.0.2.7:80
draw close-simultaneous greet close 192.0.2.7:80 --simultaneous --figure-scale even
draw syn-lost echo:drop=tx1 handshake 192.0.2.7:80
draw listen call listen 192.0.2.100:80 --echo -c 1 --drop-syn 1
