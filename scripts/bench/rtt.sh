#!/usr/bin/env bash
# How far the round-trip times that shakedown and other tools report are from the truth, which is what
# an independent tcpdump sees on the client's link; and whether any probe of ours is credited with the
# answer to another. In two network namespaces, with a kernel's TCP at the far end: idle, with a core
# busy, with a delay in the path, with SYNs dropped. Prints tables; the captures and what the tools
# said stay in target/bench/rtt.
#
# usage: scripts/bench/rtt.sh [accuracy|credit] [--binary FILE] [--count N] [--cases CASE...]
#                             [--tools NAME...]
#        scripts/bench/rtt.sh | scripts/between.py README.md bench-rtt
#   accuracy        only the errors; credit: only the search for wrongly credited probes [both]
#   --binary FILE   the shakedown to run [target/release/shakedown]
#   --count N       probes of each tool in each case [1000]; fewer where a tool would take minutes
#   --cases CASE    idle, loaded, shared, 5ms, 50ms, loss, repeat, relayed, relayed-shared [all]
#   --tools NAME    tools whose names begin so [all]
#
# Must be root. Missing tools are installed where that is possible (tcping-rs from crates.io into
# target/bench-tools), or left out and named.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

if [ "$(id -u)" != 0 ]; then
    echo "must be root: namespaces, tcpdump, and the tools that open raw sockets" >&2
    exit 2
fi
want ip=iproute2 nft=nftables tcpdump=tcpdump nsenter=util-linux python3=python3 hping3=hping3 nping=nmap \
    nmap=nmap fping=fping ping=iputils-ping mtr=mtr-tiny tcptraceroute=tcptraceroute

PATH=$root/target/bench-tools/bin:$PATH
if ! command -v tcping >/dev/null; then
    cargo install tcping --root target/bench-tools >&2 || echo "tcping-rs: not installed" >&2
fi

case ${1:-} in
accuracy | credit) exec unshare --net python3 "$root/scripts/bench/rtt" "$@" ;;
*)
    unshare --net python3 "$root/scripts/bench/rtt" accuracy "$@"
    echo
    exec unshare --net python3 "$root/scripts/bench/rtt" credit "$@"
    ;;
esac
