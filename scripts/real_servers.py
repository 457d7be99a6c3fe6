#!/usr/bin/env python3
"""The work behind real-servers.sh, which see. Runs as the first process of private namespaces."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ADDRESSES = {"4": ("192.0.2.1", "192.0.2.2"), "6": ("2001:db8::1", "2001:db8::2")}


@dataclass
class Server:
    """A server to talk to, and what to say so that it answers, or closes first."""

    name: str
    program: str
    command: list[str]
    port: int
    version: list[str]
    ask: str
    goodbye: str


def servers(scratch: Path) -> list[Server]:
    """All servers that this script knows."""
    nginx = scratch / "nginx.conf"
    # One process and no change of user: in a user namespace there is no other user to change to.
    nginx.write_text(
        f"""daemon off; master_process off; user root; pid {scratch}/nginx.pid; error_log /dev/null;
        events {{}}
        http {{ access_log off;
            client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
            fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi;
            scgi_temp_path {scratch}/scgi;
            server {{ listen 80; listen [::]:80; return 200 "hello\\n"; }} }}"""
    )
    key = str(scratch / "dropbear_key")
    # Over HTTP/1.0 nginx closes first; over HTTP/1.1 it waits for our FIN.
    get = r"GET / HTTP/1.0\r\n\r\n"
    get_and_stay = r"GET / HTTP/1.1\r\nHost: server\r\n\r\n"
    return [
        Server("nginx", "nginx", ["nginx", "-e", "/dev/null", "-c", str(nginx)], 80,
               ["nginx", "-v"], get_and_stay, get),
        Server("redis", "redis-server",
               ["redis-server", "--port", "6379", "--bind", "0.0.0.0", "::", "--save", "",
                "--dir", str(scratch), "--protected-mode", "no", "--daemonize", "no"], 6379,
               ["redis-server", "--version"], r"PING\r\n", r"QUIT\r\n"),
        Server("dropbear", "dropbear",
               ["dropbear", "-F", "-E", "-r", key, "-P", str(scratch / "dropbear.pid"), "-p", "22"],
               22, ["dropbear", "-V"], r"SSH-2.0-shakedown\r\n", r"not an ssh client\r\n"),
        Server("sshd", "sshd",
               [shutil.which("sshd") or "sshd", "-D", "-e", "-f", "/dev/null", "-p", "2222",
                "-h", str(scratch / "sshd_key"), "-o", f"PidFile={scratch}/sshd.pid"], 2222,
               ["ssh", "-V"], r"SSH-2.0-shakedown\r\n", r"not an ssh client\r\n"),
        Server("python asyncio echo", "python3",
               [sys.executable, str(HERE / "echo_server.py"), "7"], 7,
               [sys.executable, "--version"], "hello", "bye"),
    ]


def runs(server: Server) -> list[tuple[str, list[str]]]:
    """The commands that are run against a server."""
    short = ["--msl", "50ms"]
    return [
        ("handshake", ["handshake"]),
        ("close", ["close", *short]),
        ("close --passive", ["close", "--passive", "--send", server.goodbye, *short]),
        ("close --simultaneous", ["close", "--simultaneous", "--send", server.goodbye, *short]),
        ("close --half", ["close", "--half", "--send", server.ask, *short]),
        ("probe", ["probe"]),
    ]


# An ssh server that was sent half of a conversation is free to hold on to it, or to drop it.
MAY_END_OTHERWISE = {("dropbear", "close --half"), ("sshd", "close --half")}


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def build_network() -> list[str]:
    """Joins this namespace to a second one; gives the words that run a command there."""
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    keeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    own = os.stat("/proc/self/ns/net").st_ino
    while os.stat(f"/proc/{keeper.pid}/ns/net").st_ino == own:
        time.sleep(0.001)
    there = ["nsenter", "--net=/proc/%d/ns/net" % keeper.pid]
    ip("link", "set", "lo", "up")
    ip("link", "add", "client", "type", "veth", "peer", "name", "server", "netns", str(keeper.pid))
    for (ours, theirs), length in zip(ADDRESSES.values(), ("24", "64")):
        flags = ["nodad"] if ":" in ours else []
        ip("address", "add", f"{ours}/{length}", "dev", "client", *flags)
        subprocess.run([*there, "ip", "address", "add", f"{theirs}/{length}", "dev", "server",
                        *flags], check=True)
    ip("link", "set", "client", "up")
    for device in ("lo", "server"):
        subprocess.run([*there, "ip", "link", "set", device, "up"], check=True)
    return there


def is_up(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
        return True
    except OSError:
        return False


def start(server: Server, there: list[str]) -> subprocess.Popen[bytes]:
    """Starts a server and waits until it answers on both families."""
    process = subprocess.Popen([*there, *server.command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    for _ in range(1000):
        if process.poll() is not None:
            complaint = process.stderr.read().decode(errors="replace") if process.stderr else ""
            sys.exit(f"{server.name} did not start: {complaint}")
        if all(is_up(theirs, server.port) for _, theirs in ADDRESSES.values()):
            return process
        time.sleep(0.01)
    sys.exit(f"{server.name} does not answer")


def version(server: Server) -> str:
    done = subprocess.run(server.version, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+(p\d+)?", done.stdout + done.stderr)
    return found.group(0) if found else "?"


def milliseconds(value: object) -> str:
    """A measured interval, whether it is written as a number or with its clock."""
    if isinstance(value, dict):
        value = value.get("ns", value.get("value_ns"))
    return f"{value / 1e6:.2f} ms" if isinstance(value, (int, float)) else "–"


@dataclass
class Row:
    server: str
    command: str
    family: str
    status: int
    cells: list[str]


def measure(binary: str, server: Server, name: str, command: list[str], family: str) -> Row:
    """One run, and what its JSON says."""
    address = ADDRESSES[family][1]
    target = f"[{address}]:{server.port}" if ":" in address else f"{address}:{server.port}"
    done = subprocess.run([binary, command[0], target, "--json", *command[1:]],
                          capture_output=True, text=True, timeout=60, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    moves = [event for event in events
             if event["type"] == "transition" and event["end"] == "server"
             and event.get("cause") != "start"]
    states = [moves[0]["from"], *(move["to"] for move in moves)] if moves else []
    last = events[-1] if events else {}
    probe = next((event for event in events if event["type"] == "probe"), {})
    handshake, close = last.get("handshake") or {}, last.get("close") or {}
    outcome = probe.get("outcome") or last.get("outcome") or done.stderr.strip()
    if close.get("half_close") and "--half" in command:
        outcome += f", half-close {close['half_close']}"
    rtt = probe.get("rtt_ns", handshake.get("rtt_ns"))
    return Row(f"{server.name} {version(server)}", name, f"IPv{family}", done.returncode, [
        outcome, milliseconds(rtt), milliseconds(close.get("ack_of_fin_ns")),
        milliseconds(close.get("close_wait_ns")), " → ".join(states)])


def table(rows: list[Row]) -> str:
    head = ["server", "command", "family", "outcome", "RTT", "ACK of our FIN after",
            "their FIN after", "states of the server"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join([row.server, f"`{row.command}`", row.family, *row.cells]) + " |"
              for row in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="real-servers.sh")
    parser.add_argument("--binary", default="target/release/shakedown")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        print(f"{options.binary}: not there; cargo build --release", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        return run_all(options.binary, options.write, Path(directory))


def run_all(binary: str, write: Path | None, scratch: Path) -> int:
    there = build_network()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    rows: list[Row] = []
    absent: list[str] = []
    for server in servers(scratch):
        if not shutil.which(server.program):
            # An sshd is welcome, dropbear is what the tests ask for.
            if server.name != "sshd":
                absent.append(server.name)
            continue
        if server.name == "dropbear":
            subprocess.run(["dropbearkey", "-t", "ed25519", "-f", str(scratch / "dropbear_key")],
                           check=True, capture_output=True)
        if server.name == "sshd":
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f",
                            str(scratch / "sshd_key")], check=True, capture_output=True)
        process = start(server, there)
        try:
            for name, command in runs(server):
                for family in ADDRESSES:
                    rows.append(measure(binary, server, name, command, family))
        finally:
            process.terminate()
            process.wait()
    text = table(rows)
    print(text)
    if write:
        subprocess.run(
            [sys.executable, str(HERE / "between.py"), str(write), "real-servers"],
            input=text, text=True, check=True)
    for name in absent:
        print(f"NOT RUN: 1 tests: real servers: {name} is not installed")
    wrong = [row for row in rows
             if row.status != 0
             and not (row.status == 1 and (row.server.split()[0], row.command) in MAY_END_OTHERWISE)]
    for row in wrong:
        print(f"exit status {row.status}: {row.command} against {row.server} over {row.family}: "
              f"{row.cells[0]}", file=sys.stderr)
    # In the form that scripts/test.sh counts.
    print(f"test result: {'FAILED' if wrong else 'ok'}. {len(rows) - len(wrong)} passed; "
          f"{len(wrong)} failed; 0 ignored")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
