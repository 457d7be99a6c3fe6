#!/usr/bin/env bash
# The work behind sweep-examples.sh, which see. Runs as the first process of private namespaces.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
binary=$root/target/release/shakedown
examples=()
while [ $# -gt 0 ]; do
    case $1 in
    --binary)
        binary=$(realpath "$2")
        shift 2
        ;;
    *)
        examples+=("$1")
        shift
        ;;
    esac
done
[ ${#examples[@]} -gt 0 ] || examples=(parallel slurm kubernetes)
if [ ! -x "$binary" ]; then
    echo "$binary: not there; cargo build --release" >&2
    exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export SHAKEDOWN=$binary
# Several seconds' work for each shard, so that one can be killed in the middle of it.
shards=8 seed=4711 targets=(10.64.0.0/20 -p 80 --rate 150 --cool-down 500ms)

# The peer: all of 10.0.0.0/8, port 80 open, and refused from half of the addresses.
lab() {
    hostname localhost
    ip link set lo up
    unshare --net sleep infinity &
    peer=$!
    until [ "$(readlink "/proc/$peer/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
    there=(nsenter "--net=/proc/$peer/ns/net")
    ip link add near0 type veth peer name near1 netns "$peer"
    ip address add 192.0.2.1/24 dev near0
    ip link set near0 up
    "${there[@]}" ip address add 192.0.2.2/24 dev near1
    "${there[@]}" ip link set near1 up
    "${there[@]}" ip link set lo up
    "${there[@]}" ip route add local 10.0.0.0/8 dev lo
    ip route add 10.0.0.0/8 via 192.0.2.2
    "${there[@]}" nft -f - <<'RULES'
        table ip half { chain refused { type filter hook input priority 0; policy accept;
            ip daddr & 0.0.0.1 == 0.0.0.1 tcp dport 80 reject with tcp reset
        }
        }
RULES
    "${there[@]}" python3 -c '
import socket
listener = socket.create_server(("0.0.0.0", 80), backlog=4096)
print("listening", flush=True)
while True:
    listener.accept()[0].close()' >"$scratch/listening" &
    until grep -q listening "$scratch/listening"; do sleep 0.01; done
}

# checked NAME REPORT: says whether the united report is what it must be.
checked() {
    python3 - "$@" <<'CHECK'
import collections, ipaddress, json, sys
name, file = sys.argv[1:]
records = [json.loads(line) for line in open(file, encoding="ascii")]
targets = [record for record in records if record["type"] == "target"]
said = collections.Counter(record["addr"] for record in targets)
asked = [str(address) for address in ipaddress.ip_network("10.64.0.0/20")]
wrong = [record["addr"] for record in targets
         if record["outcome"] != ("refused" if int(record["addr"].rsplit(".")[-1]) % 2 else "open")]
twice = [address for address, times in said.items() if times > 1]
account = records[-1].get("account", {})
whole = account.get("targets") == len(asked) == account.get("open", 0) + account.get("refused", 0)
good = set(said) == set(asked) and not wrong and not twice and records[-1]["type"] == "summary" and whole
print(f"{name}: {len(said):,} of {len(asked):,} addresses, {len(twice)} twice, {len(wrong)} otherwise than they are; "
      f"the account {'is exact' if whole else 'is ' + json.dumps(account)}")
sys.exit(not good)
CHECK
}

# strike FOLDER: kills one of the shards that are under way, once it has written something.
strike() {
    local process
    for _ in $(seq 1000); do
        if [ -s "$1/shard-3.json" ] && grep -q '"target"' "$1/shard-3.json"; then
            # By what it writes: there is one such process.
            for process in /proc/[0-9]*; do
                if [ "$(readlink "$process/exe")" = "$binary" ] &&
                    tr '\0' ' ' <"$process/cmdline" | grep -q -- "--shard 3/"; then
                    kill -KILL "${process#/proc/}"
                    return
                fi
            done
        fi
        sleep 0.01
    done
    echo "no shard could be killed" >&2
    return 1
}

try_parallel() {
    local folder=$scratch/parallel
    strike "$folder" &
    local striker=$!
    "$here/parallel.sh" "$shards" "$folder" "$seed" "${targets[@]}" >"$scratch/parallel.json"
    wait "$striker"
    checked "GNU parallel $(parallel --version | sed -n '1s/.* //p'), one shard killed and started again by it" \
        "$scratch/parallel.json"
}

# Slurm on this machine alone: munge, the controller, one node.
slurm_up() {
    local etc=$scratch/slurm
    mkdir -p "$etc/state" "$etc/spool"
    dd if=/dev/urandom of="$etc/munge.key" bs=128 count=1 status=none
    chmod 400 "$etc/munge.key"
    munged --force --key-file "$etc/munge.key" --socket "$etc/munge.socket" --pid-file "$etc/munge.pid" \
        --log-file "$etc/munge.log" --seed-file "$etc/munge.seed" >/dev/null 2>&1
    cat >"$etc/slurm.conf" <<CONF
ClusterName=lab
SlurmctldHost=localhost
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$etc/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
RequeueExit=137
MinJobAge=300
StateSaveLocation=$etc/state
SlurmdSpoolDir=$etc/spool
SlurmctldPidFile=$etc/slurmctld.pid
SlurmdPidFile=$etc/slurmd.pid
NodeName=localhost CPUs=$(nproc) RealMemory=1000 State=UNKNOWN
PartitionName=lab Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:16
CONF
    export SLURM_CONF=$etc/slurm.conf
    slurmctld -D >"$etc/slurmctld.log" 2>&1 &
    slurmd -D -N localhost >"$etc/slurmd.log" 2>&1 &
    for _ in $(seq 300); do
        [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && return
        sleep 0.1
    done
    echo "Slurm does not come up:" >&2
    tail -n 5 "$etc"/*.log >&2
    return 1
}

try_slurm() {
    if ! command -v sbatch >/dev/null || ! slurm_up; then
        echo "NOT RUN: 1 tests: sweep examples: Slurm does not run here"
        return 0
    fi
    export SWEEP_FOLDER=$scratch/slurm/reports SWEEP_SEED=$seed
    local array merge striker
    cd "$root"
    array=$(sbatch --parsable --array="0-$((shards - 1))" --output="$scratch/slurm/%A_%a.out" \
        scripts/sweep/slurm.sh "${targets[@]}")
    strike "$SWEEP_FOLDER" &
    striker=$!
    merge=$(sbatch --parsable --dependency="afterany:$array" --output="$scratch/slurm.json" \
        --wrap "$SHAKEDOWN sweep --merge $SWEEP_FOLDER/shard-*.json --json")
    wait "$striker"
    for _ in $(seq 1200); do
        case $(scontrol show job "$merge" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p') in
        COMPLETED) break ;;
        FAILED | CANCELLED | TIMEOUT) break ;;
        esac
        # A job that was put back waits for a while before it may run again: it need not, here.
        scontrol -o show job "$array" 2>/dev/null | sed -n 's/^JobId=\([0-9]*\) .*JobState=PENDING .*Restarts=[1-9].*/\1/p' |
            while read -r job; do scontrol update "jobid=$job" starttime=now || true; done
        sleep 0.1
    done
    checked "Slurm $(slurmctld -V | sed 's/.* //'), one task killed and put back by it" "$scratch/slurm.json" || {
        cat "$scratch"/slurm/*.out "$scratch"/slurm/slurmd.log >&2
        return 1
    }
}

# The manifest's command, image and capabilities, without a cluster.
try_kubernetes() {
    local interpreter=python3 folder=$scratch/reports index process pods=()
    python3 -c "import yaml" 2>/dev/null || interpreter=/usr/bin/python3
    mkdir -p "$folder" "$scratch/bin"
    ln -sf "$binary" "$scratch/bin/shakedown"
    "$interpreter" - "$here/kubernetes.yaml" "$scratch" "$folder" <<'READ'
import sys, yaml
file, scratch, folder = sys.argv[1:]
jobs = {item["metadata"]["name"]: item for item in yaml.safe_load_all(open(file, encoding="utf-8"))}
sweep = jobs["sweep"]["spec"]
container = sweep["template"]["spec"]["containers"][0]
environment = {variable["name"]: variable["value"] for variable in container["env"]}
assert sweep["completionMode"] == "Indexed"
assert int(environment["SHARDS"]) == sweep["completions"], "SHARDS is not the number of completions"
assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]}
for name, words in (("sweep", container["command"]),
                    ("merge", jobs["sweep-merge"]["spec"]["template"]["spec"]["containers"][0]["command"])):
    assert words[:2] == ["/bin/sh", "-euc"] and len(words) == 3
    open(f"{scratch}/{name}.command", "w", encoding="utf-8").write(words[2].replace("/reports", folder))
READ
    # A container's environment is its own, and its capabilities are what is left of root's.
    local pod=(env -i "PATH=$scratch/bin:$PATH" "SHARDS=$shards" "SEED=$seed" "TARGETS=${targets[*]}")
    local may_send=(setpriv "--inh-caps=-all,+net_raw" "--bounding-set=-all,+net_raw" --no-new-privs)
    local may_nothing=(setpriv --inh-caps=-all --bounding-set=-all --no-new-privs)
    strike "$folder" &
    pods+=($!)
    for ((index = 0; index < shards; index++)); do
        (
            # As the job's controller would: a pod that fails is started again.
            for _ in 1 2 3; do
                "${pod[@]}" "JOB_COMPLETION_INDEX=$index" "${may_send[@]}" \
                    /bin/sh -euc "$(cat "$scratch/sweep.command")" && exit
            done
            exit 1
        ) &
        pods+=($!)
    done
    for process in "${pods[@]}"; do
        wait "$process"
    done
    "${pod[@]}" "${may_nothing[@]}" /bin/sh -euc "$(cat "$scratch/merge.command")" >"$scratch/kubernetes.json"
    checked "the command of the Kubernetes manifest, $shards indices set by hand, one pod killed and replaced" \
        "$scratch/kubernetes.json"
}

lab
failed=0
for example in "${examples[@]}"; do
    # Not as a condition: there, errors inside would not end it.
    set +e
    (
        set -e
        case $example in
        parallel) try_parallel ;;
        slurm) try_slurm ;;
        kubernetes) try_kubernetes ;;
        *) false ;;
        esac
    )
    status=$?
    set -e
    if [ "$status" != 0 ]; then
        echo "$example: not as it must be" >&2
        failed=$((failed + 1))
    fi
done
exit $((failed > 0))
