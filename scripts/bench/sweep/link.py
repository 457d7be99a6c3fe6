"""Two hosts and one link, with two kinds of peer at its far end.

    client (where this runs)                peer
    near0 192.0.2.1    -------------------- near1 192.0.2.2, and all of 10.0.0.0/8

The kernel peer is the TCP of the second namespace, to which all of 10.0.0.0/8 is local. The near-free one
is an XDP program on near1 that answers without any state, see respond.bpf.c. Both are counted at near1:
by that program, or by one at the kernel's traffic control, which costs all tools the same.

Nothing is named or kept: namespaces and pinned maps are gone with this process, however it ends.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import platform
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "rtt"))
from lab import LIBC, Lab, Missing, note, spawn  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
RAW = ROOT / "target" / "bench" / "sweep"

CLIENT, PEER, SPARE = "192.0.2.1", "192.0.2.2", "192.0.2.77"
PORT = 7007
KINDS = ["syn", "ack", "data", "fin", "rst", "syn-ack out", "ack out", "data out", "fin out", "rst out", "bad"]
ROWS, CPUS, WORDS = 16, 64, 4
SYN_ACK, REFUSE, SILENT = 0, 1, 2

BPF = Path("/sys/fs/bpf")
BPF_OBJ_GET, SYS_BPF = 7, {"x86_64": 321, "aarch64": 280}


def pinned_map(path: Path, size: int) -> mmap.mmap:
    """The memory of a pinned map."""
    name = ctypes.create_string_buffer(str(path).encode())
    attributes = struct.pack("QII", ctypes.addressof(name), 0, 0)
    descriptor = LIBC.syscall(SYS_BPF[platform.machine()], BPF_OBJ_GET, attributes, len(attributes))
    if descriptor < 0:
        raise Missing(f"{path}: the pinned map cannot be opened")
    page = mmap.PAGESIZE
    found = mmap.mmap(descriptor, (size + page - 1) // page * page)
    os.close(descriptor)
    return found


@dataclass
class Count:
    """Packets of one kind that were seen at the peer, and when (seconds of the monotonic clock)."""

    packets: int = 0
    bytes: int = 0
    first: float = 0.0
    last: float = 0.0

    @property
    def span(self) -> float:
        return self.last - self.first

    @property
    def rate(self) -> float:
        return (self.packets - 1) / self.span if self.packets > 1 and self.span > 0 else 0.0


@dataclass
class Cost:
    """What a run took."""

    start: float
    wall: float
    user: float
    system: float
    peak_kib: int
    status: int
    machine: float
    "seconds of CPU that the whole machine spent meanwhile, on whatever"
    softirq: float
    "of those, in soft interrupts as the kernel accounts them"
    output: str
    "what it printed, both ways"

    @property
    def cpu(self) -> float:
        return self.user + self.system


def machine() -> tuple[float, float]:
    """Seconds that this machine was busy since it started; and in soft interrupts."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq, steal, *_ = map(int, stat.readline().split()[1:])
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq + steal) / tick, softirq / tick


def compiled(source: str, *options: str) -> Path:
    """A small program in C, built where it is not yet or no longer up to date."""
    program = RAW / "bin" / source.removesuffix(".c")
    program.parent.mkdir(parents=True, exist_ok=True)
    if not program.exists() or program.stat().st_mtime < (HERE / source).stat().st_mtime:
        done = subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-pthread", *options, "-o", str(program),
                               str(HERE / source)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Missing(f"{source} does not compile: {done.stderr.strip()[-500:]}")
    return program


