#!/usr/bin/env bash
# Gives the shakedown binary the one capability that it needs, so that it runs without root.
#
# CAP_NET_RAW opens the raw socket that sends our segments and the packet socket that captures the
# answers. Nothing else is needed: the guard that keeps the kernel from resetting our connections is
# an ordinary listening socket, and no firewall rule, route or sysctl is ever touched.
#
# "+p" puts it into the permitted set at exec; the program raises it itself, and only while it
# needs it. A file capability does not survive a rebuild: run this again afterwards.
# It has no effect on a file system that is mounted nosuid.
#
# usage: scripts/setcap.sh [BINARY]     default: target/release/shakedown
set -euo pipefail

cd "$(dirname "$0")/.."
binary=${1:-target/release/shakedown}

if [ ! -x "$binary" ]; then
    echo "$binary: not there; build it first: cargo build --release" >&2
    exit 2
fi
# setcap lives in sbin, which is not on every user's path.
PATH=$PATH:/usr/sbin:/sbin
if ! command -v setcap >/dev/null; then
    echo "setcap is not installed: apt-get install libcap2-bin" >&2
    exit 2
fi

if [ "$(id -u)" = 0 ]; then
    setcap cap_net_raw+p "$binary"
else
    sudo "$(command -v setcap)" cap_net_raw+p "$binary"
fi
getcap "$binary"
