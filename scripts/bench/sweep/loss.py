"""What is found, and what loss is printed, where nftables drops a known part of the packets."""

from __future__ import annotations

import argparse
import json
import math
import os

from link import PORT, RAW, ROOT, Link, Missing, note
from table import number, percent, shown, table, where

TARGETS = 65536
RATE = "20k"
"so slow that nothing else gets lost"
CASES = [("SYN", 5), ("SYN", 30), ("SYN-ACK", 5), ("SYN-ACK", 30)]
PASSES = [1, 2, 3]
SIGMAS = 4.0
"so far from what is expected is no chance: once in sixteen thousand"


def rules(kind: str, share: int) -> str:
    """Counts all packets of the kind in the peer's namespace, and those that it drops at random."""
    hook, which = ("input", f"tcp dport {PORT} tcp flags & (syn|ack) == syn") if kind == "SYN" else \
        ("output", f"tcp sport {PORT} tcp flags & (syn|ack) == (syn|ack)")
    return f"""
    table ip bench
    delete table ip bench
    table ip bench {{ chain some {{ type filter hook {hook} priority 0; policy accept;
        {which} counter
        {which} numgen random mod 100 < {share} counter drop
    }}
    }}
    """


def counted(link: Link) -> tuple[int, int]:
    """How many packets came by, and how many of them were dropped."""
    listed = json.loads(link.run(link.peer, "nft", "-j", "list", "table", "ip", "bench"))["nftables"]
    came, dropped = (part["counter"]["packets"] for entry in listed for part in entry.get("rule", {}).get("expr", [])
                     if "counter" in part)
    return came, dropped


def command(binary: str, number_: int, passes: int, file: str) -> list[str]:
    return [binary, "sweep", f"10.{number_}.0.0/16", "-p", str(PORT), "--rate", RATE, "--passes", str(passes),
            "--cool-down", "1s", "--json", "--output", file]


def one(link: Link, binary: str, kind: str, share: int, passes: int) -> tuple[list[str], bool]:
    """One run; its row, and whether all is as it must be."""
    file = RAW / f"loss-{kind.lower()}-{share}-{passes}.json"
    file.unlink(missing_ok=True)
    server = link.serve(PORT)
    try:
        link.run(link.peer, "nft", "-f", "-", text=rules(kind, share))
        cost = link.measure(command(binary, link.fresh(), passes, str(file)), 120, file.stem)
        came, dropped = counted(link)
        link.run(link.peer, "nft", "delete", "table", "ip", "bench")
    finally:
        link.stop(server)
    if cost.status not in (0, 1) or not file.exists():
        raise Missing(f"shakedown exits with {cost.status}: {cost.output.strip()[-300:]}")
    found, summary = set(), {}
    with open(file, encoding="ascii") as lines:
        for line in lines:
            record = json.loads(line)
            if record["type"] == "target" and record["outcome"] == "open":
                found.add(record["addr"])
            elif record["type"] == "summary":
                summary = record
    account = summary.get("account", {})
    classes = sum(account.get(name, 0) for name in ("open", "refused", "unreachable", "silent", "not_probed"))
    exact = classes == TARGETS == account.get("targets") and account.get("open") == len(found)

    lost = share / 100
    expected = 1 - lost ** passes
    doubt = math.sqrt(expected * (1 - expected) / TARGETS)
    away = (len(found) / TARGETS - expected) / doubt
    true, estimate = dropped / max(1, came), summary.get("loss")
    agrees, printed = True, "–"
    if estimate:
        said, error = estimate["ppm"] / 1e6, estimate["error_ppm"] / 1e6
        # Of targets that answered in the end; the counters are of packets, so both have their own chance.
        agrees = abs(said - true) <= SIGMAS * math.hypot(error, math.sqrt(true * (1 - true) / max(1, came)))
        printed = f"{said * 100:.2f} % ± {error * 100:.2f}"
    elif passes > 1:
        agrees = False
    good = exact and abs(away) <= SIGMAS and agrees
    return [f"{share} % of {kind}s", str(passes), percent(expected), percent(len(found) / TARGETS),
            f"{away:+.1f} σ", f"{true * 100:.2f} % ({number(dropped)} of {number(came)})", printed,
            "exact" if exact else f"**{classes:,} of {TARGETS:,}**", "yes" if good else "**no**"], good


def run(link: Link, options: argparse.Namespace) -> None:
    """All cases, printed; raises where one is not as it must be."""
    binary = os.path.abspath(options.binary)
    if not os.access(binary, os.X_OK):
        raise Missing(f"{options.binary} is not there: cargo build --release")
    # A SYN-ACK that the kernel repeats by itself would be a second chance that the arithmetic does not have.
    link.run(link.peer, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_synack_retries")
    rows, bad = [], 0
    for kind, share in CASES:
        for passes in PASSES:
            note(f"{share} % of {kind}s dropped, {passes} passes")
            row, good = one(link, binary, kind, share, passes)
            rows.append(row)
            bad += not good
    print(f"{where()}; 65,536 targets at {RATE}/s, kernel peer that repeats no SYN-ACK; nftables in the peer's namespace "
          "drops packets at random.\n")
    print(table(["dropped", "passes", "found, by arithmetic", "found", "away by", "dropped, says nftables",
                 "loss, says shakedown", "its account", "as it must be"], rows) + "\n")
    print("    " + shown(command(binary, 64, 3, "loss.json")))
    if bad:
        raise SystemExit(f"{bad} runs are not as they must be: see the table")
