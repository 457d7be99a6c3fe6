//! What may be broken in half-open and open connections.

use super::opening::is_syn;
use super::segment::{Segment, bit, kind};
use super::wire::{Wire, distance, is_before};
use super::{Kind, Mutant};
use std::time::Duration;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "a repeated SYN gets another number",
        server: Kind::Echo,
        change: |wire, mut it| {
            let again = wire.flow.syn_ack.as_ref().is_some_and(|known| known.seq == it.seq);
            if !wire.to_server && it.has(bit::SYN | bit::ACK) && again {
                it.seq = it.seq.wrapping_add(4000);
            }
            wire.pass(it);
        },
        red: &[("synrcvd-dup-syn", "fail")],
    },
    Mutant {
        name: "half open: a wrong ACK ends it",
        server: Kind::Echo,
        change: |wire, it| {
            if is_to_half_open(wire, &it) && it.is_pure_ack() && is_wrong(wire, &it) {
                wire.flow.memory = 1;
            }
            forgotten(wire, it);
        },
        red: &[("synrcvd-badack", "fail")],
    },
    Mutant {
        name: "half open: a wrong ACK meets silence",
        server: Kind::Echo,
        change: |wire, it| {
            if !is_to_half_open(wire, &it) || !is_wrong(wire, &it) {
                wire.pass(it);
            }
        },
        red: &[("synrcvd-badack", "warn")],
    },
    Mutant {
        name: "half open: a RST in the window ends it",
        server: Kind::Echo,
        change: |wire, mut it| {
            if is_to_half_open(wire, &it) && it.has(bit::RST) && is_ahead(wire, &it) {
                it.seq = wire.flow.received;
            }
            wire.pass(it);
        },
        red: &[("synrcvd-rst-inwindow", "warn")],
    },
    Mutant {
        name: "half open: a RST out of the window ends it",
        server: Kind::Echo,
        change: |wire, mut it| {
            let before = is_before(it.seq, wire.flow.received);
            if is_to_half_open(wire, &it) && it.has(bit::RST) && before {
                it.seq = wire.flow.received;
            }
            wire.pass(it);
        },
        red: &[("synrcvd-rst-outside", "fail")],
    },
    Mutant {
        name: "half open: the exact RST is ignored",
        server: Kind::Echo,
        change: |wire, it| {
            let exact = it.has(bit::RST) && it.seq == wire.flow.received;
            if !is_to_half_open(wire, &it) || !exact {
                wire.pass(it);
            }
        },
        red: &[("synrcvd-rst-exact", "fail")],
    },
    Mutant {
        name: "half open: data in the place of the ACK are dropped",
        server: Kind::Echo,
        change: |wire, it| {
            let dropped = is_to_half_open(wire, &it) || wire.flow.memory == 1;
            let is_next = it.seq == wire.flow.received && !it.payload.is_empty();
            if dropped && wire.to_server && is_next {
                wire.flow.memory = 1;
            } else {
                wire.pass(it);
            }
        },
        // Both open a connection by data.
        red: &[("synrcvd-data", "fail"), ("syn-data", "fail")],
    },
    Mutant {
        name: "half open: a FIN in the place of the ACK resets",
        server: Kind::Echo,
        change: |wire, it| {
            if is_to_half_open(wire, &it) && it.has(bit::FIN | bit::ACK) {
                wire.reset();
            } else {
                wire.pass(it);
            }
        },
        red: &[("synrcvd-fin", "fail")],
    },
    Mutant {
        name: "a SYN-ACK that comes again meets silence",
        server: Kind::Echo,
        change: |wire, it| {
            if !wire.is_to_open() || !it.has(bit::SYN | bit::ACK) {
                wire.pass(it);
            }
        },
        red: &[("est-synack", "warn")],
    },
    Mutant {
        name: "a far SYN resets",
        server: Kind::Echo,
        change: |wire, it| {
            let far = distance(wire.flow.received, it.seq).unsigned_abs() > 70_000;
            if wire.is_to_open() && wire.flow.our_fin.is_none() && is_syn(&it) && far {
                wire.reset();
            } else {
                wire.pass(it);
            }
        },
        red: &[("est-syn", "fail")],
    },
    Mutant {
        name: "a RST out of the window resets",
        server: Kind::Echo,
        change: |wire, mut it| {
            let far = is_before(it.seq, wire.flow.received) || !is_near(wire, &it);
            if wire.is_to_open() && it.has(bit::RST) && far {
                it.seq = wire.flow.received;
            }
            wire.pass(it);
        },
        red: &[("est-rst-outside", "fail")],
    },
    Mutant {
        name: "data out of the window are not answered",
        server: Kind::Echo,
        change: |wire, it| {
            let far = distance(wire.flow.received, it.seq).unsigned_abs() > 200_000;
            if !wire.is_to_open()
                || it.has_any(bit::RST | bit::SYN)
                || it.payload.is_empty()
                || !far
            {
                wire.pass(it);
            }
        },
        red: &[("est-oow", "fail")],
    },
    Mutant {
        name: "an ACK out of the window resets",
        server: Kind::Echo,
        change: |wire, it| {
            let far = distance(wire.flow.received, it.seq) < -200_000;
            if wire.is_to_open() && it.is_pure_ack() && far {
                wire.reset();
            } else {
                wire.pass(it);
            }
        },
        red: &[("est-oow", "fail")],
    },
    Mutant {
        name: "an ACK of what was never sent resets",
        server: Kind::Echo,
        change: |wire, it| {
            if wire.is_to_open() && it.is_pure_ack() && is_before(wire.flow.sent, it.ack) {
                wire.reset();
            } else {
                wire.pass(it);
            }
        },
        red: &[("est-ack-unsent", "fail")],
    },
    Mutant {
        name: "data that acknowledge what was never sent are taken",
        server: Kind::Echo,
        change: |wire, mut it| {
            let unsent = is_before(wire.flow.sent, it.ack) && !it.has_any(bit::FIN | bit::RST);
            if wire.is_to_open() && !it.payload.is_empty() && unsent {
                it.ack = wire.flow.sent;
            }
            wire.pass(it);
        },
        red: &[("est-data-ack-unsent", "fail")],
    },
    Mutant {
        name: "data without ACK are taken",
        server: Kind::Echo,
        change: |wire, mut it| {
            if wire.is_to_open() && it.flags == 0 && !it.payload.is_empty() {
                it.flags = bit::ACK;
                it.ack = wire.flow.sent;
            }
            wire.pass(it);
        },
        red: &[("est-noack", "fail")],
    },
    Mutant {
        name: "a FIN without ACK is taken",
        server: Kind::Echo,
        change: |wire, mut it| {
            let bare = it.flags & (bit::FIN | bit::SYN | bit::ACK | bit::RST) == bit::FIN;
            if wire.is_to_open() && bare {
                it.flags |= bit::ACK;
                it.ack = wire.flow.sent;
            }
            wire.pass(it);
        },
        red: &[("est-noack", "fail"), ("fin-noack", "fail")],
    },
    Mutant {
        name: "keep-alives are not answered",
        server: Kind::Echo,
        change: |wire, it| {
            let probes = it.seq == wire.flow.received.wrapping_sub(1) && it.payload.len() < 2;
            let plain = !it.has_any(bit::SYN | bit::FIN | bit::RST);
            if !wire.is_to_open() || !probes || !plain {
                wire.pass(it);
            }
        },
        red: &[("keepalive-answer", "fail")],
    },
    Mutant {
        name: "old timestamps are taken",
        server: Kind::Echo,
        change: |wire, mut it| {
            let newest = wire.flow.syn.as_ref().and_then(Segment::stamps);
            if wire.is_to_open()
                && !it.has_any(bit::RST | bit::SYN)
                && let (Some((value, echo)), Some((first, _))) = (it.stamps(), newest)
                && is_before(value, first)
            {
                it.set_stamps(first.wrapping_add(60_000), echo);
            }
            wire.pass(it);
        },
        red: &[("paws-data", "warn"), ("paws-fin", "warn")],
    },
    Mutant {
        name: "data without timestamps reset",
        server: Kind::Echo,
        change: |wire, it| {
            let agreed = wire.flow.syn_ack.as_ref().is_some_and(|it| it.stamps().is_some());
            if wire.is_to_open()
                && agreed
                && it.stamps().is_none()
                && !it.payload.is_empty()
                && !it.has(bit::RST)
            {
                wire.reset();
            } else {
                wire.pass(it);
            }
        },
        red: &[("ts-missing", "fail")],
    },
    Mutant {
        name: "data with options unknown to it are dropped",
        server: Kind::Echo,
        change: |wire, it| {
            let known = it.options.iter().all(|(one, _)| [5, kind::STAMPS].contains(one));
            if !wire.is_to_open() || known || it.payload.is_empty() {
                wire.pass(it);
            }
        },
        red: &[("est-opt-any", "fail")],
    },
    Mutant {
        name: "what overlaps is taken twice",
        server: Kind::Echo,
        change: |wire, mut it| {
            // What the server has, before it says so.
            let (acked, there) = (wire.flow.received, wire.flow.memory);
            let known = if there != 0 && is_before(acked, there) { there } else { acked };
            if wire.is_to_open() && !it.payload.is_empty() && !it.has(bit::RST) {
                if is_before(it.seq, known) && is_before(known, it.end()) {
                    it.seq = known;
                } else if it.seq == known {
                    wire.flow.memory = it.end();
                }
            }
            wire.pass(it);
        },
        red: &[("overlap", "fail")],
    },
    Mutant {
        name: "urgent data are dropped",
        server: Kind::Echo,
        change: |wire, it| {
            if !wire.is_to_open() || !it.has(bit::URG | bit::ACK) {
                wire.pass(it);
            }
        },
        red: &[("urg-echo", "fail")],
    },
    Mutant {
        name: "ACKs of three bytes come a second late",
        server: Kind::NeverCloses,
        change: |wire, it| {
            // Not all: a path on which every answer is late is one that may lose.
            let few = wire.flow.last.as_ref().is_some_and(|last| last.payload.len() == 3);
            if !wire.to_server && it.is_pure_ack() && few {
                wire.pass_after(it, Duration::from_secs(1));
            } else {
                wire.pass(it);
            }
        },
        red: &[("ack-delay", "fail")],
    },
];

/// A segment to a connection whose handshake is not done, but for its SYN.
fn is_to_half_open(wire: &Wire<'_>, it: &Segment) -> bool {
    let open = wire.flow.established;
    wire.to_server && wire.flow.syn_ack.is_some() && !open && !it.has(bit::SYN)
}

/// It acknowledges anything but the SYN-ACK.
fn is_wrong(wire: &Wire<'_>, it: &Segment) -> bool {
    it.has(bit::ACK) && wire.flow.syn_ack.as_ref().is_some_and(|known| it.ack != known.end())
}

fn is_near(wire: &Wire<'_>, it: &Segment) -> bool {
    distance(wire.flow.received, it.seq) < 100_000
}

/// It is in the window, but not at its edge.
fn is_ahead(wire: &Wire<'_>, it: &Segment) -> bool {
    (1..60_000).contains(&distance(wire.flow.received, it.seq))
}

/// A connection that the server forgot: whatever comes to it is reset.
fn forgotten(wire: &mut Wire<'_>, it: Segment) {
    if wire.to_server && wire.flow.memory == 1 && it.has(bit::ACK) && !is_wrong(wire, &it) {
        wire.answer(bit::RST, it.ack, 0);
    } else {
        wire.pass(it);
    }
}
