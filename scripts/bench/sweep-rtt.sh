#!/usr/bin/env bash
# How far the round-trip times of `shakedown sweep` are from what independent tcpdumps saw, at 1,000 SYNs
# a second, at 50,000 and as fast as it goes, by the timestamp option and, without that, by its log of
# what was sent when. In two network namespaces of its own, with a kernel's TCP at the far end.
#
# usage: scripts/bench/sweep-rtt.sh [--binary FILE] [--cases CASE...]
#        scripts/bench/sweep-rtt.sh | scripts/between.py README.md bench-sweep-rtt
#   --binary FILE   the shakedown to run [target/release/shakedown]
#   --cases CASE    1000, 50000, max, raw, log-1000, log-50000, log-max [all]
#
# Must be root.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
# shellcheck source=scripts/bench/sweep/enter.sh
. scripts/bench/sweep/enter.sh

enter rtt "$@"
