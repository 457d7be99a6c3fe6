"""How far the round-trip times of the stateless path are from the truth, at several rates.

The truth is what two tcpdumps saw. What an AF_XDP socket sends, or an AF_PACKET one past the queueing
discipline, no tap on the sender's own interface sees: so SYNs are stamped where they come out of the
wire, at the peer's end of the veth pair, within the sender's very system call, and answers at the
client's. Both stamps are of one clock. What the wire itself takes is measured with the path whose SYNs
can be seen at both ends. Answers that a program takes at the client's interface no tap there sees: those
are stamped where they leave the peer's end.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from capture import packets
from link import CLIENT, PORT, RAW, ROOT, Link, Missing, note
from table import number, percent, shown, table, where

SYN, RST, ACK = 0x02, 0x04, 0x10
ASKED = f"(tcp dst port {PORT} and tcp[13] & 0x12 == 2)"
ANSWERED = f"(tcp src port {PORT} and tcp[13] & 6 != 0)"


def taps(hook: bool) -> dict[str, str]:
    """What is seen at either end."""
    return {"near0": ASKED, "near1": f"{ASKED} or {ANSWERED}"} if hook else \
        {"near0": f"{ASKED} or {ANSWERED}", "near1": ASKED}


@dataclass
class Setting:
    """A rate, for so many targets."""

    key: str
    title: str
    rate: str
    prefix: int
    more: tuple[str, ...] = ()

    @property
    def targets(self) -> int:
        return 1 << (32 - self.prefix)


SETTINGS = [
    Setting("1000", "1,000/s", "1000", 20),
    Setting("50000", "50,000/s", "50k", 16),
    Setting("max", "as fast as it goes", "max", 16),
    Setting("raw", "1,000/s, `--transmit raw`", "1000", 20, ("--transmit", "raw")),
    Setting("hook-1000", "1,000/s, `--receive xdp`", "1000", 20, ("--receive", "xdp")),
    Setting("hook-50000", "50,000/s, `--receive xdp`", "50k", 16, ("--receive", "xdp")),
    Setting("hook-max", "as fast as it goes, `--receive xdp`", "max", 16, ("--receive", "xdp")),
    Setting("log-1000", "1,000/s, `--no-timestamps`", "1000", 20, ("--no-timestamps",)),
    Setting("log-50000", "50,000/s, `--no-timestamps`", "50k", 16, ("--no-timestamps",)),
    Setting("log-max", "as fast as it goes, `--no-timestamps`", "max", 16, ("--no-timestamps",)),
]


class Taps:
    """tcpdump at both ends of the link, for as long as the `with` lasts."""

    def __init__(self, link: Link, label: str, which: dict[str, str]) -> None:
        self.link, self.children, self.which = link, [], which
        self.files = {name: RAW / f"rtt-{label}.{name}.pcap" for name in which}
        self.lost = 0

    def __enter__(self) -> Taps:
        for name, which in self.which.items():
            self.files[name].unlink(missing_ok=True)
            command = ["tcpdump", "-i", name, "-j", "host", "--time-stamp-precision=nano", "-n", "-Z", "root", "-s", "96",
                       "-B", "131072", "-w", str(self.files[name]), which]
            child = self.link.start(self.link.inside(self.link.peer, command) if name == "near1" else command,
                                    stderr=subprocess.PIPE, text=True)
            self.children.append(child)
            line = child.stderr.readline()
            while line and "listening on" not in line:
                line = child.stderr.readline()
            if not line:
                raise Missing(f"tcpdump does not listen on {name}")
        return self

    def __exit__(self, *_: object) -> None:
        # Its ring hands over a block after a second at the latest; what is in it then is not lost.
        time.sleep(1.2)
        for child in self.children:
            child.send_signal(signal.SIGINT)
        for child in self.children:
            said = child.communicate(timeout=60)[1]
            self.lost += sum(map(int, re.findall(r"(\d+) packets dropped by kernel", said)))
            self.link.children.remove(child)


@dataclass
class Truth:
    """Stamps by address: of the first SYN at either end, and of the first answer."""

    left: dict[str, int] = field(default_factory=dict)
    "where the sender's own tap sees it"
    arrived: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, files: dict[str, Path]) -> Truth:
        found, own = cls(), socket.inet_aton(CLIENT)
        for name, file in files.items():
            for stamp, ip in packets(file):
                flags = ip[(ip[0] & 15) * 4 + 13]
                if ip[12:16] == own:
                    into = found.left if name == "near0" else found.arrived
                    address = ip[16:20]
                else:
                    into, address = found.answered, ip[12:16]
                if flags & SYN or (flags & RST and into is found.answered):
                    into.setdefault(socket.inet_ntoa(address), stamp)
        return found


def percentile(values: list[int], share: float) -> int:
    """The nearest rank: the least value that at least so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]


