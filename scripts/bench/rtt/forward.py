#!/usr/bin/env python3
"""Passes Ethernet frames between two interfaces, later than they came; lab.py runs it.

usage: forward.py ONE OTHER LEAST MOST [TWICE [SEED]]

Each frame is held for LEAST to MOST milliseconds, drawn anew for each, so that frames overtake each
other where the two differ; TWICE is the chance that one goes out a second time, with a delay of its
own. How exact the delays are does not matter: the truth is taken on the client's link. No frame may
be lost, however; at SIGTERM the counts are printed, with what the kernel dropped or refused.
"""

from __future__ import annotations

import gc
import heapq
import json
import random
import select
import signal
import socket
import struct
import sys
import time

SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING = 263, 6, 23
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
ROOM = 64 << 20


def side(name: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
    opened.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, ROOM)
    opened.bind((name, 0x0003))
    opened.setblocking(False)
    return opened


def main() -> int:
    one, other = side(sys.argv[1]), side(sys.argv[2])
    least, most = float(sys.argv[3]) / 1e3, float(sys.argv[4]) / 1e3
    twice = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
    draw = random.Random(int(sys.argv[6]) if len(sys.argv) > 6 else 1)
    held: list[tuple[float, int, socket.socket, bytes]] = []
    counts = {"forwarded": 0, "duplicated": 0, "lost": 0, "overtaken": 0}
    going = True

    def stop(*_: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    # Nothing here is cyclic, and a pause of the collector would only delay frames.
    gc.disable()
    print("forwarding", flush=True)
    number = newest = 0
    while going:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else 0.1
        for source in select.select([one, other], [], [], wait)[0]:
            out = other if source is one else one
            for _ in range(64):
                try:
                    frame = source.recv(65536)
                except BlockingIOError:
                    break
                copies = 2 if twice and draw.random() < twice else 1
                counts["duplicated"] += copies - 1
                for _ in range(copies):
                    number += 1
                    due = time.monotonic() + draw.uniform(least, most)
                    heapq.heappush(held, (due, number, out, frame))
        now = time.monotonic()
        while held and held[0][0] <= now:
            _, sequence, out, frame = heapq.heappop(held)
            counts["overtaken"] += sequence < newest
            newest = max(newest, sequence)
            try:
                out.send(frame)
                counts["forwarded"] += 1
            except OSError:
                counts["lost"] += 1
    for opened in (one, other):
        _, dropped = struct.unpack("II", opened.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        counts["lost"] += dropped
    print(json.dumps(counts), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
