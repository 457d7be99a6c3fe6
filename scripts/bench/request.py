#!/usr/bin/env python3
"""The work behind request.sh, which see. Runs inside a network namespace of its own."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/bench/rtt"))

from lab import FAR, NEAR, Forwarder, Lab  # noqa: E402

SERVER = FAR[1]
# Milliseconds for which each packet is held, in each direction.
DELAY = "5"
NAMES = f"subjectAltName=IP:{SERVER},IP:{NEAR[1]}\nbasicConstraints=CA:FALSE\n"
# What curl is asked for: points in time, in seconds since its start.
POINTS = ("namelookup", "connect", "appconnect", "pretransfer", "starttransfer", "total")
PHASES = ("TCP handshake", "TLS handshake", "to the first byte", "the rest")


@dataclass
class Case:
    """What is asked for, and what both tools said of it: milliseconds for each phase."""

    name: str
    url: str
    ours: list[str]
    curls: list[str]
    told: dict[str, dict[str, list[float]]] = field(default_factory=dict)


CASES = [
    Case("HTTP/1.1, 612 bytes", f"http://{SERVER}:8080/page", ["--http", "1.1"], ["--http1.1"]),
    Case("HTTP/1.1, 1 MiB", f"http://{SERVER}:8080/big", ["--http", "1.1"], ["--http1.1"]),
    Case("HTTP/1.1 by TLS 1.3, 612 bytes", f"https://{SERVER}:8443/page", ["--http", "1.1"],
         ["--http1.1"]),
    Case("HTTP/2 by TLS 1.3, 612 bytes", f"https://{SERVER}:8443/page", ["--http", "2"],
         ["--http2"]),
]


def run(command: list[str], **more) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def certificates(scratch: Path) -> None:
    """An authority of our own, and a certificate by it."""
    (scratch / "leaf.ext").write_text(NAMES)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for words in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=bench"],
        ["req", *key, "-keyout", "key.pem", "-out", "leaf.csr", "-subj", "/CN=bench server"],
        ["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
         "-extfile", "leaf.ext", "-out", "cert.pem"],
    ):
        run(["openssl", *words], cwd=scratch)


def serve(lab: Lab, scratch: Path) -> None:
    """Starts nginx, and waits until it listens."""
    www = scratch / "www"
    www.mkdir()
    (www / "page").write_bytes(b"x" * 612)
    (www / "big").write_bytes(b"x" * (1 << 20))
    secure = f"ssl_certificate {scratch}/cert.pem; ssl_certificate_key {scratch}/key.pem;"
    config = scratch / "nginx.conf"
    config.write_text(
        f"""daemon off; master_process off; user root; pid {scratch}/pid; error_log /dev/null;
        events {{}}
        http {{ access_log off; root {www}; ssl_protocols TLSv1.3; sendfile on;
            client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
            fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi;
            scgi_temp_path {scratch}/scgi;
            server {{ listen 8080; }}
            server {{ listen 8443 ssl http2; {secure} }} }}"""
    )
    lab.start(lab.inside(lab.peer, ["nginx", "-e", "/dev/null", "-c", str(config)]))
    near = CASES[0].url.replace(SERVER, NEAR[1])
    for _ in range(200):
        if subprocess.run(["curl", "-s", "-o", "/dev/null", near], check=False).returncode == 0:
            return
        time.sleep(0.02)
    raise SystemExit("nginx does not answer")


def ask_shakedown(binary: str, case: Case, scratch: Path) -> list[float]:
    trust = ["--cacert", str(scratch / "ca.pem")] if case.url.startswith("https") else []
    lines = run([binary, "request", case.url, "--json", *case.ours, *trust]).splitlines()
    records = [json.loads(line) for line in lines]
    request = next(record for record in records if record["type"] == "request")
    assert request["status"] == 200, request
    times = request["times"]
    names = ("tcp_ns", "tls_ns", "wait_ns", "receive_ns")
    return [times.get(name, 0) / 1e6 for name in names]


def ask_curl(case: Case, scratch: Path) -> list[float]:
    trust = ["--cacert", str(scratch / "ca.pem")] if case.url.startswith("https") else []
    form = " ".join(f"%{{time_{point}}}" for point in POINTS)
    out = run(["curl", "-s", "-o", "/dev/null", "-w", form, *case.curls, *trust, case.url])
    at = dict(zip(POINTS, (float(text) * 1e3 for text in out.split()), strict=True))
    secure = at["appconnect"] - at["connect"] if at["appconnect"] else 0.0
    return [
        at["connect"] - at["namelookup"],
        secure,
        at["starttransfer"] - at["pretransfer"],
        at["total"] - at["starttransfer"],
    ]


def figures(values: list[float]) -> str:
    """The median, and the tenth and the ninetieth percentile."""
    if not any(values):
        return "–"
    tenths = statistics.quantiles(values, n=10)
    middle = statistics.median(values)
    return f"{middle:.2f} ({tenths[0]:.2f} to {tenths[-1]:.2f})"


def table(rounds: int, binary: str) -> str:
    lines = ["| ms, median (10th to 90th percentile) | | " + " | ".join(PHASES) + " |",
             "|---|---|" + "---:|" * len(PHASES)]
    for case in CASES:
        for tool in ("shakedown", "curl"):
            told = case.told[tool]
            cells = " | ".join(figures(told[phase]) for phase in PHASES)
            lines.append(f"| {case.name if tool == 'shakedown' else ''} | {tool} | {cells} |")
    versions = [run([binary, "--version"]), run(["curl", "--version"])]
    names = [" ".join(text.split()[:2]) for text in versions]
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    lines += ["", f"{rounds} rounds of each, in turn, {DELAY} ms away in each direction; {names[0]}, {names[1]}, "
                  f"{nginx.split()[-1]}, Linux {platform.release()}."]
    return "\n".join(lines)


def show(binary: str, scratch: Path) -> str:
    """A comparison, as a terminal of 100 columns has it."""
    words = ["request", CASES[2].url, "--compare", "-c", "3"]
    command = [binary, *words, "--cacert", str(scratch / "ca.pem")]
    told = run(command, env={"COLUMNS": "100", "LC_ALL": "C.UTF-8"})
    shown = f"$ shakedown {' '.join(words)} --cacert ca.pem"
    return f"```text\n{shown}\n\n{told}```"


def ask_all(binary: str, scratch: Path, keep: bool) -> None:
    """One round: each case by each tool."""
    for case in CASES:
        asked = {
            "shakedown": ask_shakedown(binary, case, scratch),
            "curl": ask_curl(case, scratch),
        }
        for tool, values in asked.items() if keep else ():
            told = case.told.setdefault(tool, {phase: [] for phase in PHASES})
            for phase, value in zip(PHASES, values, strict=True):
                told[phase].append(value)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--binary", default=str(ROOT / "target/release/shakedown"))
    arguments = parser.parse_args()
    with Lab() as lab, tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        certificates(scratch)
        serve(lab, scratch)
        with Forwarder(lab, DELAY, DELAY):
            if arguments.show:
                print(show(arguments.binary, scratch))
                return 0
            for number in range(arguments.rounds + 1):
                ask_all(arguments.binary, scratch, keep=number > 0)
    print(table(arguments.rounds, arguments.binary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
