"""Two hosts in namespaces of their own, by a direct link and by one with a forwarder in its middle.

    client (where this runs)          forwarder             peer
    near0 192.0.2.1    ------------------------------------ near1 192.0.2.2
    far0  198.51.100.1 ------------- mid0   mid1 ---------- far1  198.51.100.2

The peer is all of 10.0.0.0/8 as well: 10.0.0.0/9 by the direct link, 10.128.0.0/9 by the other.

No namespace has a name: each lives as long as its processes, and every process started here is killed
by the kernel when this one dies, however it dies. So nothing is left behind, not by SIGKILL either.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PORT = 7007
MS = 1_000_000
NEAR, FAR = ("192.0.2.1", "192.0.2.2"), ("198.51.100.1", "198.51.100.2")
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
RAW = ROOT / "target" / "bench" / "rtt"

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

# Accepts and closes, so that the listener's queue never fills; the kernel does the handshakes.
SERVER = """
import socket, sys
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=65535)
print("listening", flush=True)
while True:
    listener.accept()[0].close()
"""


class Missing(Exception):
    """Something without which nothing can be measured; said in one line."""


def note(text: str) -> None:
    """Says on standard error what goes on."""
    print(text, file=sys.stderr, flush=True)


def tcpdump_version() -> str:
    """Name and version of what takes the truth."""
    done = subprocess.run(["tcpdump", "--version"], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).partition("\n")[0].replace(" version", "")


def spawn(command: list[str], cores: set[int] | None = None, **options) -> subprocess.Popen:
    """Starts a process that does not outlive this one."""

    def before_exec() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if cores is not None:
            os.sched_setaffinity(0, cores)

    return subprocess.Popen(command, preexec_fn=before_exec, stdin=subprocess.DEVNULL, **options)


class Lab:
    """The hosts, their links, the listener, and what is put in the way."""

    def __init__(self) -> None:
        for program in ("ip", "nft", "tcpdump", "unshare", "nsenter"):
            if not shutil.which(program):
                raise Missing(f"{program} is not installed")
        self.children: list[subprocess.Popen] = []
        self.hosts = 0
        RAW.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Lab:
        try:
            self.peer, self.middle = self.namespace(), self.namespace()
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self.children):
            self.end(child, signal.SIGKILL)

    def start(self, command: list[str], **options) -> subprocess.Popen:
        """Starts a process that is ended with the laboratory."""
        child = spawn(command, **options)
        self.children.append(child)
        return child

    @staticmethod
    def end(child: subprocess.Popen, by: int) -> None:
        """Ends and reaps a process of ours."""
        if child.poll() is None:
            child.send_signal(by)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def namespace(self) -> int:
        """A network namespace; gives the pid of the process that keeps it."""
        own = os.readlink("/proc/self/ns/net")
        keeper = self.start(["unshare", "--net", "sleep", "infinity"])
        deadline = time.monotonic() + 5
        while os.readlink(f"/proc/{keeper.pid}/ns/net") == own:
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise Missing("no network namespace could be made (unshare --net)")
            time.sleep(0.01)
        return keeper.pid

    @staticmethod
    def inside(pid: int, command: list[str]) -> list[str]:
        """The command that runs `command` in the namespace of `pid`."""
        return ["nsenter", f"--net=/proc/{pid}/ns/net", *command]

    def run(self, pid: int | None, *command: str, text: str | None = None) -> str:
        """Runs a command to its end, here or in the namespace of `pid`."""
        words = list(command) if pid is None else self.inside(pid, list(command))
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Missing(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def build(self) -> None:
        # Router solicitations and the like would only be noise in the captures.
        quiet = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; " \
                "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up"
        room = "echo 65535 > /proc/sys/net/core/somaxconn; " \
               "echo 65535 > /proc/sys/net/ipv4/tcp_max_syn_backlog"
        self.run(None, "sh", "-c", quiet)
        self.run(self.middle, "sh", "-c", quiet)
        self.run(self.peer, "sh", "-c", f"{quiet}; {room}")
        for here, there, where in (("near0", "near1", self.peer), ("far0", "mid0", self.middle)):
            self.run(None, "ip", "link", "add", here, "type", "veth", "peer", "name", there)
            self.run(None, "ip", "link", "set", there, "netns", str(where))
        self.run(self.middle, "ip", "link", "add", "mid1", "type", "veth", "peer", "name", "far1")
        self.run(self.middle, "ip", "link", "set", "far1", "netns", str(self.peer))
        for pid, name, address in ((None, "near0", NEAR[0]), (self.peer, "near1", NEAR[1]),
                                   (None, "far0", FAR[0]), (self.peer, "far1", FAR[1]),
                                   (self.middle, "mid0", None), (self.middle, "mid1", None)):
            if address:
                self.run(pid, "ip", "addr", "add", f"{address}/24", "dev", name)
            self.run(pid, "ip", "link", "set", name, "up")
        # Addresses are settled, so that no ARP answer is waited for and measured.
        for one, other, name, peer_name in ((*NEAR, "near0", "near1"), (*FAR, "far0", "far1")):
            mine, theirs = self.mac(None, name), self.mac(self.peer, peer_name)
            self.run(None, "ip", "neigh", "replace", other, "lladdr", theirs, "dev", name)
            self.run(self.peer, "ip", "neigh", "replace", one, "lladdr", mine, "dev", peer_name)
        # More addresses than will be needed: the lower half near, the upper half far.
        self.run(None, "ip", "route", "add", "10.0.0.0/9", "via", NEAR[1], "dev", "near0")
        self.run(None, "ip", "route", "add", "10.128.0.0/9", "via", FAR[1], "dev", "far0")
        self.run(self.peer, "ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")
        # The forwarder passes frames on as they are; a checksum left to the card would stay undone.
        self.run(None, sys.executable, str(HERE / "plain.py"), "far0")
        self.run(self.peer, sys.executable, str(HERE / "plain.py"), "far1")
        self.server = self.start(self.inside(self.peer, [sys.executable, "-c", SERVER, str(PORT)]),
                                 stdout=subprocess.PIPE, text=True)
        if self.server.stdout.readline() != "listening\n":
            raise Missing("the listener in the peer's namespace did not start")

    def mac(self, pid: int | None, name: str) -> str:
        return json.loads(self.run(pid, "ip", "-j", "link", "show", name))[0]["address"]

    def host(self, far: bool) -> str:
        """An address of the peer that no run has used yet.

        The peer remembers the connections of tools that connect for a minute, and answers a SYN with the
        same ports in another way than the first: the next tool would be told of the one before.
        """
        self.hosts += 1
        return f"10.{128 if far else 0}.{self.hosts // 256 + 1}.{self.hosts % 256}"

    def drop(self, one_in: int | None) -> None:
        """From now on drops one SYN, or echo request, in so many, at random, in the peer's namespace."""
        table = "table ip bench\ndelete table ip bench\n"
        if one_in:
            chance = f"numgen random mod {one_in} == 0 counter drop"
            table += f"""
            table ip bench {{ chain in {{ type filter hook input priority 0; policy accept;
                tcp dport {PORT} tcp flags & (syn|ack) == syn {chance}
                icmp type echo-request {chance}
            }}
            }}
            """
        self.run(self.peer, "nft", "-f", "-", text=table)

    def dropped(self) -> int:
        """How many packets nftables counted as dropped since `drop`."""
        rules = json.loads(self.run(self.peer, "nft", "-j", "list", "table", "ip", "bench"))["nftables"]
        return sum(part["counter"]["packets"]
                   for rule in rules for part in rule.get("rule", {}).get("expr", []) if "counter" in part)


