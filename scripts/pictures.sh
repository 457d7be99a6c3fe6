#!/usr/bin/env bash
# Makes the README's pictures: the live display of a dozen targets, and the plot of one with two
# paths. Runs the release build against the kernel's own TCP behind a forwarder that delays and loses
# packets (pictures/stage.py), in namespaces, as an ordinary user or as root. Takes about a minute.
#
# usage: scripts/pictures.sh
# needs: tmux, iproute2, python3, /dev/net/tun
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
pictures=$root/scripts/pictures
program=$root/target/release/shakedown

if [ "${1:-}" != inside ]; then
    cd "$root"
    cargo build --release --locked --quiet
    namespaces=(--net --mount)
    [ "$(id -u)" = 0 ] || namespaces+=(--user --map-root-user)
    exec unshare "${namespaces[@]}" "$0" inside
fi

work=$(mktemp -d)
mkfifo "$work/alive"
python3 "$pictures/stage.py" "$work" <"$work/alive" &
stage=$!
exec 3>"$work/alive" # the stage ends when this is closed
terminal() { tmux -S "$work/tmux" -f /dev/null "$@"; }
finish() {
    terminal kill-server 2>/dev/null || true
    exec 3>&-
    wait "$stage" 2>/dev/null || true
    umount /etc/hosts 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
for _ in $(seq 100); do
    [ -e "$work/ready" ] && break
    sleep 0.1
done
[ -e "$work/ready" ] || { echo "the stage does not stand" >&2; exit 1; }

# Whole pictures only: written beside, then renamed.
keep() { mv "$work/$1" "$pictures/$1"; echo "scripts/pictures/$1"; }

# The live display, after half a minute.
export LC_ALL=C.UTF-8
unset NO_COLOR
terminal new-session -d -x 100 -y 17 \
    "cd '$work' && '$program' rtt --targets targets -i 600ms; sleep 60"
sleep 28
terminal capture-pane -e -p >"$work/screen"
grep -q 'last probes' "$work/screen" || { cat "$work/screen" >&2; exit 1; }
python3 "$pictures/screen.py" "shakedown rtt --targets hosts.txt --interval 600ms" 100 \
    <"$work/screen" >"$work/live.svg"
terminal kill-server
keep live.svg

# The plot.
(cd "$work" && "$program" rtt two-paths.example.net:443 -g 40000 --flows 2 -i 20ms -w 20s \
    --plot plot.svg >/dev/null) || true # a lost probe is no failure here
keep plot.svg
