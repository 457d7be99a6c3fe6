#!/usr/bin/env python3
"""Puts standard input between two marker comments of a Markdown file.

usage: between.py FILE NAME

The markers are <!-- NAME:begin --> and <!-- NAME:end -->, each on a line of its own.
"""

import sys
from pathlib import Path


def main() -> int:
    """Replaces what stands between the markers; 2 where they are not there."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    path, name = Path(sys.argv[1]), sys.argv[2]
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, found, rest = path.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        print(f"{path} has no markers {name}:begin and {name}:end", file=sys.stderr)
        return 2
    path.write_text(before + begin + sys.stdin.read().rstrip("\n") + "\n" + end + after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
