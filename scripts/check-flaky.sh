#!/usr/bin/env bash
# Runs the conformance battery, without the slow checks, again and again against the running kernel
# with servers of every kind, over IPv4 and IPv6: each run has to come to the recorded verdicts of
# tests/verdicts/linux.txt, every one of them. Some half a minute for each run.
#
# usage: scripts/check-flaky.sh [RUNS] [STACK]     [20] times, against [linux], smoltcp or lwip
set -euo pipefail

cd "$(dirname "$0")/.."
runs=${1:-20}
stack=${2:-linux}
cargo test --locked --test netns --no-run
log=$(mktemp)
trap 'rm -f "$log"' EXIT
others=0
for ((run = 1; run <= runs; run++)); do
    if SHAKEDOWN_REQUIRE_ALL=1 cargo test --locked --test netns -- "check/verdicts/$stack" >"$log" 2>&1; then
        echo "run $run of $runs: as recorded"
    else
        others=$((others + 1))
        echo "run $run of $runs: otherwise"
        grep -E 'recorded|^test result|: [a-z]+ afterwards' "$log" || cat "$log"
    fi
done
echo "$runs runs against $stack, $others of them otherwise than recorded"
[ "$others" = 0 ]
