#!/usr/bin/env bash
# A sweep in shards by GNU parallel: on the processors of this machine or, with --sshlogin in PARALLEL, on
# many that share FOLDER. Unites the reports at the end; the united report goes to stdout.
#
# usage: scripts/sweep/parallel.sh COUNT FOLDER SEED SWEEP-ARGUMENT...
#   scripts/sweep/parallel.sh 16 /shared/sweep-1 4711 10.0.0.0/8 -p 443 --rate 50k
#
# The rate is that of one shard. Run again after a kill, it goes on: shards that are done stay done.
set -euo pipefail

if [ $# -lt 4 ]; then
    sed -n 's/^# \{0,1\}//; 2,/^The rate/p' "$0" >&2
    exit 2
fi
count=$1 folder=$2 seed=$3
shift 3
shard=$(cd "$(dirname "$0")" && pwd)/shard.sh

# PARALLEL_SEQ, which parallel sets, counts from 1; shards count from 0. A shard that fails is tried twice
# more, and goes on where it was.
export SHAKEDOWN=${SHAKEDOWN:-shakedown}
# shellcheck disable=SC2016 # expanded by the shell that parallel starts
seq "$count" | parallel --quote --retries 3 --halt soon,fail=1 --env SHAKEDOWN --max-args 1 \
    bash -c 'shift; index=$((PARALLEL_SEQ - 1)); exec "$0" "$index" "$@"' "$shard" {} "$count" "$folder" "$seed" "$@" >&2

reports=()
for ((index = 0; index < count; index++)); do
    reports+=("$folder/shard-$index.json")
done
exec "$SHAKEDOWN" sweep --merge "${reports[@]}" --json
