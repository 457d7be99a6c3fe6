"""Half-open probes of many targets: completeness, speed, CPU time, memory, beside other scanners."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import statistics
import sys
from dataclasses import dataclass, field

import scanners
from link import PORT, RAW, ROOT, Cost, Count, Link, Missing, compiled, note
from scanners import Case, Scanner
from table import goal, number, percent, shown, spread, table, where

CASES = [
    Case("kernel-hosts", "65,536 addresses × 1 port, kernel peer: open", False, "10.NN.0.0/16", str(PORT), 65536),
    Case("near-free-hosts", "65,536 addresses × 1 port, near-free responder: open", True, "10.NN.0.0/16", str(PORT),
         65536),
    Case("kernel-ports", "1 address × 65,535 ports, kernel peer: one open, the rest refused", False, "10.NN.0.1",
         "1-65535", 65535, closed=True),
    Case("near-free-ports", "1 address × 65,535 ports, near-free responder: all open", True, "10.NN.0.1", "1-65535",
         65535),
]
RATES = [200_000, 150_000, 120_000, 100_000, 80_000, 60_000, 50_000, 40_000, 30_000, 20_000, 10_000]
ENOUGH = 0.999
"a tool that brings so large a part of the answers home is as good as complete"
LIMIT = 300.0

# masscan waits for a packet in order to see that its time is over: on a link that is silent it never
# ends. A frame of an experimental kind, twenty times a second, which no stack reacts to; one that finds
# no room is not missed.
TICK = """
import socket, time
tick = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
tick.bind(("near1", 0))
frame = b"\\xff" * 6 + tick.getsockname()[4] + b"\\x88\\xb5" + bytes(46)
while True:
    try:
        tick.send(frame)
    except OSError:
        pass
    time.sleep(0.05)
