"""The tools: how each is run, what it said of each probe, and how that is matched with the capture."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import lab
from capture import Truth

LIMIT = 400.0


@dataclass
class Case:
    """The circumstances of a run, as far as the tools are concerned."""

    name: str
    client: str
    peer: str
    interface: str
    file: Path
    count: int
    cores: set[int] | None
    floor: int
    started: list[subprocess.Popen] = field(default_factory=list)

    def words(self, command: list[str]) -> list[str]:
        """The command line with this case's values in it."""
        values = {"COUNT": str(self.count), "PEER": self.peer, "PORT": str(lab.PORT), "INTERFACE":
                  self.interface, "CSV": str(self.file.with_suffix(".csv"))}
        return [re.sub(r"\{(\w+)\}", lambda found: values[found[1]], word) for word in command]


@dataclass
class Said:
    """What a tool said of a run."""

    pairs: list[tuple[int, int]] = field(default_factory=list)
    "what was reported and what is true, in nanoseconds, of each probe that both know"
    unmatched: int = 0
    "reports of which the capture cannot say what is true"
    lost: int | None = None
    "how many packets it says were lost"
    remark: str = ""


@dataclass
class Tool:
    """A tool, and everything that differs between tools."""

    name: str
    command: list[str]
    judge: Callable[[str, Truth, Case], Said]
    version: list[str]
    single: bool = False
    "one process for each probe"
    shared: bool = False
    "every probe has the same ports and the same sequence number"
    counts: dict[str, int] = field(default_factory=dict)
    "probes by case, where a thousand would take minutes"

    def run(self, case: Case) -> str:
        """Runs it to its end; gives what it printed."""
        words = case.words(self.command)
        program = shutil.which(words[0]) or words[0]
        printed, until = [], time.monotonic() + LIMIT
        for _ in range(case.count if self.single else 1):
            child = lab.spawn([program, *words[1:]], cores=case.cores, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                printed += child.communicate(timeout=max(1.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise lab.Missing(f"{self.name} was not done after {LIMIT:.0f} s") from None
            if child.returncode not in (0, 1):
                words = " ".join(printed[-2:]).strip()[-300:]
                raise lab.Missing(f"{self.name} exits with {child.returncode}: {words}")
        output = "".join(printed)
        case.file.with_suffix(".out").write_text(output)
        return output

    def shown(self) -> str:
        """The command line, as it is printed."""
        return " ".join(self.command).replace(f"{lab.ROOT}/", "") + \
            (", COUNT times" if self.single else "")

    def release(self) -> str:
        """The version that it gives."""
        done = subprocess.run(self.version, capture_output=True, text=True, check=False)
        found = re.search(r"\d{8}|\d+(\.\d+|\.\w+)+(-\w+)*", done.stdout + done.stderr)
        return found.group(0) if found else "?"


def by_place(reported: dict[int, int], truth: Truth, lost: int | None, floor: int) -> Said:
    """The tool counts its probes: its k-th is the k-th that left."""
    said, order = Said(lost=lost), truth.in_order()
    for place, nanos in reported.items():
        true = order[place].truth(floor) if 0 <= place < len(order) else None
        if true is None:
            said.unmatched += 1
        else:
            said.pairs.append((nanos, true))
    return said


def nanos(milliseconds: str) -> int:
    return round(float(milliseconds) * 1e6)


def footer(output: str) -> int | None:
    """Sent less received, from a footer of ping's kind."""
    found = re.search(r"(\d+) packets (?:transmitted|tramitted), (\d+) (?:packets )?received", output)
    return int(found[1]) - int(found[2]) if found else None


def lines(pattern: str, first: int) -> Callable[[str, Truth, Case], Said]:
    """Judges a tool that prints a line for each answer: the number of the probe, milliseconds."""

    def judge(output: str, truth: Truth, case: Case) -> Said:
        reported = {int(place) - first: nanos(time) for place, time in re.findall(pattern, output)}
        return by_place(reported, truth, footer(output), case.floor)

    return judge


def fping(output: str, truth: Truth, case: Case) -> Said:
    reported = {int(place): nanos(time)
                for place, time in re.findall(r": \[(\d+)\], \d+ bytes, ([\d.]+) ms", output)}
    found = re.search(r"xmt/rcv/%loss = (\d+)/(\d+)/", output)
    return by_place(reported, truth, int(found[1]) - int(found[2]) if found else None, case.floor)


def nping(output: str, truth: Truth, case: Case) -> Said:
    """From its lines, to their 0.1 ms: each answer against the last probe sent, as in its own average.

    All its probes share their ports and their sequence number, so it cannot know better; and the
    capture only where the probes are further apart than the time there and back varies.
    """
    said, answers, last = Said(), truth.each(case.floor, 9 * lab.MS // 10), 0
    received = 0
    for kind, seconds in re.findall(r"^(SENT|RCVD) \(([\d.]+)s\) TCP", output, re.MULTILINE):
        at = round(float(seconds) * 1e9)
        if kind == "SENT":
            last = at
            continue
        true = answers[received][1] if received < len(answers) else None
        received += 1
        if true is None:
            said.unmatched += 1
        else:
            said.pairs.append((at - last, true))
    found = re.search(r"Raw packets sent: (\d+).*?Rcvd: (\d+)", output)
    said.lost = int(found[1]) - int(found[2]) if found else None
    average = re.search(r"Avg rtt: ([\d.]+)ms", output)
    known = [true for _, true in answers if true is not None]
    if average and known:
        said.remark = (f"its own average is {average[1]} ms; the capture's is "
                       f"{sum(known) / len(known) / 1e6:.3f} ms")
    return said


def nmap(output: str, truth: Truth, case: Case) -> Said:
    documents = output.split("<?xml version")[1:]
    srtt = {place: re.search(r'<times srtt="(\d+)"', text) for place, text in enumerate(documents)}
    reported = {place: int(found[1]) * 1000 for place, found in srtt.items() if found}
    lost = sum('state="filtered"' in text for text in documents)
    return by_place(reported, truth, lost, case.floor)


def tcping(output: str, truth: Truth, case: Case) -> Said:
    records = [json.loads(line) for line in output.splitlines() if '"record":"probe"' in line]
    reported = {place: nanos(record["duration_ms"])
                for place, record in enumerate(records) if record["success"]}
    return by_place(reported, truth, len(records) - len(reported), case.floor)


def mtr(output: str, truth: Truth, case: Case) -> Said:
    """It gives no count of the lost: they are those without an answer.

    Its numbers look like source ports, but a port that is taken is passed over without a word.
    """
    asked = {port: place for place, port in enumerate(re.findall(r"^x 0 (\d+)", output, re.MULTILINE))}
    told = {asked[port]: int(micros) * 1000
            for micros, port in re.findall(r"^p 0 (\d+) (\d+)", output, re.MULTILINE) if port in asked}
    return by_place(told, truth, len(asked) - len(told), case.floor)


def tcptraceroute(output: str, truth: Truth, case: Case) -> Said:
    """One probe at a time, all with the same ports and number: its times are the answers in order."""
    line = next((line for line in output.splitlines() if re.match(r"\s*1 ", line)), "")
    marks = re.findall(r"([\d.]+) ms|(\*)", line)
    times, answers = [nanos(time) for time, _ in marks if time], truth.each(case.floor, 900 * lab.MS)
    said = Said(lost=len(marks) - len(times), unmatched=max(0, len(times) - len(answers)))
    for reported, (_, true) in zip(times, answers):
        if true is None:
            said.unmatched += 1
        else:
            said.pairs.append((reported, true))
    return said


def rows(case: Case) -> list[dict[str, str]]:
    """The records that shakedown wrote."""
    with open(case.file.with_suffix(".csv"), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shakedown(_: str, truth: Truth, case: Case) -> Said:
    """Each record names the packet that it is about; the interval is that of its SYN and SYN-ACK."""
    said, found = Said(lost=0), rows(case)
    if found and not {"source_port", "iss"} <= found[0].keys():
        raise lab.Missing("the CSV has no columns source_port and iss: which packets its rows are "
                          "about cannot be told")
    for row in found:
        # All but the answered packet: the time there and back is far below the first repetition's.
        said.lost += int(row["attempts"] or 0) - (row["fate"] not in ("lost", "in-flight"))
        if not row["handshake_ns"]:
            continue
        probe = truth.probes.get((int(row["source_port"]), int(row["iss"])))
        true = probe.truth(case.floor) if probe else None
        if true is None:
            said.unmatched += 1
        else:
            said.pairs.append((int(row["handshake_ns"]), true))
    clocks = {row["clock"] for row in found if row["clock"]}
    said.remark = f"clock {', '.join(sorted(clocks)) or 'none'}"
    ambiguous = sum(row["fate"] == "ambiguous" for row in found)
    if ambiguous:
        said.remark += f"; {ambiguous} probes ambiguous and left out of the times"
    return said


def ours(binary: str, name: str, *more: str) -> Tool:
    return Tool(name, [binary, "rtt", "{PEER}:{PORT}", "-c", "{COUNT}", "-i", "1ms", "-W", "2s", "-q",
                       "--csv", "{CSV}", *more], shakedown, [binary, "--version"])


def everything(binary: str) -> list[Tool]:
    """All tools, ours first."""
    tcp = ["-p", "{PORT}"]
    return [
        ours(binary, "shakedown", "--retries", "0"),
        ours(binary, "shakedown --clock user", "--retries", "0", "--clock", "user"),
        Tool("hping3", ["hping3", "-I", "{INTERFACE}", "-S", *tcp, "-i", "u1000", "-c", "{COUNT}", "{PEER}"],
             lines(r"seq=(\d+) win=\d+ rtt=([\d.]+) ms", 0), ["dpkg-query", "-W", "hping3"]),
        Tool("nping", ["nping", "--tcp", *tcp, "-c", "{COUNT}", "--delay", "1ms", "{PEER}"], nping,
             ["nping", "--version"], shared=True),
        Tool("nmap", ["nmap", "-sS", "-n", "-Pn", "--send-ip", "--disable-arp-ping", "--max-retries", "0",
                      *tcp, "-oX", "-", "{PEER}"], nmap, ["nmap", "--version"], single=True,
             counts={"": 200, "50 ms": 100}),
        Tool("tcping-rs", ["tcping", "{PEER}:{PORT}", "-c", "1", "-o", "json"], tcping,
             ["tcping", "--version"], single=True, counts={"50 ms": 200, "loss": 300}),
        Tool("mtr", ["mtr", "--tcp", "-P", "{PORT}", "-n", "-f", "1", "-m", "1", "-i", "0.001", "-G", "1",
                     "-Z", "3", "-c", "{COUNT}", "--raw", "{PEER}"], mtr, ["mtr", "--version"]),
        Tool("tcptraceroute", ["tcptraceroute", "-n", "-i", "{INTERFACE}", "-f", "1", "-m", "1", "-w", "1",
                               "-q", "{COUNT}", "{PEER}", "{PORT}"], tcptraceroute,
             ["dpkg-query", "-W", "tcptraceroute"], shared=True,
             counts={"50 ms": 200, "loss": 300}),
        Tool("fping (ICMP)", ["fping", "-c", "{COUNT}", "-p", "1", "-i", "1", "-t", "1000", "{PEER}"], fping,
             ["fping", "--version"]),
        Tool("ping (ICMP)", ["ping", "-n", "-i", "0.001", "-c", "{COUNT}", "-W", "1", "{PEER}"],
             lines(r"icmp_seq=(\d+) ttl=\d+ time=([\d.]+) ms", 1), ["ping", "-V"]),
    ]


def present(tools: list[Tool]) -> list[Tool]:
    """Those that are installed; names the others."""
    for tool in tools:
        if not shutil.which(tool.command[0]) and not os.access(tool.command[0], os.X_OK):
            lab.note(f"left out: {tool.name} is not installed")
    return [tool for tool in tools
            if shutil.which(tool.command[0]) or os.access(tool.command[0], os.X_OK)]
