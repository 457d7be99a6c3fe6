#!/usr/bin/env bash
# The conformance battery against servers that break one rule at a time, on the cable of the namespace
# tier: exactly the checks of that rule have to turn red. Here with the mutants of the slow checks,
# which take some ten minutes more than the tests of every day.
#
# usage: scripts/check-mutants.sh [TEXT]     only the mutants whose names contain TEXT
set -euo pipefail

cd "$(dirname "$0")/.."
SHAKEDOWN_SLOW_MUTANTS=1 SHAKEDOWN_MUTANT=${1:-} exec cargo test --locked --test netns -- mutants/