def micros(nanos: float, sign: bool = False) -> str:
    plus = "+" if sign and nanos > 0 else ""
    return f"{plus}{nanos / 1e3:,.1f} µs" if abs(nanos) < 1e5 else f"{plus}{nanos / 1e3:,.0f} µs"


def command(binary: str, link_targets: str, setting: Setting, file: Path) -> list[str]:
    return [binary, "sweep", link_targets, "-p", str(PORT), "--rate", setting.rate, "--cool-down", "1s", "--csv",
            "--fields", "addr,outcome,rtt_ns,rtt_by,rtt_error_ns", "--output", str(file), *setting.more]


def one(link: Link, binary: str, setting: Setting) -> tuple[list[str], str]:
    """One run; its row, and what is to be said of it."""
    file = RAW / f"rtt-{setting.key}.csv"
    file.unlink(missing_ok=True)
    server = link.serve(PORT)
    try:
        link.clear()
        with Taps(link, setting.key, taps(hook="--receive" in setting.more)) as seen:
            words = command(binary, f"10.{link.fresh()}.0.0/{setting.prefix}", setting, file)
            cost = link.measure(words, 120, f"rtt-{setting.key}")
        syns = link.seen()["syn"]
    finally:
        link.stop(server)
    if cost.status not in (0, 1) or not file.exists():
        raise Missing(f"shakedown exits with {cost.status}: {cost.output.strip()[-300:]}")
    truth = Truth.read(seen.files)
    errors, true, stated, within, without, ways = [], [], [], 0, 0, {}
    with open(file, newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            left, answered = truth.arrived.get(row["addr"]), truth.answered.get(row["addr"])
            if not row["rtt_ns"] or left is None or answered is None:
                without += 1
                continue
            said = int(row["rtt_ns"])
            errors.append(said - (answered - left))
            true.append(answered - left)
            ways[row["rtt_by"]] = ways.get(row["rtt_by"], 0) + 1
            if row["rtt_error_ns"]:
                stated.append(int(row["rtt_error_ns"]))
                within += abs(errors[-1]) <= stated[-1]
    for capture in seen.files.values():
        capture.unlink(missing_ok=True)
    if not errors:
        raise Missing(f"{setting.title}: nothing to compare, {without} answers without a time")
    sizes = [abs(error) for error in errors]
    crossing = [truth.arrived[address] - stamp for address, stamp in truth.left.items() if address in truth.arrived]
    remark = ""
    if crossing:
        remark = (f"{setting.title}: SYNs are seen at the peer's end {micros(percentile(crossing, 50))} later than at the "
                  f"sender's at the median, p99 {micros(percentile(crossing, 99))}.")
    return [setting.title, number(syns.rate), f"{len(errors):,}", " and ".join(ways), micros(percentile(true, 50)),
            micros(percentile(true, 99)), micros(percentile(errors, 50), sign=True), micros(percentile(sizes, 50)),
            micros(percentile(sizes, 99)), micros(max(sizes)),
            micros(percentile(stated, 50)) if stated else "–", percent(within / len(stated)) if stated else "–",
            f"{without:,}", f"{seen.lost:,}"], remark


def run(link: Link, options: argparse.Namespace) -> None:
    """All settings that were asked for, printed."""
    binary = os.path.abspath(options.binary)
    if not os.access(binary, os.X_OK):
        raise Missing(f"{options.binary} is not there: cargo build --release")
    rows, remarks = [], []
    for setting in SETTINGS:
        if options.cases and setting.key not in options.cases:
            continue
        note(f"round-trip times: {setting.title}")
        row, remark = one(link, binary, setting)
        rows.append(row)
        remarks += [remark] if remark else []
    dump = subprocess.run(["tcpdump", "--version"], capture_output=True, text=True, check=False)
    print(f"{where()}; {(dump.stdout + dump.stderr).partition(chr(10))[0].replace(' version', '')}; kernel peer. The "
          "truth: SYNs are stamped where they leave the link, at the peer's end, since no tap at the sender's sees what "
          "AF_XDP sends; answers at the client's end, and with `--receive xdp`, which no tap there sees, where they leave "
          "the peer's: what they wait in the link's own queue then counts as an error.\n")
    print(table(["rate", "SYNs/s on the wire", "compared", "time of sending by", "true median", "true p99",
                 "median error", "median size of the error", "p99", "worst", "stated error, median",
                 "within what was stated", "no match", "lost by tcpdump"], rows) + "\n")
    print("\n".join(remarks) + "\n" if remarks else "", end="\n" if remarks else "")
    for setting in SETTINGS[:1]:
        print("    " + shown(command(binary, f"10.64.0.0/{setting.prefix}", setting, RAW / "rtt.csv"))
              .replace(str(RAW.relative_to(ROOT)) + "/", ""))