class Link(Lab):
    """The two hosts, for as long as the `with` lasts."""

    def __init__(self, responder: str = "xdp") -> None:
        self.responder = responder
        for program in ("ip", "tc", "nft", "clang", "cc", "bpftool", "unshare", "nsenter", "mount"):
            if not shutil.which(program):
                raise Missing(f"{program} is not installed")
        self.children: list[subprocess.Popen] = []
        self.near_free = False
        self.attached: dict[str, str | None] = {}
        self.runs = 0
        RAW.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Link:
        try:
            self.peer = self.namespace()
            self.runner = compiled("run.c")
            self.build()
            self.load()
        except BaseException:
            self.__exit__()
            raise
        return self

    def build(self) -> None:
        quiet = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; " \
                "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up"
        # What a server that expects many clients at once would set; cookies stay as they are, on.
        room = "echo 65535 > /proc/sys/net/core/somaxconn; " \
               "echo 65535 > /proc/sys/net/ipv4/tcp_max_syn_backlog"
        ports = "echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range"
        self.run(None, "sh", "-c", f"{quiet}; {ports}")
        self.run(self.peer, "sh", "-c", f"{quiet}; {room}")
        self.run(None, "ip", "link", "add", "near0", "type", "veth", "peer", "name", "near1")
        self.run(None, "ip", "link", "set", "near1", "netns", str(self.peer))
        for pid, name, address in ((None, "near0", CLIENT), (self.peer, "near1", PEER)):
            self.run(pid, "ip", "addr", "add", f"{address}/24", "dev", name)
            self.run(pid, "ip", "link", "set", name, "up")
        self.here, self.there = self.mac(None, "near0"), self.mac(self.peer, "near1")
        self.run(None, "ip", "neigh", "replace", PEER, "lladdr", self.there, "dev", "near0")
        for address in (CLIENT, SPARE):
            self.run(self.peer, "ip", "neigh", "replace", address, "lladdr", self.here, "dev", "near1")
        self.run(None, "ip", "route", "add", "10.0.0.0/8", "via", PEER, "dev", "near0")
        self.run(self.peer, "ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")

    def load(self) -> None:
        """The programs of respond.bpf.c, and the memory that they count in."""
        self.run(None, "mount", "-t", "bpf", "bpf", str(BPF))
        built = RAW / "respond.bpf.o"
        self.run(None, "clang", "-O2", "-g", "-Wall", "-target", "bpf",
                 f"-I/usr/include/{platform.machine()}-linux-gnu", "-c", str(HERE / "respond.bpf.c"), "-o", str(built))
        self.run(None, "bpftool", "prog", "loadall", str(built), str(BPF / "bench"), "pinmaps", str(BPF / "maps"))
        self.counts = pinned_map(BPF / "maps" / "counts", ROWS * CPUS * WORDS * 8)
        self.mode = pinned_map(BPF / "maps" / "mode", 8)
        self.run(self.peer, "tc", "qdisc", "add", "dev", "near1", "clsact")
        for way, program in (("ingress", "watch_in"), ("egress", "watch_out")):
            self.control("add", way, program)

    def control(self, verb: str, way: str, program: str) -> None:
        """Adds or deletes a program at the traffic control of near1: the responder before the counters."""
        first = program == "respond_tc"
        words = [] if verb == "delete" else ["bpf", "da", "pinned", str(BPF / "bench" / program)]
        self.run(self.peer, "tc", "filter", verb, "dev", "near1", way, "prio", "1" if first else "2", *words)

    def respond(self, near_free: bool, mode: int = SYN_ACK, *, hook: bool = False) -> None:
        """Lets the XDP program answer, or the kernel, a tool that has an XDP program itself or not: see `hook`."""
        self.mode[:8] = struct.pack("Q", mode)
        # What an XDP program sends back through a veth pair is only taken where the other end polls, which it
        # does as long as it has such a program too: one that does nothing, or the tool's.
        self.attach(None, "near0", "pass" if near_free and not hook and self.responder == "xdp" else None)
        if near_free != self.near_free:
            if self.responder == "tc":
                for way, program in (("ingress", "respond_tc"), ("egress", "watch_out")):
                    # It counts what it sends itself.
                    self.control("add" if near_free == (way == "ingress") else "delete", way, program)
                self.near_free = near_free
                return
            self.attach(self.peer, "near1", "respond" if near_free else None)
            self.near_free = near_free

    def attach(self, pid: int | None, name: str, program: str | None) -> None:
        """Attaches one of our XDP programs to an end of the link, or none."""
        if self.attached.get(name) != program:
            words = ["attach", "xdpdrv", "pinned", str(BPF / "bench" / program)] if program else ["detach", "xdpdrv"]
            self.run(pid, "bpftool", "net", *words, "dev", name)
            self.attached[name] = program

    def fresh(self) -> int:
        """The number of the next run."""
        self.runs += 1
        return self.runs

    def clear(self) -> None:
        """Begins to count anew."""
        self.counts[:] = bytes(len(self.counts))

    def seen(self) -> dict[str, Count]:
        """What was counted since `clear`."""
        found = {kind: Count() for kind in KINDS}
        for row in range(ROWS * CPUS):
            packets, size, first, last = struct.unpack_from("QQQQ", self.counts, row * WORDS * 8)
            if not packets:
                continue
            count = found[KINDS[row % ROWS]]
            count.first = min(first / 1e9, count.first or first / 1e9)
            count.last = max(last / 1e9, count.last)
            count.packets += packets
            count.bytes += size
        return found

    def serve(self, port: int, *more: str) -> subprocess.Popen:
        """Starts the listener of all addresses of the peer; `stop` ends it."""
        server = self.start(self.inside(self.peer, [str(compiled("serve.c")), str(port), *more]),
                            stdout=subprocess.PIPE, text=True)
        if server.stdout.readline() != "listening\n":
            raise Missing("the listener in the peer's namespace did not start")
        return server

    def stop(self, child: subprocess.Popen) -> str:
        """Ends a process of ours in its own way; gives what else it printed."""
        self.children.remove(child)
        child.send_signal(signal.SIGTERM)
        try:
            said = child.communicate(timeout=10)[0]
        finally:
            self.end(child, signal.SIGKILL)
        return said or ""

    def measure(self, command: list[str], limit: float, name: str = "tool") -> Cost:
        """Runs a command on the client to its end; it is killed after `limit` seconds, and that is an error."""
        told, printed = RAW / f"{name}.cost.json", RAW / f"{name}.out"
        told.unlink(missing_ok=True)
        before = machine()
        with open(printed, "w", encoding="utf-8") as out:
            child = spawn([str(self.runner), str(told), *command], stdout=out, stderr=subprocess.STDOUT)
            try:
                child.wait(limit)
            except subprocess.TimeoutExpired:
                self.end(child, signal.SIGTERM)
                raise Missing(f"not done after {limit:.0f} s: {' '.join(command)}") from None
            finally:
                self.end(child, signal.SIGKILL)
        after = machine()
        cost = json.loads(told.read_text(encoding="ascii"))
        return Cost(**cost, machine=after[0] - before[0], softirq=after[1] - before[1],
                    output=printed.read_text(encoding="utf-8", errors="replace"))


def version(command: list[str]) -> str:
    """The version that a program gives."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+|\.\w+)+(-\w+)*", done.stdout + done.stderr)
    return found.group(0) if found else "?"


__all__ = ["Cost", "Count", "Link", "Missing", "compiled", "note", "spawn", "version", "time"]
