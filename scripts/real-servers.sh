#!/usr/bin/env bash
# Runs handshake, close in every shape, and probe against real servers (nginx, redis, dropbear, sshd
# where it is installed, a Python echo server), in a private pair of network namespaces, over IPv4
# and IPv6, and prints the results as a Markdown table. Works as root and, where user namespaces are
# permitted, as an ordinary user. Everything that it starts ends with it.
#
# usage: scripts/real-servers.sh [--binary FILE] [--write FILE]
#   --binary FILE   the shakedown to run [target/release/shakedown]
#   --write FILE    also put the table between the marker comments of FILE (README.md)
#
# Exit status: 0 all went as it must, 1 a server answered otherwise, 2 it could not run.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/packages.sh
. "$root/scripts/packages.sh"

# Says that the tier was not run; that is a failure only where everything is required.
not_run() {
    echo "NOT RUN: 1 tests: real servers: $1"
    [ "${SHAKEDOWN_REQUIRE_ALL:-}" != 1 ] || exit 2
    exit 0
}

for program in python3 ip unshare nsenter; do
    command -v "$program" >/dev/null || not_run "$program is not installed"
done

enter=(unshare --net --mount)
if [ "$(id -u)" != 0 ] || ! "${enter[@]}" true 2>/dev/null; then
    enter=(unshare --user --map-root-user --net --mount)
    "${enter[@]}" true 2>/dev/null || not_run "this system refuses user namespaces to this user"
fi

# The pid namespace makes sure that nothing survives, whatever happens to this script.
exec "${enter[@]}" --pid --fork --kill-child --mount-proc \
    python3 "$root/scripts/real_servers.py" "$@"
