#!/usr/bin/env python3
"""The work behind probe.sh, which see. Runs inside a network namespace of its own.

What is measured, for each start of each tool:
- wall: from just before the process is made until it has been waited for;
- first packet: until the first SYN to the port, by the kernel's stamp of a packet socket;
- CPU: user plus system time of the process, by wait4;
and once more in a round of its own, because the measuring process would blur it:
- memory: peak resident set, by GNU time.

nping waits a second after its only probe unless it is given a shorter delay; it is.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from dataclasses import dataclass, field

ADDRESS, PORT = "127.0.0.1", 7007
SO_TIMESTAMPNS = 35
PACKET_OUTGOING = 4
SYN, ACK = 0x02, 0x10

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Tool:
    """A tool, how it is run, and what was measured."""

    name: str
    command: list[str]
    version: list[str]
    wall: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


def tools(binary: str) -> list[Tool]:
    port = str(PORT)
    return [
        Tool("shakedown", [binary, "probe", f"{ADDRESS}:{port}"], [binary, "--version"]),
        Tool("hping3", ["hping3", "-I", "lo", "-S", "-c", "1", "-p", port, ADDRESS],
             ["hping3", "--version"]),
        Tool("nping", ["nping", "--tcp", "-c", "1", "--delay", "1ms", "-p", port, ADDRESS], ["nping", "--version"]),
        Tool("nmap", ["nmap", "-sS", "-n", "-Pn", "-p", port, ADDRESS], ["nmap", "--version"]),
        Tool("tcping-rs", ["tcping", f"{ADDRESS}:{port}", "-c", "1"], ["tcping", "--version"]),
        Tool("nc", ["nc", "-z", ADDRESS, port], ["dpkg-query", "-W", "netcat-openbsd"]),
    ]


def listen() -> int:
    """Starts the listener in a process of its own; gives its pid."""
    listener = socket.create_server((ADDRESS, PORT), backlog=4096)
    pid = os.fork()
    if pid == 0:
        while True:
            listener.accept()[0].close()
    listener.close()
    return pid


class Tap:
    """Sees the SYNs to the port, with the kernel's stamps."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
        self.socket.bind(("lo", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)

    def first_syn(self) -> float | None:
        """The stamp of the first SYN since the last call; everything else is thrown away."""
        found = None
        while select.select([self.socket], [], [], 0)[0]:
            packet, control, _, source = self.socket.recvmsg(65536, 64)
            if found is not None or source[2] != PACKET_OUTGOING or packet[9] != 6:
                continue
            tcp = packet[(packet[0] & 15) * 4:]
            to_port = int.from_bytes(tcp[2:4], "big")
            if to_port == PORT and tcp[13] & (SYN | ACK) == SYN:
                seconds, nanoseconds = struct.unpack("qq", control[0][2])
                found = seconds + nanoseconds / 1e9
        return found


def once(tool: Tool, tap: Tap, null: int) -> int:
    """One start, measured; gives the exit status."""
    actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1),
               (os.POSIX_SPAWN_DUP2, null, 2)]
    program = shutil.which(tool.command[0]) or tool.command[0]
    tap.first_syn()
    wall_start, start = time.time(), time.perf_counter()
    pid = os.posix_spawn(program, tool.command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    tool.wall.append(time.perf_counter() - start)
    tool.cpu.append(usage.ru_utime + usage.ru_stime)
    syn = tap.first_syn()
    if syn is not None:
        tool.first.append(syn - wall_start)
    return os.waitstatus_to_exitcode(status)


def peak_memory(tool: Tool) -> None:
    done = subprocess.run(["/usr/bin/time", "-f", "%M", *tool.command], check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    tool.memory.append(int(done.stderr.split()[-1]))


def spread(values: list[float], scale: float = 1e3) -> str:
    if not values:
        return "–"
    scaled = [value * scale for value in values]
    return f"{statistics.median(scaled):.2f} ({min(scaled):.2f} to {max(scaled):.2f})"


def version(tool: Tool) -> str:
    done = subprocess.run(tool.version, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+|\.\w+)+(-\d+)?", done.stdout + done.stderr)
    return found.group(0) if found else "?"


def main() -> int:
    parser = argparse.ArgumentParser(prog="probe.sh")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--binary", default="target/release/shakedown")
    options = parser.parse_args()
    binary = os.path.abspath(options.binary)
    if not os.access(binary, os.X_OK):
        print(f"{options.binary}: not there; cargo build --release", file=sys.stderr)
        return 2
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    present = [tool for tool in tools(binary) if shutil.which(tool.command[0])]
    for tool in tools(binary):
        if not shutil.which(tool.command[0]):
            print(f"left out: {tool.name} is not installed", file=sys.stderr)
    listener = listen()
    try:
        return measure(present, options.rounds)
    finally:
        os.kill(listener, signal.SIGKILL)
        os.waitpid(listener, 0)


def measure(present: list[Tool], rounds: int) -> int:
    tap, null = Tap(), os.open(os.devnull, os.O_RDWR)
    for tool in present:
        status = once(tool, tap, null)
        if status != 0:
            print(f"{tool.name} exits with {status}: {' '.join(tool.command)}", file=sys.stderr)
            return 1
        for values in (tool.wall, tool.first, tool.cpu):
            values.clear()
    for number in range(rounds):
        # Another order in every round, so that no tool always follows the same one.
        for tool in present[number % len(present):] + present[:number % len(present)]:
            once(tool, tap, null)
    if os.access("/usr/bin/time", os.X_OK):
        for _ in range(5):
            for tool in present:
                peak_memory(tool)
    report(present, rounds)
    return 0


def report(present: list[Tool], rounds: int) -> None:
    print(f"{rounds} rounds, interleaved; Linux {platform.release()}, {os.cpu_count()} CPUs; "
          "median (least to greatest)\n")
    print("| tool | wall, ms | start to first SYN, ms | CPU, ms | peak memory, KiB |")
    print("|---|---|---|---|---|")
    for tool in present:
        memory = str(int(statistics.median(tool.memory))) if tool.memory else "–"
        print(f"| {tool.name} {version(tool)} | {spread(tool.wall)} | {spread(tool.first)} | "
              f"{spread(tool.cpu)} | {memory} |")
    print()
    for tool in present:
        # Where this checkout lies is nobody else's business.
        print("    " + " ".join(tool.command).replace(f"{ROOT}/", ""))


if __name__ == "__main__":
    sys.exit(main())
