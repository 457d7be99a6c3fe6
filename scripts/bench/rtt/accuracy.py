"""How far what each tool reports is from what tcpdump saw on the client's link."""

from __future__ import annotations

import argparse
import math
import os
import platform
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass

import lab
import tools
from capture import Truth
from tools import Case, Said, Tool

BUSY = "while True: pass"


@dataclass
class Setting:
    """One table: what is different in it."""

    key: str
    title: str
    relay: bool = False
    delay_ms: int = 0
    busy: bool = False
    pinned: bool = False
    drop_one_in: int | None = None
    ours: tuple[tuple[str, tuple[str, ...]], ...] = ()
    "where set, only ours, in these ways"


SETTINGS = [
    Setting("idle", "idle"),
    Setting("loaded", "core 0 busy, the tool free to choose", busy=True),
    Setting("shared", "core 0 busy, and the tool confined to it", busy=True, pinned=True),
    Setting("relayed", "by the forwarder, no delay", relay=True),
    Setting("relayed-shared", "by the forwarder; core 0 busy, and the tool confined to it", relay=True,
            busy=True, pinned=True),
    Setting("5ms", "5 ms in the path", relay=True, delay_ms=5),
    Setting("50ms", "50 ms in the path", relay=True, delay_ms=50),
    Setting("loss", "one SYN in ten dropped, loss", drop_one_in=10),
    Setting("repeat", "5 ms in the path, one SYN in ten dropped, repetitions allowed", relay=True,
            delay_ms=5, drop_one_in=10,
            ours=(("shakedown --retries 2", ("--retries", "2")),
                  ("shakedown --retries 2 --no-timestamps", ("--retries", "2", "--no-timestamps")))),
]


