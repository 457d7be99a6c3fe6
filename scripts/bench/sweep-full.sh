#!/usr/bin/env bash
# How many whole conversations a second `shakedown sweep --full` has (handshake, FIN both ways) and what
# each costs, beside masscan --banners, nmap -sT, a loop of connect() and epoll, and wrk without
# keep-alive, against the same kernel's server and against an XDP program that answers without any
# state. Runs in two network namespaces of its own, on one veth pair; prints tables, and which goals
# are met. What the tools said stays in target/bench/sweep.
#
# usage: scripts/bench/sweep-full.sh [--binary FILE] [--rounds N] [--cases CASE...] [--tools NAME...]
#        scripts/bench/sweep-full.sh | scripts/between.py README.md bench-sweep-full
#   --binary FILE   the shakedown to run [target/release/shakedown]
#   --rounds N      rounds, all tools in each, in another order every time [5]
#   --cases CASE    kernel, near-free [both]
#   --responder R   the near-free responder: xdp, or tc, the same program at the kernel's traffic control,
#                   where the packet goes back in the buffer in which it came [xdp]
#   --tools NAME    tools whose names begin so [all]
#
# Must be root. Missing tools are installed where that is possible, or left out and named.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
# shellcheck source=scripts/bench/sweep/enter.sh
. scripts/bench/sweep/enter.sh
want masscan=masscan nmap=nmap wrk=wrk

enter full "$@"
