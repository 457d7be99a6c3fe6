"""The tools that ask many targets once: how each is run at its best, and what it said."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from link import PORT, RAW, SPARE, Link, version

WAIT = 1
"seconds that every tool that can be told waits for late answers"


@dataclass(frozen=True)
class Case:
    """What is asked, and of whom."""

    key: str
    title: str
    near_free: bool
    targets: str
    "a network or an address, with NN for what is another in every run"
    ports: str
    expected: int
    closed: bool = False
    "that a port is closed is an answer as well"
    serve: int = PORT
    "the port at which the kernel peer listens"

    def at(self, run: int) -> Case:
        """The case, with addresses that the peer has not been asked at lately.

        Its kernel remembers connections for a minute, and would answer those who use the same ports
        in another way than the first.
        """
        return replace(self, targets=self.targets.replace("NN", str(1 + run % 250)))

    def asked(self, address: str, port: int) -> bool:
        """Whether an answer is one to a question of this case."""
        if "/" in self.targets:
            return str(port) == self.ports and address.startswith(self.targets.rsplit(".", 2)[0] + ".")
        return address in (self.targets, "closed")


@dataclass
class Scanner:
    """A tool in one way of running it."""

    name: str
    command: Callable[[Link, Case, int | None], list[str]]
    "for a rate, or as fast as it can"
    heard: Callable[[Path, str, Case], Iterator[tuple[str, int]] | int]
    "the answers in its file and its output: each, or only how many"
    version: list[str]
    paced: bool = True
    "it can be told a rate"
    ours: bool = False
    once: bool = False
    "slow: one round is enough"
    hook: bool = False
    "has an XDP program of its own at the client's end of the link"
    cases: tuple[str, ...] = ()
    "where set, the only cases that it can do"
    rate: int | None = None
    file: Path = field(default=RAW / "tool.answers")

    def label(self) -> str:
        return f"{self.name}, at {self.rate:,}/s" if self.rate else self.name

    def program(self) -> str:
        return self.version[0]


def ours(binary: str, name: str, *more: str, path: str = "auto", rate: str = "max") -> Scanner:
    file = RAW / f"{name.replace(' ', '-')}.answers"

    def command(_: Link, case: Case, wanted: int | None) -> list[str]:
        return [binary, "sweep", case.targets, "-p", case.ports, "--rate", str(wanted or rate), "--transmit", path,
                "--cool-down", f"{WAIT}s", "--csv", "--fields", "addr,port,outcome", "--output", str(file), *more]

    def heard(file: Path, _: str, case: Case) -> Iterator[tuple[str, int]]:
        wanted = {"open", "refused"} if case.closed else {"open"}
        with open(file, newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["outcome"] in wanted:
                    yield row["addr"], int(row["port"])

    return Scanner(name, command, heard, [binary, "--version"], ours=True, file=file, hook="--receive" in more)


def masscan() -> Scanner:
    file = RAW / "masscan.answers"

    def command(link: Link, case: Case, rate: int | None) -> list[str]:
        # From an address of its own: so it keeps the kernel out, as its documentation prefers.
        return ["masscan", "-p", case.ports, case.targets, "-e", "near0", "--router-mac", link.there.replace(":", "-"),
                "--source-ip", SPARE, "--rate", str(rate or 10_000_000), "--wait", str(WAIT), "-oL", str(file),
                *(["--show", "closed"] if case.closed else [])]

    def heard(file: Path, _: str, __: Case) -> Iterator[tuple[str, int]]:
        for line in file.read_text(encoding="ascii").splitlines():
            if line.startswith(("open ", "closed ")):
                _, _, port, address, *_ = line.split()
                yield address, int(port)

    return Scanner("masscan", command, heard, ["masscan", "--version"], file=file)


def zmap(name: str, *more: str) -> Scanner:
    file = RAW / f"{name.replace(' ', '-')}.answers"

    def command(link: Link, case: Case, rate: int | None) -> list[str]:
        # Its own list of what not to scan has private addresses in it.
        return ["zmap", "-q", "-v", "2", "-p", case.ports, "-i", "near0", "-G", link.there, "-b", "/dev/null",
                "-r", str(rate or 0), "-c", str(WAIT), "--max-sendto-failures=-1", "-o", str(file), *more, case.targets]

    def heard(file: Path, _: str, __: Case) -> Iterator[tuple[str, int]]:
        for line in file.read_text(encoding="ascii").split():
            if line != "saddr":
                yield line, PORT

    return Scanner(name, command, heard, ["zmap", "--version"], file=file, cases=("kernel-hosts", "near-free-hosts"))


def nmap() -> Scanner:
    file = RAW / "nmap.answers"

    def command(_: Link, case: Case, rate: int | None) -> list[str]:
        # With one host its own pacing is faster than a rate that it cannot keep up with.
        pace = ["-T5", "--min-rate", str(rate or 100_000), "--max-retries", "1"] if "/" in case.targets else ["-T4"]
        return ["nmap", "-sS", "-n", "-Pn", *pace, "-p", case.ports, "-oG", str(file), case.targets]

    def heard(file: Path, _: str, case: Case) -> Iterator[tuple[str, int]]:
        states = {"open", "closed"} if case.closed else {"open"}
        for line in file.read_text(encoding="ascii").splitlines():
            found = re.match(r"Host: (\S+) .*\tPorts: ([^\t]*)", line)
            if found:
                for port in found[2].split(", "):
                    number, state, *_ = port.split("/")
                    if state in states:
                        yield found[1], int(number)
            # Those that are not listed one by one it only counts: as many as never were ports.
            ignored = re.search(r"Ignored State: closed \((\d+)\)", line)
            if ignored and case.closed:
                yield from (("closed", -number) for number in range(int(ignored[1])))

    return Scanner("nmap -sS", command, heard, ["nmap", "--version"], paced=False, once=True, file=file)


def everything(binary: str) -> list[Scanner]:
    return [ours(binary, "shakedown"),
            ours(binary, "shakedown --rate auto", rate="auto"),
            ours(binary, "shakedown --transmit xdp", path="xdp"),
            ours(binary, "shakedown --transmit packet", path="packet"),
            ours(binary, "shakedown --transmit raw", path="raw"),
            ours(binary, "shakedown --no-rst", "--no-rst"),
            ours(binary, "shakedown --receive xdp", "--receive", "xdp"),
            ours(binary, "shakedown --receive xdp --transmit xdp", "--receive", "xdp", path="xdp"),
            ours(binary, "shakedown --receive xdp --no-rst", "--receive", "xdp", "--no-rst"),
            masscan(),
            zmap("zmap"),
            zmap("zmap -T 2", "-T", "2"),
            zmap("zmap -S", "-S", SPARE),
            nmap()]


def release(scanner: Scanner) -> str:
    return version(scanner.version)
