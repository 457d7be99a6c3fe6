#!/usr/bin/env bash
# Runs all that `check` has, the slow checks and the intrusive ones included, against the running
# kernel, smoltcp and lwIP with servers of every kind, and compares the verdicts with the recorded
# ones in tests/verdicts. Takes six minutes, most of it waiting; for CI that is too long.
#
# usage: scripts/check-slow.sh [--no-install] [STACK]
#
# STACK is linux, smoltcp or lwip. SHAKEDOWN_RECORD=1 records the verdicts anew.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

if [ "${1:-}" = --no-install ]; then
    shift
else
    want cc=gcc
    want_header lwip/lwip/tcp.h=liblwip-dev
fi
SHAKEDOWN_CHECK_SLOW=1 SHAKEDOWN_REQUIRE_ALL=1 \
    cargo test --locked --test netns -- --test-threads 3 "check/verdicts/${1:-}"
