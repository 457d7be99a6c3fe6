#!/usr/bin/env python3
"""Turns off what leaves packets unfinished or merges them, on each interface named; lab.py runs it.

A checksum that is left to the card is never done where a program passes the frame on instead.
"""

import ctypes
import fcntl
import socket
import struct
import sys

SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_SGRO = 0x8946, 0x17, 0x2C


def main() -> int:
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for name in sys.argv[1:]:
        for command in (ETHTOOL_STXCSUM, ETHTOOL_SGRO):
            value = ctypes.create_string_buffer(struct.pack("II", command, 0), 8)
            request = struct.pack("16sP16x", name.encode(), ctypes.addressof(value))
            fcntl.ioctl(asking, SIOCETHTOOL, request)
    return 0


if __name__ == "__main__":
    sys.exit(main())
