#!/usr/bin/env bash
# One shard of a sweep, whoever hands out the indices. Killed and started again, it goes on where it was.
#
# usage: scripts/sweep/shard.sh INDEX COUNT FOLDER SEED SWEEP-ARGUMENT...
#   INDEX    which shard, from 0
#   COUNT    of how many
#   FOLDER   where the reports go, the same for all: shard-INDEX.json, and the notes on progress
#   SEED     the same for all
#   SHAKEDOWN is the program to run [shakedown]
#
# Exit status: 0 the shard is done, whether or not anybody answered; else that of shakedown. Afterwards,
# once for all:  shakedown sweep --merge FOLDER/shard-*.json
set -euo pipefail

if [ $# -lt 5 ]; then
    sed -n 's/^# \{0,1\}//; 2,/^Exit/p' "$0" >&2
    exit 2
fi
index=$1 count=$2 folder=$3 seed=$4
shift 4

mkdir -p "$folder"
report=$folder/shard-$index.json
status=0
"${SHAKEDOWN:-shakedown}" sweep "$@" --seed "$seed" --shard "$index/$count" \
    --json --output "$report" --resume "$folder/shard-$index.state" --quiet || status=$?
# 1 also says that nobody answered, which is an answer; but not that it was interrupted.
if [ "$status" = 1 ] && ! tail -n 1 "$report" | grep -q '"interrupted":true'; then
    status=0
fi
exit "$status"
