"""The work behind rtt.sh and rtt-scale.sh, which see. Runs inside a network namespace of its own."""

from __future__ import annotations

import argparse
import os
import signal
import sys

import accuracy
import credit
import lab
import scale


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rtt.sh")
    parser.add_argument("part", choices=["accuracy", "credit", "scale"])
    parser.add_argument("--binary", default="target/release/shakedown")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--cases", nargs="+", choices=[setting.key for setting in accuracy.SETTINGS])
    parser.add_argument("--tools", nargs="+")
    parser.add_argument("--sizes", nargs="+", type=int)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if os.geteuid() != 0:
        print("must be root, in a network namespace of its own: see rtt.sh", file=sys.stderr)
        return 2
    # An end by TERM unwinds like one by Ctrl-C, so that the children are reaped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with lab.Lab() as laboratory:
            if options.part == "accuracy":
                accuracy.run(laboratory, options)
            elif options.part == "scale":
                scale.run(laboratory, options)
            elif not credit.run(laboratory, options):
                print("probes were credited wrongly: see the table", file=sys.stderr)
                return 1
        return 0
    except lab.Missing as missing:
        print(f"not measured: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
