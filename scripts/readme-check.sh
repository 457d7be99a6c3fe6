#!/usr/bin/env bash
# Captures the README's run of the FIN family of checks, against the kernel's own TCP behind a small
# echo server, in private namespaces joined by a veth pair, and writes it between the marker comments
# of README.md. Works as an ordinary user where user namespaces are permitted.
#
# usage: scripts/readme-check.sh
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
cargo build --release --locked --quiet

inside=$(cat <<'SCRIPT'
set -euo pipefail
unshare --net sleep infinity & keeper=$!
until [ "$(readlink /proc/$keeper/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
there=(nsenter "--net=/proc/$keeper/ns/net")
ip link set lo up
ip link add client type veth peer name server netns "$keeper"
ip address add 192.0.2.1/24 dev client
ip link set client up
"${there[@]}" ip address add 192.0.2.2/24 dev server
"${there[@]}" ip link set server up
"${there[@]}" python3 scripts/echo_server.py 7 >/dev/null & server=$!
until (exec 3<>/dev/tcp/192.0.2.2/7) 2>/dev/null; do sleep 0.01; done
COLUMNS=100 LC_ALL=C.UTF-8 target/release/shakedown check 192.0.2.2:7 --group fin --color never || true
kill "$server" "$keeper"
SCRIPT
)
text=$(unshare --user --map-root-user --net --pid --fork --kill-child --mount-proc \
    bash -c "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start; $inside")
printf '```text\n$ shakedown check 192.0.2.2:7 --group fin\n\n%s\n```\n' "$text" |
    scripts/between.py README.md check
