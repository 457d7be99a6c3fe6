"""Whole handshakes with close: how many a second, and what each costs, beside others who connect."""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

import scanners
import speed
from link import RAW, ROOT, SPARE, Link, Missing, compiled, note
from scanners import Case, Scanner
from speed import Row, Run
from table import goal, number, percent, shown, spread, table, where

PORT = 80
"at which masscan says something by itself, and gets an answer"
CASES = [
    Case("kernel", "65,536 addresses, kernel peer", False, "10.NN.0.0/16", str(PORT), 65536, serve=PORT),
    Case("near-free", "65,536 addresses, near-free responder", True, "10.NN.0.0/16", str(PORT), 65536, serve=PORT),
]
SECONDS = 3
"for wrk, which goes by the clock"


def ours(binary: str, name: str, *more: str) -> Scanner:
    file = RAW / f"full-{name.replace(' ', '-')}.answers"

    def command(_: Link, case: Case, rate: int | None) -> list[str]:
        return [binary, "sweep", case.targets, "-p", case.ports, "--full", "--rate", str(rate or "max"), "--cool-down",
                f"{scanners.WAIT}s", "--csv", "--fields", "addr,port,outcome", "--output", str(file), *more]

    def heard(file: Path, _: str, __: Case) -> Iterator[tuple[str, int]]:
        with open(file, newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["outcome"] == "closed":
                    yield row["addr"], int(row["port"])

    return Scanner(name, command, heard, [binary, "--version"], ours=True, hook="--receive" in more, file=file)


def masscan() -> Scanner:
    file = RAW / "full-masscan.answers"

    def command(link: Link, case: Case, rate: int | None) -> list[str]:
        return ["masscan", "-p", case.ports, case.targets, "-e", "near0", "--router-mac", link.there.replace(":", "-"),
                "--source-ip", SPARE, "--rate", str(rate or 10_000_000), "--wait", str(scanners.WAIT), "--banners",
                "-oL", str(file)]

    def heard(file: Path, _: str, __: Case) -> Iterator[tuple[str, int]]:
        # A banner is the page that the server closes with.
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("banner "):
                _, _, port, address, *_ = line.split()
                yield address, int(port)

    return Scanner("masscan --banners", command, heard, ["masscan", "--version"], file=file)


def nmap() -> Scanner:
    file = RAW / "full-nmap.answers"

    def command(_: Link, case: Case, __: int | None) -> list[str]:
        return ["nmap", "-sT", "-n", "-Pn", "-T5", "--min-rate", "100000", "--max-retries", "1", "-p", case.ports, "-oG",
                str(file), case.targets]

    def heard(file: Path, _: str, case: Case) -> Iterator[tuple[str, int]]:
        for line in file.read_text(encoding="ascii").splitlines():
            if f"\tPorts: {case.ports}/open/" in line:
                yield line.split()[1], int(case.ports)

    return Scanner("nmap -sT, which resets", command, heard, ["nmap", "--version"], paced=False, once=True, file=file)


def epoll(threads: int, flight: int) -> Scanner:
    program = str(RAW / "bin" / "connect")

    def command(_: Link, case: Case, __: int | None) -> list[str]:
        return [program, case.targets.split("/")[0], str(case.expected), case.ports, str(threads), str(flight)]

    def heard(_: Path, output: str, __: Case) -> int:
        return json.loads(output)["closed"]

    return Scanner(f"connect() and epoll, {threads} threads × {flight}", command, heard, [program], paced=False)


def wrk() -> Scanner:
    def command(_: Link, case: Case, __: int | None) -> list[str]:
        return ["wrk", "-t", "2", "-c", "256", "-d", str(SECONDS), "-H", "Connection: close",
                f"http://{case.targets.split('/')[0].removesuffix('.0')}.1:{case.ports}/"]

    def heard(_: Path, output: str, __: Case) -> int:
        found = re.search(r"(\d+) requests in", output)
        return int(found[1]) if found else 0

    return Scanner("wrk, a request each", command, heard, ["wrk", "--version"], paced=False)


def everything(binary: str) -> list[Scanner]:
    return [ours(binary, "shakedown --full"),
            ours(binary, "shakedown --full --transmit xdp", "--transmit", "xdp"),
            ours(binary, "shakedown --full --transmit packet", "--transmit", "packet"),
            ours(binary, "shakedown --full --receive xdp", "--receive", "xdp"),
            masscan(), nmap(), epoll(2, 100), epoll(2, 1000), wrk()]


def span(run: Run) -> float:
    """Seconds from the first SYN to the last SYN or FIN of the client."""
    syns, fins = run.seen["syn"], run.seen["fin"]
    return max(syns.last, fins.last) - syns.first if syns.packets else 0.0


def whole(run: Run) -> float:
    """Whole conversations for each second."""
    return run.answers / span(run) if span(run) else 0.0


def each(run: Run) -> float:
    """Microseconds of CPU for each whole conversation."""
    return run.cost.cpu / max(1, run.answers) * 1e6


HEAD = ["tool", "whole conversations", "reported twice", "wall, s", "whole conversations/s", "CPU for each, µs",
        "of it user", "whole machine for each, µs", "peak memory, MiB"]


def cells(row: Row) -> list[str]:
    runs = row.runs
    counted = row.scanner.name.startswith("wrk")
    return [row.scanner.label() + (" (1 round)" if row.scanner.once else ""),
            spread((run.answers for run in runs), number) if counted else spread((run.complete for run in runs), percent),
            spread((run.duplicates for run in runs), "{:.0f}".format),
            spread(run.cost.wall for run in runs),
            spread(map(whole, runs)),
            spread(map(each, runs)),
            spread((run.cost.user / max(1e-9, run.cost.cpu) for run in runs), "{:.0%}".format),
            spread(run.cost.machine / max(1, run.answers) * 1e6 for run in runs),
            spread(run.cost.peak_kib / 1024 for run in runs)]


def middle(row: Row, of) -> float:
    return statistics.median(map(of, row.runs))


def goals(case: Case, rows: list[Row]) -> list[str]:
    rows = [row for row in rows if row.runs]
    we = next((row for row in rows if row.scanner.name == "shakedown --full"), None)
    others = [row for row in rows if not row.scanner.ours]
    if we is None:
        return []
    told = [goal(f"{case.key}: the least complete of shakedown's runs", min(run.complete for run in we.runs), least=1.0,
                 form=percent)]
    if case.near_free:
        told.append(goal(f"{case.key}: whole conversations/s", middle(we, whole), least=140_000))
    elif others:
        they = max(others, key=lambda row: middle(row, whole))
        told += [goal(f"{case.key}: whole conversations/s, times {they.scanner.label()}",
                      middle(we, whole) / middle(they, whole), least=1.6),
                 goal(f"{case.key}: CPU for each, of {they.scanner.label()}'s", middle(we, each) / middle(they, each),
                      most=0.5)]
    return told


def run(link: Link, options: argparse.Namespace) -> None:
    compiled("serve.c")
    compiled("connect.c")
    tools = [tool for tool in everything(os.path.abspath(options.binary))
             if not options.tools or any(tool.name.startswith(name) for name in options.tools)]
    for tool in tools:
        if not shutil.which(tool.program()):
            note(f"left out: {tool.name} is not there")
    tools = [tool for tool in tools if shutil.which(tool.program())]
    if not tools:
        raise Missing("none of the tools is there")
    print(f"{where()}; {options.rounds} rounds, interleaved; near-free responder: {options.responder}; median (least to greatest). A conversation is whole where "
          "both ends have closed by FIN, as the tool itself says (nmap resets instead; wrk's are requests to one "
          f"address, for {SECONDS} s, each with a connection that the server closes first). *whole conversations/s* is "
          "over the time from the client's first SYN to its last SYN or FIN, as counted at the peer's end of the link. "
          "The kernel peer is one listener that answers a request by a short page and FIN, and a FIN by a FIN.\n")
    told = []
    for case in CASES:
        if options.cases and case.key not in options.cases:
            continue
        rows = speed.measure(link, case, tools, options.rounds)
        print(f"**{case.title}**\n\n{table(HEAD, [cells(row) for row in rows if row.runs])}\n", flush=True)
        told += goals(case, rows)
    if told:
        print("Goals:\n\n" + "\n".join(told) + "\n")
    for tool in tools:
        print("    " + shown(tool.command(link, CASES[0].at(63), None), router=link.there.replace(":", "-"))
              .replace(str(RAW.relative_to(ROOT)) + "/", ""))
    print("\nVersions: " + ", ".join(dict.fromkeys(
        f"{os.path.basename(tool.program())} {scanners.release(tool)}" for tool in tools
        if not tool.name.startswith("connect"))) + ".")
