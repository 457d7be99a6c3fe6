#!/usr/bin/env bash
# What `shakedown sweep` believes, and what it costs, while a forger in the peer's network sends a million
# false answers as fast as it can: random acknowledgments, broken segments, and a true answer again and
# again. In two network namespaces of its own, with a kernel's TCP at the far end.
#
# usage: scripts/bench/sweep-hostile.sh [--binary FILE]
#        scripts/bench/sweep-hostile.sh | scripts/between.py README.md bench-sweep-hostile
#   --binary FILE   the shakedown to run [target/release/shakedown]
#
# Exit status: 0 all is as it must be, 1 not, 2 it could not be measured. Must be root.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
# shellcheck source=scripts/bench/sweep/enter.sh
. scripts/bench/sweep/enter.sh

enter hostile "$@"
