#!/usr/bin/env bash
# Runs the whole conformance battery, every check of it, against our own TCP over simulated networks
# that lose 1, 5 or 20 % each way, delay by 200 ms, overtake and double, one network for each seed:
# no verdict may be a failure. In virtual time, without privileges.
#
# usage: scripts/check-seeds.sh [SEEDS]     the number of seeds [1000]
set -euo pipefail

cd "$(dirname "$0")/.."
SHAKEDOWN_SEEDS=${1:-1000} exec cargo test --release --locked --lib -- \
    no_network_turns_a_right_answer_into_a_failure --nocapture
