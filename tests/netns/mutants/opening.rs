//! What may be broken in how the server opens connections and refuses them.

use super::segment::{Segment, bit, kind};
use super::wire::Wire;
use super::{Kind, Mutant};

const ECN: u16 = bit::AE | bit::CWR | bit::ECE;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "refusals acknowledge one too many",
        server: Kind::Echo,
        change: |wire, mut it| {
            if !wire.to_server && !wire.flow.listening && it.has(bit::RST | bit::ACK) {
                it.ack = it.ack.wrapping_add(1);
            }
            wire.pass(it);
        },
        red: &[("closed-syn", "fail"), ("closed-syn-data", "fail"), ("closed-noack", "fail")],
    },
    Mutant {
        name: "refusals acknowledge nothing",
        server: Kind::ClosesFirst,
        change: |wire, mut it| {
            if !wire.to_server && !wire.flow.listening && it.has(bit::RST | bit::ACK) {
                it.flags &= !bit::ACK;
                it.ack = 0;
            }
            wire.pass(it);
        },
        red: &[("closed-syn", "fail"), ("closed-syn-data", "fail"), ("closed-noack", "warn")],
    },
    Mutant {
        name: "closed ports are silent to a SYN-ACK",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            if !wire.to_server || wire.flow.listening || !it.has(bit::SYN | bit::ACK) {
                wire.pass(it);
            }
        },
        red: &[("closed-ack", "fail")],
    },
    Mutant {
        name: "strays are reset with another number",
        server: Kind::ClosesFirst,
        change: |wire, mut it| {
            let bare = it.flags & (bit::RST | bit::ACK) == bit::RST;
            if !wire.to_server && wire.flow.listening && wire.flow.syn.is_none() && bare {
                it.seq = it.seq.wrapping_add(1);
            }
            wire.pass(it);
        },
        red: &[("listen-ack", "fail"), ("listen-synack", "fail"), ("listen-finack", "fail")],
    },
    Mutant {
        name: "resets are reset",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            if wire.to_server && it.has(bit::RST) && wire.flow.syn.is_none() {
                wire.answer(bit::RST, it.ack, 0);
            }
            wire.pass(it);
        },
        red: &[("closed-rst", "fail"), ("listen-rst", "fail")],
    },
    Mutant {
        name: "a FIN opens a connection",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            let bare = it.flags & (bit::FIN | bit::SYN | bit::RST | bit::ACK) == bit::FIN;
            if wire.to_server && wire.flow.listening && wire.flow.syn.is_none() && bare {
                wire.answer(bit::SYN | bit::ACK, 77, it.end());
            } else {
                wire.pass(it);
            }
        },
        red: &[("listen-noack", "fail")],
    },
    Mutant {
        name: "SYN-FIN: the FIN counts before the handshake is done",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            if wire.to_server && it.has(bit::SYN | bit::FIN) && wire.flow.listening {
                wire.answer(bit::SYN | bit::ACK, 77, it.end());
            } else {
                wire.pass(it);
            }
        },
        red: &[("listen-synfin", "fail")],
    },
    Mutant {
        name: "SYN with PSH and URG is dropped",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            if !it.has(bit::SYN | bit::PSH | bit::URG) {
                wire.pass(it);
            }
        },
        red: &[("listen-syn-psh-urg", "fail")],
    },
    Mutant {
        name: "PSH on the SYN-ACK",
        server: Kind::ClosesFirst,
        change: |wire, mut it| {
            if !wire.to_server && it.has(bit::SYN | bit::ACK) {
                it.flags |= bit::PSH;
            }
            wire.pass(it);
        },
        red: &[("synack-basic", "fail")],
    },
    Mutant {
        name: "no MSS on the SYN-ACK",
        server: Kind::Echo,
        change: |wire, mut it| {
            if is_syn_ack(wire, &it) {
                it.strip(kind::MSS);
            }
            wire.pass(it);
        },
        // It may be 536 that it means.
        red: &[("mss-announced", "tolerated")],
    },
    Mutant {
        name: "window scale that was not offered",
        server: Kind::Echo,
        change: |wire, mut it| {
            if is_syn_ack(wire, &it) && it.option(kind::SCALE).is_none() {
                it.options.push((kind::SCALE, vec![7]));
            }
            wire.pass(it);
        },
        red: &[("opt-not-offered", "fail"), ("opt-each", "fail")],
    },
    Mutant {
        name: "SACK-permitted that was not offered",
        server: Kind::ClosesFirst,
        change: |wire, mut it| {
            if is_syn_ack(wire, &it) && it.option(kind::SACK_PERMITTED).is_none() {
                it.options.push((kind::SACK_PERMITTED, Vec::new()));
            }
            wire.pass(it);
        },
        // No client minds.
        red: &[("opt-not-offered", "tolerated"), ("opt-each", "tolerated")],
    },
    Mutant {
        name: "the SYN-ACK echoes another timestamp",
        server: Kind::Echo,
        change: |wire, mut it| {
            if is_syn_ack(wire, &it)
                && let Some((value, echo)) = it.stamps()
            {
                it.set_stamps(value, echo.wrapping_add(1));
            }
            wire.pass(it);
        },
        red: &[("opt-each", "fail"), ("ts-echo", "fail")],
    },
    Mutant {
        name: "the SYN's timestamp is echoed for ever",
        server: Kind::Echo,
        change: |wire, mut it| {
            let first = wire.flow.syn.as_ref().and_then(Segment::stamps);
            if !wire.to_server
                && !it.has_any(bit::SYN)
                && let (Some((value, _)), Some((first, _))) = (it.stamps(), first)
            {
                it.set_stamps(value, first);
            }
            wire.pass(it);
        },
        red: &[("ts-echo", "fail")],
    },
    Mutant {
        name: "ACKs without timestamps",
        server: Kind::Echo,
        change: |wire, mut it| {
            if !wire.to_server && it.is_pure_ack() {
                it.strip(kind::STAMPS);
            }
            wire.pass(it);
        },
        red: &[("ts-present", "fail"), ("ts-echo", "fail")],
    },
    Mutant {
        name: "ECN bits are reflected",
        server: Kind::ClosesFirst,
        change: |wire, it| reflect(wire, it, ECN),
        // The bits of each offer that come back agree to it, or to none.
        red: &[("ecn-setup", "fail"), ("ecn-nonsetup", "fail"), ("accecn-setup", "fail")],
    },
    Mutant {
        name: "reserved bits are reflected",
        server: Kind::ClosesFirst,
        change: |wire, it| reflect(wire, it, bit::RESERVED),
        red: &[("reserved-bits", "fail")],
    },
    Mutant {
        name: "data with reserved bits are dropped",
        server: Kind::Echo,
        change: |wire, it| {
            if !wire.is_to_open() || !it.has_any(bit::RESERVED) {
                wire.pass(it);
            }
        },
        red: &[("reserved-bits", "fail"), ("est-opt-any", "fail")],
    },
    Mutant {
        name: "checksums are not looked at",
        server: Kind::Echo,
        change: |wire, it| wire.repair(&it),
        red: &[("closed-badcsum", "fail"), ("syn-badcsum", "fail"), ("fin-badcsum", "fail")],
    },
    Mutant {
        name: "SYN with data is reset",
        server: Kind::Echo,
        change: |wire, it| {
            if wire.to_server && wire.flow.listening && is_syn(&it) && !it.payload.is_empty() {
                wire.answer(bit::RST | bit::ACK, 0, it.end());
            } else {
                wire.pass(it);
            }
        },
        red: &[("syn-data", "fail")],
    },
    Mutant {
        name: "a SYN with MPTCP is dropped",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            if !it.has(bit::SYN) || it.option(kind::MPTCP).is_none() {
                wire.pass(it);
            }
        },
        red: &[("opt-unknown", "fail")],
    },
    Mutant {
        name: "a window shift of 15 is reset",
        server: Kind::Echo,
        change: |wire, it| {
            if wire.to_server && it.option(kind::SCALE).is_some_and(|shift| shift[0] > 14) {
                wire.answer(bit::RST | bit::ACK, 0, it.end());
            } else {
                wire.pass(it);
            }
        },
        red: &[("opt-ws15", "fail")],
    },
    Mutant {
        name: "our MSS is not honoured",
        server: Kind::Bulk,
        change: |wire, mut it| {
            if wire.to_server && is_syn(&it) {
                for (_, value) in it.options.iter_mut().filter(|(one, _)| *one == kind::MSS) {
                    *value = 1460u16.to_be_bytes().to_vec();
                }
            }
            wire.pass(it);
        },
        red: &[("mss-honoured", "fail")],
    },
    Mutant {
        name: "no MSS is taken for 1460",
        server: Kind::Bulk,
        change: |wire, mut it| {
            if wire.to_server && is_syn(&it) && it.option(kind::MSS).is_none() {
                it.options.push((kind::MSS, 1460u16.to_be_bytes().to_vec()));
            }
            wire.pass(it);
        },
        red: &[("mss-default", "fail")],
    },
    Mutant {
        name: "a window of zero is taken for a large one",
        server: Kind::Echo,
        change: |wire, mut it| {
            if wire.to_server && it.window == 0 && !it.has(bit::RST) {
                it.window = 65535;
            }
            wire.pass(it);
        },
        red: &[("syn-wnd0", "fail")],
    },
    Mutant {
        name: "the window shrinks",
        server: Kind::Echo,
        change: |wire, mut it| {
            if !wire.to_server && !it.has_any(bit::SYN | bit::RST) {
                it.window = 1;
            }
            wire.pass(it);
        },
        red: &[("ws-value", "warn")],
    },
    Mutant {
        name: "initial sequence numbers of constant steps",
        server: Kind::Echo,
        change: |wire, it| {
            if is_new(wire, &it) {
                *wire.memory = wire.memory.wrapping_add(64_000);
            }
            let next = *wire.memory;
            renumbered(wire, it, |_| next);
        },
        red: &[("isn-unpredictable", "warn")],
    },
    Mutant {
        name: "initial sequence numbers that go back",
        server: Kind::Echo,
        change: |wire, it| renumbered(wire, it, |number| !number),
        red: &[("isn-clock", "warn")],
    },
];

