#!/usr/bin/env bash
# How long one half-open probe of one open port takes, from process start to exit, beside the tools
# that people use for it today. All tools are measured in one run, one after another in every round,
# in a private network namespace over loopback, against a listener that accepts and closes.
#
# usage: scripts/bench/probe.sh [--rounds N] [--binary FILE]
#        scripts/bench/probe.sh | scripts/between.py README.md bench-probe
#   --rounds N      rounds [100]; the first is thrown away
#   --binary FILE   the shakedown to run [target/release/shakedown]
#
# Must be root: the tools beside ours need it. Missing tools are installed where that is possible
# (tcping-rs from crates.io into target/bench-tools), or left out and named.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

if [ "$(id -u)" != 0 ]; then
    echo "must be root: hping3, nping and nmap open raw sockets" >&2
    exit 2
fi
want hping3=hping3 nping=nmap nmap=nmap nc=netcat-openbsd /usr/bin/time=time python3=python3

PATH=$root/target/bench-tools/bin:$PATH
if ! command -v tcping >/dev/null; then
    cargo install tcping --root target/bench-tools >&2 || echo "tcping-rs: not installed" >&2
fi

exec unshare --net python3 "$root/scripts/bench/probe.py" "$@"
