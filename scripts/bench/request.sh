#!/usr/bin/env bash
# Whether the times that `shakedown request` tells of a request are those that curl tells of it: the TCP
# handshake, the TLS handshake, the wait for the first byte, the rest, each tool in turn, round by round,
# against the same nginx in a private network, behind a path that holds every packet for 5 ms in each
# direction. curl's times are of its own clock, around its system calls; ours are of the segments. Prints
# a table.
#
# usage: scripts/bench/request.sh [--rounds N] [--binary FILE]
#        scripts/bench/request.sh | scripts/between.py README.md bench-request
#        scripts/bench/request.sh --show | scripts/between.py README.md request-compare
#   --show          a comparison of the versions in place of the table
#   --rounds N      rounds [100]; the first is thrown away
#   --binary FILE   the shakedown to run [target/release/shakedown]
#
# Must be root. Missing programs are installed where that is possible.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

if [ "$(id -u)" != 0 ]; then
    echo "must be root: it makes network namespaces" >&2
    exit 2
fi
want nginx=nginx-light curl=curl openssl=openssl ip=iproute2 nft=nftables tcpdump=tcpdump \
    nsenter=util-linux python3=python3

exec unshare --net python3 "$root/scripts/bench/request.py" "$@"
