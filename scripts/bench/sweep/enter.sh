# Sourced by the sweep*.sh beside this folder: what all of them need.
# shellcheck shell=bash
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

if [ "$(id -u)" != 0 ]; then
    echo "must be root: namespaces, XDP, and the tools that open raw sockets" >&2
    exit 2
fi
want ip=iproute2 tc=iproute2 nft=nftables tcpdump=tcpdump nsenter=util-linux python3=python3 cc=gcc clang=clang \
    bpftool=bpftool
want_header bpf/bpf_helpers.h=libbpf-dev

# enter PART [ARGUMENT...]: runs it in a network and a mount namespace, which end with it.
enter() {
    exec unshare --net --mount python3 "$PWD/scripts/bench/sweep" "$@"
}
