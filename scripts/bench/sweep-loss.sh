#!/usr/bin/env bash
# What `shakedown sweep --passes 1` to 3 finds where nftables, in the peer's namespace, drops 5 % and 30 %
# of the SYNs or of the SYN-ACKs: beside what arithmetic promises, and the loss that it prints beside
# what nftables counted. In two network namespaces of its own, with a kernel's TCP at the far end.
#
# usage: scripts/bench/sweep-loss.sh [--binary FILE]
#        scripts/bench/sweep-loss.sh | scripts/between.py README.md bench-sweep-loss
#   --binary FILE   the shakedown to run [target/release/shakedown]
#
# Exit status: 0 all is as it must be, 1 not, 2 it could not be measured. Must be root.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
# shellcheck source=scripts/bench/sweep/enter.sh
. scripts/bench/sweep/enter.sh

enter loss "$@"
