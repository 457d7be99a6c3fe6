#!/usr/bin/env bash
# Runs every tier of the tests, the namespace tier and the real servers included, as root or as an
# ordinary user. First installs the Debian packages that the tiers need and the machine lacks, where
# it may; otherwise says so and goes on. What could not run is named at the end.
#
# usage: scripts/test.sh [--no-install]
#
# SHAKEDOWN_REQUIRE_ALL=1 makes NOT RUN a failure. SHAKEDOWN_TRUTH_RUNS=N sets the number of runs
# that are compared with the kernel's own trace (100). SHAKEDOWN_SEED=N repeats a random test.
# SHAKEDOWN_LISTEN_MB=N sets the size of the file that curl fetches from `listen` through loss (8), and
# SHAKEDOWN_LISTEN_CLIENTS=N how many clients it echoes at a time (1000).
set -uo pipefail

cd "$(dirname "$0")/.." || exit 2
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

if [ "${1:-}" != --no-install ]; then
    # Rules that drop chosen segments, a second opinion on our packets, and servers to talk to.
    want nft=nftables tshark=tshark ip=iproute2 ethtool=ethtool python3=python3 curl=curl \
        nginx=nginx-light redis-server=redis-server dropbear=dropbear-bin \
        nghttpd=nghttp2-server apache2=apache2-bin openssl=openssl
    # A third TCP for the battery to examine.
    want cc=gcc
    want_header lwip/lwip/tcp.h=liblwip-dev
    # A second opinion on the statistics. Without it they are recomputed all the same.
    want_python_module numpy=python3-numpy
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=()

# tier NAME COMMAND...: runs it, keeps its output for the reckoning.
tier() {
    local name=$1
    shift
    echo "== $name"
    "$@" </dev/null 2>&1 | tee -a "$log"
    [ "${PIPESTATUS[0]}" = 0 ] || failed+=("$name")
}

tier "all tests" cargo test --locked --all-targets --no-fail-fast
tier "examples in the documentation" cargo test --locked --doc
tier "real servers" scripts/real-servers.sh --binary target/debug/shakedown

echo
echo "== reckoning"
awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
     END { printf "%d passed, %d failed, %d ignored\n", passed, failed, ignored }' "$log"
not_run=$(grep -h '^NOT RUN:' "$log")
[ -z "$not_run" ] || echo "$not_run"
if [ -n "$not_run" ] && [ "${SHAKEDOWN_REQUIRE_ALL:-}" = 1 ]; then
    failed+=("what was not run")
fi
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
echo "all tiers passed"
