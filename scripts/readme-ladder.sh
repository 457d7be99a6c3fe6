#!/usr/bin/env bash
# Captures the README's ladder: a graceful close against the kernel's own TCP, as an ordinary user
# would see it in `shakedown demo`, written between the marker comments of README.md.
#
# usage: scripts/readme-ladder.sh
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
cargo build --release --locked --quiet

all=$(COLUMNS=100 LC_ALL=C.UTF-8 target/release/shakedown demo --color never)
# The scene in which we close first, from its command line to its last line.
scene=$(awk '/^\$ shakedown close .*--msl/ && !done { shown = 1 }
    shown { print }
    shown && /segments sent/ { shown = 0; done = 1 }' <<<"$all")
[ -n "$scene" ] || { echo "the demo did not show the scene" >&2; exit 1; }
printf '```text\n%s\n```\n' "$scene" | scripts/between.py README.md ladder