"""


@dataclass
class Run:
    """One run of one tool."""

    answers: int
    duplicates: int
    foreign: int
    expected: int
    cost: Cost
    seen: dict[str, Count]

    @property
    def complete(self) -> float:
        return self.answers / self.expected

    @property
    def syns(self) -> Count:
        return self.seen["syn"]

    @property
    def speed(self) -> float:
        """Targets that were answered, for each second of sending."""
        return self.answers / self.syns.span if self.syns.span else 0.0

    @property
    def per_syn(self) -> float:
        return self.cost.cpu / max(1, self.syns.packets) * 1e6

    @property
    def machine_per_syn(self) -> float:
        return self.cost.machine / max(1, self.syns.packets) * 1e6


@dataclass
class Row:
    """A tool in one case, with all its runs."""

    scanner: Scanner
    runs: list[Run] = field(default_factory=list)

    def median(self, name: str) -> float:
        return statistics.median(getattr(run, name) for run in self.runs)


def one(link: Link, scanner: Scanner, case: Case) -> Run:
    """One run, against a listener that has no memory of the one before."""
    case = case.at(link.fresh())
    link.respond(case.near_free, hook=scanner.hook)
    scanner.file.unlink(missing_ok=True)
    helpers = []
    try:
        if not case.near_free:
            helpers.append(link.serve(case.serve))
        helpers.append(link.start(link.inside(link.peer, [sys.executable, "-c", TICK])))
        link.clear()
        command = scanner.command(link, case, scanner.rate)
        cost = link.measure(command, LIMIT, scanner.file.stem)
        seen = link.seen()
    finally:
        for helper in helpers:
            link.stop(helper)
    if cost.status not in (0, 1) or (scanner.ours and not scanner.file.exists()):
        raise Missing(f"{scanner.name} exits with {cost.status}: {cost.output.strip()[-300:]}")
    heard = scanner.heard(scanner.file, cost.output, case)
    if isinstance(heard, int):
        return Run(heard, 0, 0, case.expected, cost, seen)
    distinct, lines = set(), 0
    for answer in heard:
        lines += 1
        distinct.add(answer)
    foreign = sum(not case.asked(address, port) for address, port in distinct)
    return Run(len(distinct) - foreign, lines - len(distinct), foreign, case.expected, cost, seen)


def calibrated(link: Link, scanner: Scanner, case: Case) -> Scanner | None:
    """The tool at the highest rate at which its answers are complete, where at full speed they are not."""
    best, least = None, one(link, scanner, case)
    if least.complete >= ENOUGH:
        return None
    most = least.complete
    for rate in RATES:
        if rate >= least.syns.rate:
            continue
        slower = dataclasses.replace(scanner, rate=rate)
        run = one(link, slower, case)
        note(f"  {slower.label()}: {percent(run.complete)}, {number(run.syns.rate)} SYN/s")
        if run.complete > most:
            best, most = slower, run.complete
        if run.complete >= ENOUGH:
            break
    return best


def present(options: argparse.Namespace) -> list[Scanner]:
    found = []
    for scanner in scanners.everything(os.path.abspath(options.binary)):
        if options.tools and not any(scanner.name.startswith(name) for name in options.tools):
            continue
        if shutil.which(scanner.program()):
            found.append(scanner)
        else:
            note(f"left out: {scanner.name} is not there")
    if not found:
        raise Missing("none of the tools is there")
    return found


def measure(link: Link, case: Case, tools: list[Scanner], rounds: int) -> list[Row]:
    """All rounds of one case."""
    rows = []
    for scanner in tools:
        if scanner.cases and case.key not in scanner.cases:
            continue
        note(f"{case.title}: {scanner.name}")
        try:
            if scanner.paced and not scanner.ours:
                slower = calibrated(link, scanner, case)
                rows += [Row(scanner), *([Row(slower)] if slower else [])]
            else:
                # Once for nothing, so that what is not possible here is known before it counts.
                if not scanner.once:
                    one(link, scanner, case)
                rows.append(Row(scanner))
        except Missing as missing:
            note(f"left out: {missing}")
            print(f"{case.title}: {scanner.name} is left out: {missing}\n")
    for number_ in range(rounds):
        note(f"{case.title}: round {number_ + 1} of {rounds}")
        # Another order in every round, so that no tool always follows the same one.
        turn = number_ % max(1, len(rows))
        for row in rows[turn:] + rows[:turn]:
            if not (row.scanner.once and row.runs):
                row.runs.append(one(link, row.scanner, case))
    return rows


HEAD = ["tool", "answers", "reported twice", "wall, s", "sending, s", "SYNs/s on the wire", "answered targets/s",
        "CPU per SYN, µs", "of it user", "whole machine per SYN, µs", "of it soft interrupts", "peak memory, MiB"]


def cells(row: Row) -> list[str]:
    runs = row.runs
    return [f"{row.scanner.label()}" + (" (1 round)" if row.scanner.once else ""),
            spread((run.complete for run in runs), percent) + (
                f", {max(run.foreign for run in runs)} of them never asked" if any(run.foreign for run in runs) else ""),
            spread((run.duplicates for run in runs), "{:.0f}".format),
            spread(run.cost.wall for run in runs),
            spread(run.syns.span for run in runs),
            spread(run.syns.rate for run in runs),
            spread(run.speed for run in runs),
            spread(run.per_syn for run in runs),
            spread((run.cost.user / max(1e-9, run.cost.cpu) for run in runs), "{:.0%}".format),
            spread(run.machine_per_syn for run in runs),
            spread((run.cost.softirq / max(1e-9, run.cost.machine) for run in runs), "{:.0%}".format),
            spread(run.cost.peak_kib / 1024 for run in runs)]


def best(rows: list[Row], *names: str) -> Row | None:
    """The fastest of these ways among those that bring all answers home; else the one that brings most."""
    own = [row for row in rows if row.scanner.name in names and row.runs]
    whole = [row for row in own if row.median("complete") >= ENOUGH]
    if whole:
        return max(whole, key=lambda row: row.median("speed"))
    return max(own, key=lambda row: row.median("complete"), default=None)


# Like with like: whoever leaves connections half open spares both ends a packet for each.
ZMAP, ZMAP_LEAVING = ("zmap", "zmap -T 2"), ("zmap -S",)
GOALS = [(key, own, peers, times)
         for key, times in (("kernel-hosts", 1.7), ("near-free-hosts", 4.0))
         for own, peers in (("shakedown", ZMAP), ("shakedown --no-rst", ZMAP_LEAVING),
                            ("shakedown --receive xdp", ZMAP), ("shakedown --receive xdp --no-rst", ZMAP_LEAVING))]
GOALS += [("kernel-hosts", own, ("masscan",), 2.8) for own in ("shakedown", "shakedown --receive xdp")]


def goals(results: dict[str, list[Row]]) -> list[str]:
    """What was aimed at, as far as it was measured."""
    told = []
    for key, own, peers, times in GOALS:
        rows = results.get(key, [])
        we, they = best(rows, own), best(rows, *peers)
        if not we or not they:
            continue
        told.append(goal(f"{key}: {own}, answered targets/s, times {they.scanner.label()}",
                         we.median("speed") / they.median("speed"), least=times))
        if "masscan" not in peers:
            told.append(goal(f"{key}: {own}, CPU per SYN, of {they.scanner.label()}'s",
                             we.median("per_syn") / they.median("per_syn"), most=1 / 3))
    for key, rows in results.items():
        runs = [run for row in rows if row.scanner.ours for run in row.runs]
        if runs:
            told.append(goal(f"{key}: the least complete of shakedown's {len(runs)} runs",
                             min(run.complete for run in runs), least=1.0, form=percent))
            told.append(goal(f"{key}: targets reported twice", max(run.duplicates for run in runs), most=0,
                             form="{:.0f}".format))
    return told


def memory(link: Link, options: argparse.Namespace) -> tuple[str, list[str]]:
    """Peak memory of 2^16, 2^20 and 2^24 targets, of the near-free responder."""
    scanner = scanners.ours(os.path.abspath(options.binary), "shakedown")
    rows, peaks = [], []
    for bits, targets in ((16, "10.64.0.0/16"), (20, "10.64.0.0/12"), (24, "10.0.0.0/8")):
        note(f"memory: 2^{bits} targets")
        link.respond(True)
        link.clear()
        scanner.file.unlink(missing_ok=True)
        case = Case("memory", "", True, targets, str(PORT), 1 << bits)
        cost = link.measure(scanner.command(link, case, None), 600, "memory")
        if cost.status not in (0, 1):
            raise Missing(f"shakedown exits with {cost.status}: {cost.output.strip()[-300:]}")
        once, twice = distinct(scanner.file)
        scanner.file.unlink()
        peaks.append(cost.peak_kib / 1024)
        syns = link.seen()["syn"]
        rows.append([f"2^{bits}", percent(once / (1 << bits)), str(twice), number(cost.wall), number(syns.rate),
                     number(cost.cpu / syns.packets * 1e6), number(cost.peak_kib / 1024)])
    return table(["targets", "answers", "reported twice", "wall, s", "SYNs/s on the wire", "CPU per SYN, µs",
                  "peak memory, MiB"], rows), [
        goal("peak memory at 2^24 targets, MiB", peaks[-1], most=64),
        f"- peak memory at 2^24 targets, times that at 2^16: {number(peaks[-1] / peaks[0])}, which is "
        f"{(peaks[-1] - peaks[0]) * (1 << 20) / (1 << 24):.2f} bytes more for each target; the goal is that it is flat"]


def distinct(file) -> tuple[int, int]:
    """How many addresses of 10.0.0.0/8 the file has, and how many lines are one too many."""
    have, twice = bytearray(1 << 24), 0
    with open(file, encoding="ascii") as lines:
        next(lines)
        for line in lines:
            _, second, third, rest = line.split(".", 3)
            place = int(second) << 16 | int(third) << 8 | int(rest.partition(",")[0])
            twice += have[place]
            have[place] = 1
    return have.count(1), twice


def run(link: Link, options: argparse.Namespace) -> None:
    """Everything that was asked for, printed."""
    tools = present(options)
    compiled("serve.c")
    print(f"{where()}; {options.rounds} rounds, interleaved; near-free responder: {options.responder}; median (least to greatest). "
          "SYNs are counted at the peer's end of the link; *sending* is from the first to the last of them, *wall* "
          f"from the start of the process to its end, with {scanners.WAIT} s of waiting for late answers. Both ends "
          "share the machine: in the CPU time of whoever sends there is the work of the peer's soft interrupts that "
          "its system calls ran into. *whole machine* is all CPU time of both ends and of everything else that ran.\n")
    results: dict[str, list[Row]] = {}
    for case in CASES:
        if options.cases and case.key not in options.cases:
            continue
        rows = results[case.key] = measure(link, case, tools, options.rounds)
        print(f"**{case.title}**\n")
        print(table(HEAD, [cells(row) for row in rows if row.runs]) + "\n", flush=True)
    told = goals(results)
    if any(tool.ours for tool in tools) and (not options.cases or "memory" in options.cases):
        text, more = memory(link, options)
        print(f"**Memory**, near-free responder\n\n{text}\n")
        told += more
    if told:
        print("Goals:\n\n" + "\n".join(told) + "\n")
    for tool in tools:
        case = next((case for case in CASES if not tool.cases or case.key in tool.cases))
        print("    " + shown(tool.command(link, case.at(63), None), gateway=link.there, router=link.there.replace(":", "-"))
              .replace(str(RAW.relative_to(ROOT)) + "/", ""))
    names = {tool.program(): tool for tool in tools}
    print("\nVersions: " + ", ".join(f"{os.path.basename(program)} {scanners.release(tool)}"
                                     for program, tool in names.items()) + ".")
