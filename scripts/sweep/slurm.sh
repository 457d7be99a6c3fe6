#!/usr/bin/env bash
#SBATCH --job-name=sweep
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
# A sweep as a Slurm job array: each task takes one shard, and the last job unites the reports.
#
#   export SWEEP_FOLDER=/shared/sweep-1 SWEEP_SEED=4711 SHAKEDOWN=/usr/local/bin/shakedown
#   array=$(sbatch --parsable --array=0-15 scripts/sweep/slurm.sh 10.0.0.0/8 -p 443 --rate 50k)
#   sbatch --dependency=afterany:"$array" --wrap "$SHAKEDOWN sweep --merge $SWEEP_FOLDER/shard-*.json --json"
#
# afterany, for a task that was killed and put back counts as one that failed; the merge itself proves
# that nothing is missing, or says what is. The rate is that of one task. On the nodes shakedown needs
# CAP_NET_RAW (scripts/setcap.sh). A task that is killed, or put back with its node, goes on where it was;
# `--array=3` alone repeats one that failed, with SWEEP_COUNT set to the number of shards, which Slurm
# then no longer knows.
set -euo pipefail

: "${SLURM_ARRAY_TASK_ID:?this is for sbatch --array=0-N}"
# Arrays may begin anywhere, shards begin at 0.
first=0
[ -n "${SWEEP_COUNT:-}" ] || first=${SLURM_ARRAY_TASK_MIN:-0}

# Slurm runs a copy of this file from its own spool: its neighbour is found from where it was submitted.
exec "${SWEEP_SHARD:-${SLURM_SUBMIT_DIR:-.}/scripts/sweep/shard.sh}" \
    "$((SLURM_ARRAY_TASK_ID - first))" "${SWEEP_COUNT:-$SLURM_ARRAY_TASK_COUNT}" \
    "${SWEEP_FOLDER:?where the reports go}" "${SWEEP_SEED:?the same number for all tasks}" "$@"
