"""A million forged answers at the link's speed, while a sweep is under way: what it believes, and what it costs."""

from __future__ import annotations

import argparse
import json
import os
import subprocess

from link import PORT, RAW, Link, Missing, compiled, note
from table import number, shown, table, where

TARGETS = 65536
RATE = "5k"
"so slow that the forger is done before"
OURS = 40077
"the sweep's port, so that the forger need not guess it"
FORGERIES = 1_000_000


def command(binary: str, number_: int, file: str) -> list[str]:
    return [binary, "sweep", f"10.{number_}.0.0/16", "-p", str(PORT), "--rate", RATE, "-g", str(OURS),
            "--cool-down", "1s", "--json", "--output", file]


def one(link: Link, binary: str, forgeries: int) -> tuple[list[str], bool]:
    """One run; its row, and whether all is as it must be."""
    file = RAW / f"hostile-{forgeries}.json"
    file.unlink(missing_ok=True)
    server, flood, told = link.serve(PORT), None, {}
    try:
        if forgeries:
            words = [str(compiled("flood.c")), "near1", str(OURS), str(forgeries)]
            flood = link.start(link.inside(link.peer, words), stdout=subprocess.PIPE, text=True)
            if flood.stdout.readline() != "waiting\n":
                raise Missing("the forger did not start")
        cost = link.measure(command(binary, link.fresh(), str(file)), 120, file.stem)
        if flood:
            told = json.loads(flood.communicate(timeout=60)[0])
            link.children.remove(flood)
    finally:
        link.stop(server)
    if cost.status != 0 or not file.exists():
        raise Missing(f"shakedown exits with {cost.status}: {cost.output.strip()[-300:]}")
    targets, summary = [], {}
    with open(file, encoding="ascii") as lines:
        for line in lines:
            record = json.loads(line)
            if record["type"] == "target":
                targets.append((record["addr"], record["outcome"]))
            elif record["type"] == "summary":
                summary = record
    # Every target is open: anything else, anything twice, and any address beyond is a forgery believed.
    believed = len(targets) - len({addr for addr, outcome in targets if outcome == "open"})
    found = summary["account"]["open"]
    rejected, drops = sum(summary["rejected"].values()), summary["drops"]
    forged = sum(told.get(kind, 0) for kind in ("cookie", "reset", "checksum", "offset"))
    repeated = told.get("repeated", 0)
    # What our own kernel dropped under the flood is counted by it, and neither rejected nor a duplicate.
    # A repeated answer is a duplicate as long as its target's block is open, and late after that.
    again = summary["duplicates"] + summary["late"]
    heard = rejected + again + drops == forged + repeated
    good = believed == 0 and found == TARGETS and heard and rejected <= forged and again <= repeated
    speed = f"{(forged + repeated) / told['seconds']:,.0f}/s" if told else "–"
    return [number(forged + repeated), speed, number(believed), f"{found / TARGETS:.2%}", number(rejected),
            number(again), number(drops), f"{summary['syns_per_second']:,}",
            f"{cost.peak_kib / 1024:.1f}", "yes" if good else "**no**"], good


def run(link: Link, options: argparse.Namespace) -> None:
    """Without and with; printed; raises where one is not as it must be."""
    binary = os.path.abspath(options.binary)
    if not os.access(binary, os.X_OK):
        raise Missing(f"{options.binary} is not there: cargo build --release")
    rows, bad = [], 0
    for forgeries in (0, FORGERIES):
        note(f"{forgeries:,} forgeries")
        row, good = one(link, binary, forgeries)
        rows.append(row)
        bad += not good
    print(f"{where()}; 65,536 targets at {RATE}/s, kernel peer; a forger beside it sends, in turn: a SYN-ACK and a RST "
          "with a random acknowledgment, a SYN-ACK with a wrong checksum, one with a wrong data offset, and a true "
          "answer word for word.\n")
    print(table(["forged", "at", "believed", "found", "rejected", "duplicate or late", "dropped by the kernel", "SYNs/s",
                 "peak memory, MiB", "as it must be"], rows) + "\n")
    print("    " + shown(command(binary, 64, "hostile.json")))
    if bad:
        raise SystemExit(f"{bad} runs are not as they must be: see the table")
