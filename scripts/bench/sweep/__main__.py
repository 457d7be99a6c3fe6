"""The work behind the sweep*.sh beside this folder, which see. Runs inside namespaces of its own."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys

import link
import speed

PARTS = {"speed": "speed", "full": "full", "rtt": "truth", "loss": "loss", "hostile": "hostile"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sweep")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--binary", default="target/release/shakedown")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="+")
    parser.add_argument("--responder", choices=["xdp", "tc"], default="xdp")
    parser.add_argument("--tools", nargs="+")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if os.geteuid() != 0:
        print("must be root, in namespaces of its own: see sweep.sh", file=sys.stderr)
        return 2
    # An end by TERM unwinds like one by Ctrl-C, so that the children are reaped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    part = speed if options.part == "speed" else importlib.import_module(PARTS[options.part])
    try:
        with link.Link(options.responder) as laboratory:
            part.run(laboratory, options)
        return 0
    except link.Missing as missing:
        print(f"not measured: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
