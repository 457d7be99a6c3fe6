"""Whether any probe of ours is credited with the answer to another, where answers overtake each other."""

from __future__ import annotations

import argparse
import os
import subprocess

import lab
from capture import Truth
from tools import Case, rows

TARGETS, SEED = 10, 3
LEAST, MOST, TWICE = "0", "30", "0.05"
TOLERANCE = 1_000


def run(laboratory: lab.Lab, options: argparse.Namespace) -> bool:
    """A hundred thousand probes, each compared with the capture; false where one is wrong."""
    binary = os.path.abspath(options.binary)
    if not os.access(binary, os.X_OK):
        raise lab.Missing(f"{options.binary} is not there: cargo build --release")
    each = options.count * 10
    targets = [f"10.128.0.{number + 1}:{lab.PORT}" for number in range(TARGETS)]
    case = Case("credit", lab.FAR[0], targets[0], "far0", lab.RAW / "credit.pcap", each, None, 0)
    table = case.file.with_suffix(".csv")
    command = [binary, "rtt", *targets, "-c", str(each), "-i", "5ms", "-W", "2s", "-q",
               "--retries", "0", "--csv", str(table)]
    laboratory.drop(None)
    lab.note(f"{each * TARGETS} probes, which takes {each / 200:.0f} s")
    with lab.Forwarder(laboratory, LEAST, MOST, TWICE, str(SEED)) as forwarder, \
            lab.Dump(laboratory, "far0", case.file):
        child = lab.spawn(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            output = child.communicate(timeout=240)[0]
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise lab.Missing("shakedown was not done after 240 s") from None
    case.file.with_suffix(".out").write_text(output)
    if child.returncode not in (0, 1):
        raise lab.Missing(f"shakedown exits with {child.returncode}: {output.strip()[-300:]}")
    counts = compare(case)
    counts["frames forwarded"] = forwarder.counts["forwarded"]
    counts["frames sent twice by the forwarder"] = forwarder.counts["duplicated"]
    counts["frames that were overtaken"] = forwarder.counts["overtaken"]
    counts["frames lost by the forwarder"] = forwarder.counts["lost"]
    print(f"**Wrongly credited**; {TARGETS} targets, each probed every 5 ms; every frame held for {LEAST} to "
          f"{MOST} ms at random (seed {SEED}), one in {1 / float(TWICE):.0f} sent twice\n")
    print("| | |\n|---|---|")
    for name, count in counts.items():
        print(f"| {name} | {count} |")
    print(f"\n    {' '.join(command).replace(f'{lab.ROOT}/', '')}", flush=True)
    return counts["intervals that differ by more than 1 µs"] + counts["rows the capture contradicts"] == 0


def compare(case: Case) -> dict[str, int]:
    """Every row against what the capture says of the packet that it names."""
    truth = Truth.read(case.file, case.client)
    counts = dict.fromkeys(["probes", "timed", "intervals that differ by more than 1 µs",
                            "greatest difference, ns", "rows the capture contradicts", "lost, it says",
                            "without an answer, says the capture", "duplicate answers, it says",
                            "duplicate answers, says the capture"], 0)
    counts["without an answer, says the capture"] = truth.unanswered(False)
    counts["duplicate answers, says the capture"] = sum(max(0, len(probe.answers) - 1)
                                                        for probe in truth.probes.values())
    seen = set()
    for row in rows(case):
        counts["probes"] += 1
        counts["lost, it says"] += row["fate"] == "lost"
        counts["duplicate answers, it says"] += int(row["duplicates"] or 0)
        key = (int(row["source_port"]), int(row["iss"]))
        probe = truth.probes.get(key)
        true = probe.truth() if probe else None
        # Two rows about one packet, a packet that never was, an answer where there is none.
        wrong = key in seen or probe is None or (true is None) != (row["fate"] == "lost")
        seen.add(key)
        counts["rows the capture contradicts"] += wrong
        if row["handshake_ns"] and true is not None:
            counts["timed"] += 1
            difference = abs(int(row["handshake_ns"]) - true)
            counts["greatest difference, ns"] = max(counts["greatest difference, ns"], difference)
            counts["intervals that differ by more than 1 µs"] += difference > TOLERANCE
    return counts
