"""The truth: what tcpdump wrote about the client's link, put into questions and answers."""

from __future__ import annotations

import socket
import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
NANOSECOND_MAGIC, ETHERNET = 0xA1B23C4D, 1


class Unreadable(Exception):
    """The file is not what tcpdump was asked to write."""


def packets(file: Path) -> Iterator[tuple[int, bytes]]:
    """Stamp in nanoseconds and bytes from the IPv4 header on, of every IPv4 packet in a pcap file."""
    data = file.read_bytes()
    order = next((order for order in "<>" if len(data) >= 24
                  and struct.unpack_from(f"{order}I", data)[0] == NANOSECOND_MAGIC), None)
    if order is None or struct.unpack_from(f"{order}I", data, 20)[0] != ETHERNET:
        raise Unreadable(f"{file.name}: no pcap file with nanoseconds, of Ethernet frames")
    header, at = struct.Struct(f"{order}IIII"), 24
    while at + 16 <= len(data):
        seconds, nanos, length, _ = header.unpack_from(data, at)
        frame = data[at + 16:at + 16 + length]
        at += 16 + length
        if frame[12:14] == b"\x08\x00":
            yield seconds * 1_000_000_000 + nanos, frame[14:]


def timestamps(options: bytes) -> tuple[int, int] | None:
    """The two values of the TCP timestamps option."""
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            return None
        if options[at] == 8 and length == 10:
            return struct.unpack_from(">II", options, at + 2)
        at += length
    return None


@dataclass
class Probe:
    """One question, all its transmissions, and whatever answered it."""

    sent: list[tuple[int, int | None]] = field(default_factory=list)
    answers: list[tuple[int, int | None]] = field(default_factory=list)

    def truth(self, floor: int = 0) -> int | None:
        """Nanoseconds from a transmission to its answer, the first one; None where there is no saying.

        Of several transmissions it is the one whose timestamp the answer echoes; without that, the
        last that left at least `floor`, the least time there and back, before the answer.
        """
        if not self.answers:
            return None
        at, echo = self.answers[0]
        before = [stamp for stamp, value in self.sent
                  if stamp <= at and (echo is None or value is None or value == echo)]
        if len(before) > 1:
            before = [stamp for stamp in before if stamp <= at - floor]
        return at - before[-1] if before else None


@dataclass
class Truth:
    """A capture of one run of one tool. Probes are in the order in which they first left."""

    probes: dict[tuple[int, int], Probe]
    packets: int

    @classmethod
    def read(cls, file: Path, client: str) -> Truth:
        """Reads SYNs that leave `client` and what answers them, and ICMP echoes likewise.

        A TCP probe is known by its source port and initial sequence number; an ICMP one by identifier
        and sequence number. Where a tool uses the same for all, they are one probe here, see `each`.
        """
        own = socket.inet_aton(client)
        probes: dict[tuple[int, int], Probe] = {}
        count = 0
        for stamp, ip in packets(file):
            count += 1
            leaves, body = ip[12:16] == own, ip[(ip[0] & 15) * 4:]
            if ip[9] == 1 and len(body) >= 8 and body[0] in (0, 8):
                key = struct.unpack_from(">HH", body, 4)
                question, echo = body[0] == 8, None
            elif ip[9] == 6 and len(body) >= 20:
                source, destination, sequence, ack = struct.unpack_from(">HHII", body)
                flags = body[13]
                echoed = timestamps(body[20:(body[12] >> 4) * 4])
                question = flags & (SYN | ACK | RST) == SYN
                if leaves != question or not flags & (SYN | RST):
                    continue
                key = (source, sequence) if question else (destination, (ack - 1) & 0xFFFFFFFF)
                echo = echoed[not question] if echoed else None
            else:
                continue
            if question and leaves:
                probes.setdefault(key, Probe()).sent.append((stamp, echo))
            elif not question and not leaves and key in probes:
                probes[key].answers.append((stamp, echo))
        return cls(probes, count)

    def in_order(self) -> list[Probe]:
        """The probes, in the order in which they first left."""
        return list(self.probes.values())

    def each(self, floor: int, slack: int) -> list[tuple[int, int | None]]:
        """For a tool that asks every time with the same ports and number: the answers, in order.

        Each with the time that it took, where only one unanswered question left between `floor` and
        `floor + slack` before it; else there is no saying which it answers, not from the capture.
        """
        found = []
        for probe in self.probes.values():
            sent, taken = [stamp for stamp, _ in probe.sent], set()
            for at, _ in probe.answers:
                last = bisect_right(sent, at - floor)
                could = [stamp for stamp in sent[max(0, last - 50):last]
                         if stamp >= at - floor - slack and stamp not in taken]
                taken.update(could[-1:])
                found.append((at, at - could[0] if len(could) == 1 else None))
        return sorted(found)

    def transmissions(self) -> int:
        """Questions on the wire, repetitions included."""
        return sum(len(probe.sent) for probe in self.probes.values())

    def unanswered(self, shared: bool) -> int:
        """Probes to which the wire brought no answer; `shared` where all are one to `read`."""
        if shared:
            return self.transmissions() - sum(len(probe.answers) for probe in self.probes.values())
        return sum(not probe.answers for probe in self.probes.values())

    def answered(self, shared: bool) -> int:
        """Probes to which the wire brought an answer; `shared` as before."""
        if shared:
            return sum(len(probe.answers) for probe in self.probes.values())
        return sum(bool(probe.answers) for probe in self.probes.values())
