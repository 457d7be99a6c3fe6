#!/usr/bin/env python3
"""Recomputes every figure of `rtt` from its CSV and compares it with what was reported.

usage: check-stats.py PROBES.csv REPORT.jsonl

The report is JSON Lines. Records that have "phase" and "times" are compared, all others are passed
over; "target" and "source_port" of a record choose the rows that it is about. The computation here
keeps every interval and shares nothing with the program's: unlimited integers for sums and
deviation, sorting for the percentiles. Where numpy is installed it gives a second opinion.

Exit status: 0 all figures agree, 1 some do not, 2 there was nothing to compare.
"""

import csv
import json
import math
import sys
from fractions import Fraction

try:
    import numpy
except ImportError:
    numpy = None

PERCENTILES = {
    "p50_ns": Fraction(50, 100),
    "p90_ns": Fraction(90, 100),
    "p95_ns": Fraction(95, 100),
    "p99_ns": Fraction(99, 100),
    "p999_ns": Fraction(999, 1000),
}
FATES = ["answered", "ambiguous", "refused", "icmp", "late", "lost", "in-flight"]
# By a TCP: these count for the attempts per success.
SUCCESSES = ["answered", "ambiguous", "refused", "late"]


def times(rows, phase):
    """The figures of one phase; absent ones are not in the result."""
    column = phase.replace("-", "_") + "_ns"
    measured = [row for row in rows if row[column] != ""]
    # The jitter is about successive intervals, in the order in which they were complete.
    measured.sort(key=lambda row: int(row["ended_ns"]))
    intervals = [int(row[column]) for row in measured]
    n = len(intervals)
    figures = {"count": n}
    if n == 0:
        return figures
    ordered = sorted(intervals)
    variance = Fraction(sum(x * x for x in ordered), n) - Fraction(sum(ordered), n) ** 2
    figures |= {
        "min_ns": ordered[0],
        "avg_ns": sum(ordered) // n,
        "max_ns": ordered[-1],
        "mdev_ns": math.isqrt(math.floor(variance)),
    }
    for name, share in PERCENTILES.items():
        figures[name] = ordered[max(math.ceil(share * n), 1) - 1]
    if n > 1:
        jitter = 0  # RFC 3550 A.8: sixteenths
        for before, after in zip(intervals, intervals[1:]):
            jitter += abs(after - before) - ((jitter + 8) >> 4)
        figures["jitter_ns"] = jitter >> 4
    if numpy is not None:
        second_opinion(figures, numpy.array(ordered, dtype=numpy.float64))
    return figures


def second_opinion(figures, intervals):
    """numpy, in floating point: equal to a nanosecond, or to what a double holds."""
    slack = 1 + intervals.max() * 1e-9
    for name, share in PERCENTILES.items():
        # A share that falls on a rank exactly (99.9 % of 1000) may fall beside it as a double: a hair
        # less cannot, and is the same rank otherwise.
        share = float(share) - 1e-12
        theirs = numpy.quantile(intervals, share, method="inverted_cdf")
        assert abs(theirs - figures[name]) <= slack, (name, theirs, figures[name])
    assert abs(intervals.mean() - figures["avg_ns"]) <= slack
    assert abs(intervals.std() - figures["mdev_ns"]) <= slack


def probes(rows):
    """The account of the probes; absent percentages are not in the result."""
    count = {fate: sum(row["fate"] == fate for row in rows) for fate in FATES}
    decided = len(rows) - count["in-flight"]
    first = {f: sum(row["first_try"] == f for row in rows) for f in ("answered", "lost", "unknown")}
    successes = [row for row in rows if row["fate"] in SUCCESSES]
    figures = {fate.replace("-", "_"): number for fate, number in count.items()}
    figures |= {f"first_{f}": number for f, number in first.items()}
    figures |= {
        "sent": len(rows),
        "duplicates": sum(int(row["duplicates"]) for row in rows),
        "reordered": overtaken(rows),
    }
    if decided:
        figures["lost_percent"] = 100 * count["lost"] / decided
        figures["late_percent"] = 100 * count["late"] / decided
    if first["answered"] + first["lost"]:
        share = first["lost"] / (first["answered"] + first["lost"])
        figures["first_lost_percent"] = 100 * share
    if successes:
        attempts = sum(int(row["attempts"]) for row in successes)
        figures["attempts_per_success"] = attempts / len(successes)
    return figures


def overtaken(rows):
    """Answers that came after the answer to a later probe of the same target."""
    answered = sorted(
        (row for row in rows if row["answered_ns"] != ""), key=lambda row: int(row["answered_ns"])
    )
    latest, number = {}, 0
    for row in answered:
        probe = int(row["probe"])
        number += probe < latest.get(row["target"], -1)
        latest[row["target"]] = max(probe, latest.get(row["target"], -1))
    return number


def differences(expected, reported, ppm):
    """What is not as computed: name, computed, reported."""
    for name in sorted(expected.keys() | (reported.keys() - {"percentile_error_ppm"})):
        ours, theirs = expected.get(name), reported.get(name)
        if ours is None or theirs is None:
            agree = False
        elif name in PERCENTILES:
            agree = abs(ours - theirs) * 1_000_000 <= ours * ppm
        elif isinstance(ours, float):
            agree = math.isclose(ours, theirs, rel_tol=1e-9)
        else:
            agree = ours == theirs
        if not agree:
            yield name, ours, theirs


def main(csv_path, report_path):
    with open(csv_path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["warm_up"] == "0"]
    compared, wrong = 0, 0
    with open(report_path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file if line.strip()]
    for record in records:
        if not {"phase", "times"} <= record.keys():
            continue
        target, port = record.get("target"), record.get("source_port")
        chosen = [
            row
            for row in rows
            if target in (None, row["target"]) and port in (None, int(row["source_port"]))
        ]
        reported = record["times"]
        ppm = reported.get("percentile_error_ppm", 0)
        pairs = [(times(chosen, record["phase"]), reported)]
        if "probes" in record:
            pairs.append((probes(chosen), record["probes"]))
        # Merged series have no jitter of their own in the rows: see the program's documentation.
        if target is None:
            for pair in pairs:
                pair[0].pop("jitter_ns", None)
                pair[1].pop("jitter_ns", None)
        for expected, given in pairs:
            compared += len(expected)
            for name, ours, theirs in differences(expected, given, ppm):
                wrong += 1
                place = f"{target or 'all'} port {'all' if port is None else port}"
                print(f"{place} {record['phase']} {name}: computed {ours}, reported {theirs}")
    opinion = f"numpy {numpy.__version__}" if numpy else "numpy is not installed"
    print(f"{len(rows)} probes, {compared} figures compared, {wrong} differ ({opinion})")
    return 2 if compared == 0 else 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
