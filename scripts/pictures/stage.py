#!/usr/bin/env python3
"""A small world for pictures: servers behind a forwarder that delays and loses packets.

usage: stage.py DIRECTORY, as root of a network and mount namespace of its own

Two tun devices, ours and one in a further namespace, and this process between them. The servers are
the kernel's own TCP. Writes the targets to DIRECTORY/targets, their names to /etc/hosts (of this
mount namespace), and DIRECTORY/ready once all stands. Ends when its standard input does.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

# name, delay there and back in ms, jitter in ms, loss, listens
WORLD = [
    ("ams.example.net", 1.2, 0.15, 0.0, True),
    ("fra.example.net", 7.9, 0.4, 0.0, True),
    ("lon.example.net", 12.4, 1.0, 0.0, True),
    ("waw.example.net", 21.0, 2.0, 0.07, True),
    ("nyc.example.net", 83.0, 3.0, 0.0, True),
    ("sfo.example.net", 147.0, 60.0, 0.02, True),
    ("gru.example.net", 203.0, 9.0, 0.0, True),
    ("jnb.example.net", 171.0, 5.0, 0.15, True),
    ("tyo.example.net", 242.0, 4.0, 0.0, True),
    ("syd.example.net", 281.0, 30.0, 0.0, True),
    ("old.example.net", 9.3, 0.3, 0.0, False),
    ("gone.example.net", 30.0, 1.0, 1.0, True),
]
# Its paths differ by source port, and one of them is gone for a while.
PATHS = ("two-paths.example.net", 8.0, 0.5, 0.0, True)
ALL = WORLD + [PATHS]

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000


def unshare_net() -> None:
    """A further network namespace for this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def tun(name: str, *addresses: str) -> int:
    """A tun device of this namespace, up, with the addresses."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    for address in addresses:
        subprocess.run(["ip", "address", "add", address, "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return fd


def listen() -> list:
    """The servers: they accept nobody, the kernel answers for them."""
    listening = []
    for number, (_, _, _, _, listens) in enumerate(ALL, 1):
        if listens:
            server = socket.socket()
            server.bind((f"10.77.1.{number}", 443))
            server.listen(64)
            listening.append(server)
    return listening


def fate(packet: bytes, towards_servers: bool, began: dict):
    """How long a packet takes, in seconds; none where it is lost."""
    last_byte = packet[19] if towards_servers else packet[15]
    if packet[0] >> 4 != 4 or not 1 <= last_byte <= len(ALL):
        return None
    name, delay, jitter, loss, _ = ALL[last_byte - 1]
    header = (packet[0] & 15) * 4
    source, destination = struct.unpack_from("!HH", packet, header)
    flags = packet[header + 13]
    # An open connection's end is nobody's measurement: only handshakes are lost.
    if towards_servers and flags == 2 and random.random() < loss:
        return None
    if name == PATHS[0]:
        port = source if towards_servers else destination
        elapsed = time.monotonic() - began.setdefault(name, time.monotonic())
        if port % 2:
            delay, jitter = 11.5, 1.4
            if 9 < elapsed < 10.5 and flags == 2:
                return None
        elif elapsed > 12:
            jitter = 2.2
    return delay / 2000 + random.expovariate(2) * jitter / 1000


def forward(ours: int, theirs: int) -> None:
    """Carries packets until standard input ends."""
    waiting, began, number = [], {}, 0
    while True:
        now = time.monotonic()
        until = max(0.0, waiting[0][0] - now) if waiting else 1.0
        readable, _, _ = select.select([ours, theirs, sys.stdin], [], [], until)
        if sys.stdin in readable and not os.read(0, 1):
            return
        for fd, other in ((ours, theirs), (theirs, ours)):
            if fd in readable:
                packet = os.read(fd, 65536)
                delay = fate(packet, fd == ours, began)
                if delay is not None:
                    number += 1
                    heapq.heappush(waiting, (time.monotonic() + delay, number, other, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, fd, packet = heapq.heappop(waiting)
            os.write(fd, packet)


def main() -> int:
    """Builds the world and runs it."""
    directory = Path(sys.argv[1])
    random.seed(7)
    hosts = [f"10.77.1.{number} {world[0]}" for number, world in enumerate(ALL, 1)]
    (directory / "hosts").write_text("127.0.0.1 localhost\n" + "\n".join(hosts) + "\n")
    subprocess.run(["mount", "--bind", directory / "hosts", "/etc/hosts"], check=True)
    (directory / "targets").write_text("".join(f"{world[0]}:443\n" for world in WORLD))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    ours = tun("wan0", "10.77.0.1/16")
    unshare_net()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    addresses = [f"10.77.1.{number}/16" for number in range(1, len(ALL) + 1)]
    theirs = tun("wan1", *addresses)
    servers = listen()
    (directory / "ready").touch()
    forward(ours, theirs)
    del servers
    return 0


if __name__ == "__main__":
    sys.exit(main())
