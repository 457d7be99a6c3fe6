#!/usr/bin/env bash
# Runs the examples of scripts/sweep for real, in private namespaces, against a kernel's TCP that owns
# 4,096 addresses of which a known half refuses: GNU parallel; Slurm, with its controller, its daemon and
# munge started here; and the command of the Kubernetes manifest, once for each index, with the variables
# that a cluster would set and CAP_NET_RAW as its only capability. Each must find every address exactly
# once, also after one shard was killed. Everything that it starts ends with it.
#
# usage: scripts/sweep-examples.sh [--binary FILE] [parallel|slurm|kubernetes]...
#   --binary FILE   the shakedown to run [target/release/shakedown]
#
# Exit status: 0 all went as it must, 1 something did not, 2 it could not run. Must be root.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

if [ "$(id -u)" != 0 ]; then
    echo "must be root: namespaces, and Slurm's daemons" >&2
    exit 2
fi
want ip=iproute2 nft=nftables unshare=util-linux setpriv=util-linux python3=python3 parallel=parallel \
    slurmctld=slurmctld slurmd=slurmd sbatch=slurm-client munged=munge
want_python_module yaml=python3-yaml

# The pid namespace makes sure that nothing survives, whatever happens to this script; the host name is
# one that Slurm can look up.
exec unshare --net --mount --uts --pid --fork --kill-child --mount-proc \
    bash "$root/scripts/sweep/try.sh" "$@"
