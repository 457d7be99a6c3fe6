"""Figures as they are printed."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable

from link import ROOT


def number(value: float) -> str:
    """Three digits, or all of a large one."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def spread(values: Iterable[float], form=number) -> str:
    """The median, and the range where there is one."""
    known = sorted(values)
    if not known:
        return "–"
    least, middle, most = form(known[0]), form(statistics.median(known)), form(known[-1])
    return middle if least == most else f"{middle} ({least} to {most})"


def percent(part: float) -> str:
    """A share; it is only 100 % where nothing is missing."""
    return "100 %" if part == 1 else f"{min(part * 100, 99.99):.2f} %" if part < 1 else f"{part * 100:.2f} %"


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)])


def where() -> str:
    return f"Linux {platform.release()}, {os.cpu_count()} CPUs"


def shown(command: list[str], **hidden: str) -> str:
    """A command line without what differs from run to run, and without where this checkout lies."""
    text = " ".join(command).replace(f"{ROOT}/", "")
    for name, value in hidden.items():
        text = text.replace(value, name.upper())
    return text


def goal(text: str, value: float, least: float | None = None, most: float | None = None, form=number) -> str:
    """What was aimed at, and whether it was reached."""
    wanted = f"at least {form(least)}" if least is not None else f"at most {form(most)}"
    met = value >= least if least is not None else value <= most
    return f"- {text}: {form(value)}, goal {wanted}: **{'met' if met else 'not met'}**"