class Forwarder:
    """The program in the middle of the far link, for as long as the `with` lasts."""

    def __init__(self, lab: Lab, *arguments: str) -> None:
        self.lab, self.arguments = lab, arguments
        self.counts: dict[str, int] = {}

    def __enter__(self) -> Forwarder:
        command = [sys.executable, str(HERE / "forward.py"), "mid0", "mid1", *self.arguments]
        self.child = self.lab.start(self.lab.inside(self.lab.middle, command),
                                    stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline() != "forwarding\n":
            raise Missing("the forwarder did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.child.send_signal(signal.SIGTERM)
        self.counts = json.loads(self.child.communicate(timeout=20)[0] or "{}")


class Dump:
    """tcpdump on an interface of the client, for as long as the `with` lasts."""

    def __init__(self, lab: Lab, interface: str, file: Path) -> None:
        self.lab, self.interface, self.file = lab, interface, file

    def __enter__(self) -> Dump:
        self.file.unlink(missing_ok=True)
        self.child = self.lab.start(
            ["tcpdump", "-i", self.interface, "-j", "host", "--time-stamp-precision=nano", "-n", "-Z",
             "root", "-s", "128", "-B", "65536", "-w", str(self.file), f"tcp port {PORT} or icmp"],
            stderr=subprocess.PIPE, text=True)
        line = self.child.stderr.readline()
        while line and "listening on" not in line:
            line = self.child.stderr.readline()
        if not line:
            raise Missing(f"tcpdump does not listen on {self.interface}")
        return self

    def __exit__(self, *_: object) -> None:
        # Its ring hands over a block after a second at the latest; what is in it then is not lost.
        time.sleep(1.2)
        self.child.send_signal(signal.SIGINT)
        said = self.child.communicate(timeout=60)[1]
        for line in said.splitlines():
            if "dropped by kernel" in line and not line.startswith("0 "):
                raise Missing(f"tcpdump lost packets, so there is no truth to compare with: {line}")
