#!/usr/bin/env python3
"""Draws a terminal's screen as SVG: standard input as `tmux capture-pane -e -p` writes it.

usage: screen.py TITLE COLUMNS < SCREEN > PICTURE.svg
"""

import re
import sys
from html import escape

CELL, LINE, MARGIN, BAR = 8.4, 18, 16, 34
# What SGR selects, as classes.
COLOURS = {31: "red", 32: "green", 33: "yellow", 35: "magenta", 36: "cyan", 94: "blue"}
STYLE = """
text{font:14px ui-monospace,'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace;
white-space:pre;fill:#24292f}
.window{fill:#fbfcfd;stroke:#ccd1d7}.title{fill:#656d76}.bold{font-weight:700}.dim{fill:#656d76}
.red{fill:#c4161c}.green{fill:#1a7f37}.yellow{fill:#8a6100}.magenta{fill:#8250df}
.cyan{fill:#0f7285}.blue{fill:#0969da}
@media(prefers-color-scheme:dark){text{fill:#d5dbe1}.window{fill:#14171a;stroke:#3a4047}
.title,.dim{fill:#929ba5}.red{fill:#ff7b72}.green{fill:#56d364}.yellow{fill:#e3b341}
.magenta{fill:#d2a8ff}.cyan{fill:#56d4dd}.blue{fill:#79c0ff}}
"""


def runs(line: str):
    """The pieces of a line with the classes they are drawn in, and the column of each."""
    column, classes = 0, set()
    for sequence, text in re.findall(r"\x1b\[([0-9;]*)m|([^\x1b]+)", line):
        if text:
            yield column, " ".join(sorted(classes)), text
            column += len(text)
            continue
        for code in map(int, (sequence or "0").split(";")):
            if code == 0:
                classes = set()
            elif code in (1, 2):
                classes.add("bold" if code == 1 else "dim")
            elif code in (22, 39):
                classes -= {"bold", "dim"} if code == 22 else set(COLOURS.values())
            elif code in COLOURS:
                classes = (classes - set(COLOURS.values())) | {COLOURS[code]}


def main() -> int:
    """Writes the picture."""
    title, columns = sys.argv[1], int(sys.argv[2])
    lines = sys.stdin.read().rstrip("\n").split("\n")
    width = columns * CELL + 2 * MARGIN
    height = len(lines) * LINE + 2 * MARGIN + BAR
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="window" x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>\n'
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 12}">$ {escape(title)}</text>'
    )
    for number, line in enumerate(lines):
        y = BAR + MARGIN + number * LINE + 13
        for column, classes, text in runs(line):
            # Not every reader keeps blanks, and none has the same font: each piece is put into its
            # columns.
            for piece in re.finditer(r"\S+(?: \S+)*", text):
                x = MARGIN + (column + piece.start()) * CELL
                print(
                    f'<text class="{classes}" x="{x:.1f}" y="{y}" '
                    f'textLength="{len(piece[0]) * CELL:.1f}" lengthAdjust="spacingAndGlyphs">'
                    f"{escape(piece[0])}</text>"
                )
    print("</svg>")
    return 0


if __name__ == "__main__":
    sys.exit(main())