/// An ordinary SYN: neither ACK nor RST.
pub(super) fn is_syn(it: &Segment) -> bool {
    it.flags & (bit::SYN | bit::ACK | bit::RST) == bit::SYN
}

fn is_syn_ack(wire: &Wire<'_>, it: &Segment) -> bool {
    !wire.to_server && it.has(bit::SYN | bit::ACK)
}

/// The SYN-ACK has those of `bits` that the SYN had.
fn reflect(wire: &mut Wire<'_>, mut it: Segment, bits: u16) {
    if is_syn_ack(wire, &it)
        && let Some(syn) = &wire.flow.last
    {
        it.flags = it.flags & !bits | syn.flags & bits;
    }
    wire.pass(it);
}

/// The SYN-ACK of a connection that begins, not a repeated one.
fn is_new(wire: &Wire<'_>, it: &Segment) -> bool {
    let known = wire.flow.syn_ack.as_ref().map(|syn_ack| syn_ack.seq);
    is_syn_ack(wire, it) && known != Some(it.seq)
}

/// The server's connections begin at the number that `other` makes of theirs.
pub(super) fn renumbered(wire: &mut Wire<'_>, mut it: Segment, other: impl Fn(u32) -> u32) {
    if is_new(wire, &it) {
        wire.flow.memory = other(it.seq).wrapping_sub(it.seq);
    }
    if wire.to_server && it.has(bit::ACK) {
        it.ack = it.ack.wrapping_sub(wire.flow.memory);
    }
    // The RST that refuses a SYN has no number of its own.
    if !wire.to_server && it.seq != 0 {
        it.seq = it.seq.wrapping_add(wire.flow.memory);
    }
    wire.pass(it);
}