def percentile(values: list[int], percent: float) -> int:
    """The nearest rank: the least value that at least so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def span(nanoseconds: float, sign: bool = True) -> str:
    """A time in the unit that suits it."""
    plus = "+" if sign and nanoseconds > 0 else ""
    size = abs(nanoseconds)
    if size >= 1e9:
        return f"{plus}{nanoseconds / 1e9:.3f} s"
    if size >= 1e6:
        return f"{plus}{nanoseconds / 1e6:.2f} ms"
    if size >= 1e4:
        return f"{plus}{nanoseconds / 1e3:.0f} µs"
    if size >= 1e3:
        return f"{plus}{nanoseconds / 1e3:.1f} µs"
    return f"{plus}{nanoseconds:.0f} ns" if size else "0"


def circumstances(laboratory: lab.Lab, setting: Setting, tool: Tool, count: int) -> Case:
    """The setting, as far as it concerns the tool."""
    (client, _), interface = (lab.FAR, "far0") if setting.relay else (lab.NEAR, "near0")
    label = "".join(letter if letter.isalnum() else "-" for letter in tool.name)
    return Case(setting.title, client, laboratory.host(setting.relay), interface,
                lab.RAW / f"{setting.key}.{label}.pcap", probes(tool, setting, count),
                {0} if setting.pinned else None, setting.delay_ms * lab.MS)


def doubt(laboratory: lab.Lab, setting: Setting, tool: Tool, count: int) -> str:
    """How far two tcpdumps at once are apart: no tool can be closer to the truth than that.

    A segment that a kernel's TCP sends through a veth pair keeps its time of departure where a stamp of
    arrival would stand, so that every tap reads the clock for itself, when its turn comes.
    """
    case = circumstances(laboratory, setting, tool, count)
    case.file = case.file.with_suffix(".first.pcap")
    other = case.file.with_suffix(".second.pcap")
    with lab.Dump(laboratory, case.interface, case.file), lab.Dump(laboratory, case.interface, other):
        tool.run(case)
    one, two = (Truth.read(file, case.client).probes for file in (case.file, other))
    apart = {name: [abs(getattr(one[key], name)[0][0] - getattr(two[key], name)[0][0]) for key in one
                    if key in two and one[key].answers and two[key].answers]
             for name in ("sent", "answers")}
    if not apart["sent"]:
        raise lab.Missing(f"{tool.name} had no answers to compare two captures by")
    return "Two tcpdumps at once: " + "; ".join(
        f"{name} {span(percentile(values, 50), sign=False)} apart at the median, p99 "
        f"{span(percentile(values, 99), sign=False)}, at most {span(max(values), sign=False)}"
        for name, values in (("SYNs", apart["sent"]), ("answers", apart["answers"]))) + "."


def one(laboratory: lab.Lab, setting: Setting, tool: Tool, count: int) -> tuple[Said, Truth, int]:
    """One run of one tool; what it said, what is true, how many packets nftables dropped."""
    case = circumstances(laboratory, setting, tool, count)
    laboratory.drop(setting.drop_one_in)
    with lab.Dump(laboratory, case.interface, case.file):
        output = tool.run(case)
    dropped = laboratory.dropped() if setting.drop_one_in else 0
    truth = Truth.read(case.file, case.client)
    said = tool.judge(output, truth, case)
    if setting.drop_one_in and truth.unanswered(tool.shared) and not dropped:
        raise lab.Missing("nftables counts no drops, though SYNs went unanswered")
    return said, truth, dropped


def probes(tool: Tool, setting: Setting, count: int) -> int:
    most = [limit for words, limit in tool.counts.items() if words in setting.title]
    return min([count, *most])


def header(setting: Setting, count: int) -> list[str]:
    cells = ["tool", "probes", "median error", "p99", "worst", "no match", "missed"]
    if setting.drop_one_in:
        cells += ["packets lost, it says", "packets dropped, says nftables",
                  "probes without an answer, says the capture"]
    return [f"**{setting.title[0].upper()}{setting.title[1:]}**; {count} probes at 1 ms where the tool can\n",
            f"| {' | '.join(cells)} |", "|" + "---|" * len(cells)]


def row(setting: Setting, tool: Tool, result: tuple[Said, Truth, int]) -> str:
    said, truth, dropped = result
    errors = [reported - true for reported, true in said.pairs]
    cells = [tool.name, str(len(errors))]
    if errors:
        sizes = [abs(error) for error in errors]
        cells += [span(percentile(errors, 50)), span(percentile(sizes, 99), sign=False),
                  span(max(errors, key=abs))]
    else:
        cells += ["–"] * 3
    missed = truth.answered(tool.shared) - len(errors) - said.unmatched
    cells += [str(said.unmatched), str(missed)]
    if setting.drop_one_in:
        cells += ["–" if said.lost is None else str(said.lost), str(dropped), str(truth.unanswered(tool.shared))]
    return f"| {' | '.join(cells)} |"


def table(laboratory: lab.Lab, setting: Setting, present: list[Tool], binary: str, count: int) -> None:
    """Measures and prints one table."""
    chosen = present
    if setting.ours:
        chosen = tools.present([tools.ours(binary, name, *more) for name, more in setting.ours])
    if not chosen:
        return
    printed, remarks, true = header(setting, count), [], []
    with ExitStack() as stack:
        if setting.busy:
            busy = laboratory.start([sys.executable, "-c", BUSY], cores={0})
            stack.callback(laboratory.end, busy, signal.SIGKILL)
        if setting.relay:
            half = str(setting.delay_ms / 2)
            forwarder = stack.enter_context(lab.Forwarder(laboratory, half, half))
        for tool in chosen:
            lab.note(f"{setting.title}: {tool.name}")
            result = one(laboratory, setting, tool, count)
            printed.append(row(setting, tool, result))
            true += [value for _, value in result[0].pairs]
            if result[0].remark:
                remarks.append(f"{tool.name}: {result[0].remark}.")
        if not setting.drop_one_in:
            remarks.append(doubt(laboratory, setting, next((tool for tool in chosen if not tool.shared
                                                            and not tool.single), chosen[0]), count))
    print("\n".join(printed) + "\n")
    if true:
        remarks.insert(0, f"True times: median {span(percentile(true, 50), sign=False)}, "
                          f"p99 {span(percentile(true, 99), sign=False)}.")
    if setting.relay:
        remarks.append(f"The forwarder passed on {forwarder.counts['forwarded']} frames and lost "
                       f"{forwarder.counts['lost']}.")
        if forwarder.counts["lost"]:
            raise lab.Missing("the forwarder lost frames: the figures above are worth nothing")
    print("  \n".join(remarks) + "\n", flush=True)


def run(laboratory: lab.Lab, options: argparse.Namespace) -> None:
    """All tables that were asked for."""
    binary = os.path.abspath(options.binary)
    if not options.tools and not os.access(binary, os.X_OK):
        raise lab.Missing(f"{options.binary} is not there: cargo build --release")
    present = tools.present(tools.everything(binary))
    if options.tools:
        present = [tool for tool in present if any(tool.name.startswith(name) for name in options.tools)]
    if not present:
        raise lab.Missing("none of the tools is installed")
    settings = [setting for setting in SETTINGS if not options.cases or setting.key in options.cases]
    print(f"Linux {platform.release()}, {os.cpu_count()} CPUs, "
          f"{lab.tcpdump_version()}. Error: reported minus the capture's; p99 and worst by size. No match: "
          "reports of which the capture cannot say what is true. Missed: answers on the wire without a "
          "report.\n")
    for setting in settings:
        table(laboratory, setting, present, binary, options.count)
    print("Versions: " + ", ".join(f"{tool.name} {tool.release()}" for tool in present) + ".\n")
    for tool in present:
        print(f"    {tool.shown()}")
    for setting in settings:
        for name, more in setting.ours:
            print(f"    {tools.ours(binary, name, *more).shown()}")
