#!/usr/bin/env bash
# What `shakedown rtt` costs with 10, 1,000 and 10,000 targets, each probed once a second: CPU time per
# probe, memory and how it grows, how late probes leave, and whether answers are missed, counted by
# nftables at the far end. In two network namespaces; the peer's kernel owns all of 10.0.0.0/8 there.
#
# usage: scripts/bench/rtt-scale.sh [--binary FILE] [--sizes N...]
#        scripts/bench/rtt-scale.sh | scripts/between.py README.md bench-rtt-scale
#   --binary FILE   the shakedown to run [target/release/shakedown]
#   --sizes N       numbers of targets [10 1000 10000]
#
# Must be root.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

if [ "$(id -u)" != 0 ]; then
    echo "must be root: it makes network namespaces" >&2
    exit 2
fi
want ip=iproute2 nft=nftables tcpdump=tcpdump nsenter=util-linux python3=python3

exec unshare --net python3 "$root/scripts/bench/rtt" scale "$@"
