"""What many targets at once cost: CPU time, memory, punctuality, and whether answers are missed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import time
from dataclasses import dataclass

import lab

SIZES, PROBES = (10, 1000, 10000), 20
COUNTERS = f"""
table ip bench
delete table ip bench
table ip bench {{
    chain in {{ type filter hook input priority 0; policy accept;
        tcp dport {lab.PORT} tcp flags & (syn|ack) == syn counter
    }}
    chain out {{ type filter hook output priority 0; policy accept;
        tcp sport {lab.PORT} tcp flags & (syn|ack) == (syn|ack) counter
    }}
}}
"""


@dataclass
class Cost:
    """What one run took and did."""

    targets: int
    user: float
    system: float
    elapsed: float
    peak_kib: int
    asked: int
    answered: int
    output: str

    def found(self, pattern: str) -> str:
        """What the tool printed, by its sentence; a dash where it printed none."""
        match = re.search(pattern, self.output)
        return match[1] if match else "–"


def run(laboratory: lab.Lab, options: argparse.Namespace) -> None:
    """One run for each number of targets, and the table."""
    binary = os.path.abspath(options.binary)
    if not os.access(binary, os.X_OK):
        raise lab.Missing(f"{options.binary} is not there: cargo build --release")
    costs = [measure(laboratory, binary, size) for size in options.sizes or SIZES]
    print(f"Linux {platform.release()}, {os.cpu_count()} CPUs; every target once a second, {PROBES} times; "
          "the answering kernel's work is in part the sender's system time, as both are on this machine\n")
    print("| targets | CPU per probe, user + system | of one core | peak memory | per target more | "
          "late p50 | p99 | worst | never left | SYNs at the peer | SYN-ACKs it sent | answered, it says | "
          "packets the kernel dropped |")
    print("|" + "---|" * 13)
    for before, cost in zip([None, *costs], costs):
        print(row(before, cost))
    print(f"\n    {command(binary, 'TARGETS')}".replace(f"{lab.ROOT}/", ""), flush=True)


def command(binary: str, file: str) -> str:
    return f"{binary} rtt --targets {file} -c {PROBES} -i 1s -q"


def measure(laboratory: lab.Lab, binary: str, size: int) -> Cost:
    lab.note(f"{size} targets, which takes {PROBES} s")
    file = lab.RAW / f"scale.{size}.targets"
    file.write_text("".join(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}:{lab.PORT}\n"
                            for number in range(1, size + 1)))
    laboratory.run(laboratory.peer, "nft", "-f", "-", text=COUNTERS)
    printed = lab.RAW / f"scale.{size}.out"
    with open(printed, "w", encoding="utf-8") as out:
        start = time.monotonic()
        child = lab.spawn(command(binary, str(file)).split(), stdout=out, stderr=subprocess.STDOUT)
        peak, pid, status, usage = 0, 0, 0, None
        while pid == 0:
            # The kernel's own high-water mark; that of wait4 would include this process's, before exec.
            peak = max(peak, high_water(child.pid))
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid == 0 and time.monotonic() - start > PROBES + 60:
                child.kill()
                child.wait()
                raise lab.Missing(f"shakedown was not done with {size} targets after {PROBES + 60} s")
            time.sleep(0.02)
        elapsed = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    output = printed.read_text(encoding="utf-8")
    if child.returncode not in (0, 1):
        raise lab.Missing(f"shakedown exits with {child.returncode}: {output.strip()[-300:]}")
    chains = json.loads(laboratory.run(laboratory.peer, "nft", "-j", "list", "table", "ip", "bench"))
    asked, answered = [part["counter"]["packets"] for entry in chains["nftables"]
                       for part in entry.get("rule", {}).get("expr", []) if "counter" in part]
    return Cost(size, usage.ru_utime, usage.ru_stime, elapsed, peak, asked, answered, output)


def high_water(pid: int) -> int:
    """Peak resident memory in KiB; 0 once the process has let go of it."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
    return int(found[1]) if found else 0


def row(before: Cost | None, cost: Cost) -> str:
    probes = cost.targets * PROBES
    growth = "–"
    if before:
        growth = f"{(cost.peak_kib - before.peak_kib) * 1024 / (cost.targets - before.targets):.0f} B"
    cells = [str(cost.targets), f"{cost.user / probes * 1e6:.1f} + {cost.system / probes * 1e6:.1f} µs",
             f"{(cost.user + cost.system) / cost.elapsed * 100:.1f} %", f"{cost.peak_kib / 1024:.1f} MiB", growth,
             cost.found(r"left after their time by p50 ([^,]+),"), cost.found(r", p99 ([^,]+), at most"),
             cost.found(r"at most ([\d.]+ \S+)\n"), cost.found(r"(\d+) probes? never left").replace("–", "0"),
             str(cost.asked), str(cost.answered),
             cost.found(r"probes sent, (\d+) answered"),
             cost.found(r"(\d+) packets?[^\n]*dropped").replace("–", "0")]
    return f"| {' | '.join(cells)} |"
