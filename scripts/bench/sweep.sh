#!/usr/bin/env bash
# How completely, how fast and at what cost `shakedown sweep` asks many targets once, beside masscan,
# zmap and nmap -sS: 65,536 addresses × 1 port and 1 address × 65,535 ports, each against a kernel's TCP
# and against an XDP program that answers without any state. Every transmit path of ours is measured,
# and the tools that lose answers at full speed once more at their highest rate that loses hardly any.
# Runs in two network namespaces of its own, on one veth pair; prints tables, and which goals are met.
# What the tools said stays in target/bench/sweep.
#
# usage: scripts/bench/sweep.sh [--binary FILE] [--rounds N] [--cases CASE...] [--tools NAME...]
#        scripts/bench/sweep.sh | scripts/between.py README.md bench-sweep
#   --binary FILE   the shakedown to run [target/release/shakedown]
#   --rounds N      rounds, all tools in each, in another order every time [5]
#   --cases CASE    kernel-hosts, near-free-hosts, kernel-ports, near-free-ports, memory [all]
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
want masscan=masscan zmap=zmap nmap=nmap

enter speed "$@"
