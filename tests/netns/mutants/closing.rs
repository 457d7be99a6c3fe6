//! What may be broken in how the server closes connections, and lets them be aborted.

use super::opening::{is_syn, renumbered};
use super::segment::{Segment, bit};
use super::wire::{Wire, distance, is_before};
use super::{Kind, Mutant};

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "a FIN ahead of a hole is acknowledged",
        server: Kind::Echo,
        change: |wire, it| {
            if is_fin(wire, &it) && is_ahead(wire, &it) {
                wire.acknowledge(it.end());
            } else {
                wire.pass(it);
            }
        },
        red: &[("fin-hole", "fail"), ("fin-hole-data", "fail")],
    },
    Mutant {
        name: "a FIN ahead of a hole is forgotten",
        server: Kind::Echo,
        change: |wire, mut it| {
            if is_fin(wire, &it) && is_ahead(wire, &it) {
                it.flags &= !bit::FIN;
            }
            wire.pass(it);
        },
        // It has to be sent again, which costs time and no more.
        red: &[("fin-hole", "tolerated"), ("fin-hole-data", "tolerated")],
    },
    Mutant {
        name: "a FIN with data is forgotten",
        server: Kind::Echo,
        change: |wire, mut it| {
            if is_fin(wire, &it) && !it.payload.is_empty() {
                it.flags &= !bit::FIN;
            }
            wire.pass(it);
        },
        // All of these send data and FIN in one segment.
        red: &[("fin-payload", "fail"), ("fin-hole-data", "fail"), ("half-close-data", "fail")],
    },
    Mutant {
        name: "a bit of the data is flipped once our FIN is there",
        server: Kind::Echo,
        change: |wire, mut it| {
            if !wire.to_server
                && wire.flow.our_fin.is_some()
                && let Some(first) = it.payload.first_mut()
            {
                *first ^= 1;
            }
            wire.pass(it);
        },
        red: &[("fin-payload", "fail"), ("fin-hole", "fail"), ("fin-hole-data", "fail")],
    },
    Mutant {
        name: "a FIN out of the window resets",
        server: Kind::Echo,
        change: |wire, it| {
            if is_fin(wire, &it) && distance(wire.flow.received, it.seq) > 100_000 {
                wire.reset();
            } else {
                wire.pass(it);
            }
        },
        red: &[("fin-oow", "fail")],
    },
    Mutant {
        name: "a FIN that acknowledges what was never sent is taken",
        server: Kind::Echo,
        change: |wire, mut it| {
            if is_fin(wire, &it) && is_before(wire.flow.sent, it.ack) {
                it.ack = wire.flow.sent;
            }
            wire.pass(it);
        },
        red: &[("fin-badack", "fail")],
    },
    Mutant {
        name: "data behind our FIN are taken",
        server: Kind::NeverCloses,
        change: |wire, it| {
            let behind = wire.flow.our_fin.is_some_and(|fin| it.seq == fin.wrapping_add(1));
            if wire.is_to_open() && wire.flow.is_our_fin_taken() && behind && !it.payload.is_empty()
            {
                wire.acknowledge(it.end());
            } else {
                wire.pass(it);
            }
        },
        red: &[("data-after-fin", "fail")],
    },
    Mutant {
        name: "data in the place of our FIN are taken",
        server: Kind::NeverCloses,
        change: |wire, it| {
            if wire.is_to_open() && wire.flow.our_fin == Some(it.seq) && !it.payload.is_empty() {
                wire.acknowledge(it.end());
            } else {
                wire.pass(it);
            }
        },
        red: &[("data-over-fin", "fail")],
    },
    Mutant {
        name: "a repeated FIN is not acknowledged in CLOSE-WAIT",
        server: Kind::NeverCloses,
        change: |wire, it| {
            if !is_repeated_fin(wire, &it) {
                wire.pass(it);
            }
        },
        red: &[("fin-retx-closewait", "fail")],
    },
    Mutant {
        name: "a repeated FIN is not acknowledged in TIME-WAIT",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            if !wire.flow.is_time_wait() || !is_repeated_fin(wire, &it) {
                wire.pass(it);
            }
        },
        // Wherever our FIN is repeated to see whether it is still TIME-WAIT.
        red: &[
            ("tw-reack", "fail"),
            ("tw-syn-lower", "fail"),
            ("simclose", "fail"),
            ("simclose-unacked-data", "fail"),
        ],
    },
    Mutant {
        name: "no TIME-WAIT: a repeated FIN is reset",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            if wire.flow.is_time_wait() && is_repeated_fin(wire, &it) {
                wire.answer(bit::RST, it.ack, 0);
            } else {
                wire.pass(it);
            }
        },
        red: &[
            ("tw-reack", "fail"),
            ("tw-syn-lower", "inconclusive"),
            ("simclose", "fail"),
            ("simclose-unacked-data", "fail"),
        ],
    },
    Mutant {
        name: "data and FIN after half a close are reset",
        server: Kind::AnswersAfterEof,
        change: |wire, mut it| {
            let after = wire.flow.our_fin.is_some() && wire.flow.memory == 1;
            if is_fin(wire, &it) {
                wire.flow.memory = u32::from(!it.payload.is_empty());
            }
            if !wire.to_server && after && !it.payload.is_empty() {
                it.payload.clear();
                it.flags = bit::RST | bit::ACK;
            }
            wire.pass(it);
        },
        // Only where the FIN comes with data: what never answers after its end of file is not seen to.
        red: &[("half-close-data", "fail")],
    },
    Mutant {
        name: "its FIN is never sent again",
        server: Kind::ClosesFirst,
        change: |wire, mut it| {
            let again =
                !wire.to_server && it.has(bit::FIN) && wire.flow.their_fin == Some(it.fin_at());
            if again && it.payload.is_empty() {
                return;
            }
            if again {
                it.flags &= !bit::FIN;
            }
            wire.pass(it);
        },
        red: &[("simclose", "fail"), ("simclose-unacked-data", "fail")],
    },
    Mutant {
        name: "ACKs of its FIN are not taken",
        server: Kind::ClosesFirst,
        change: |wire, mut it| {
            let fin = wire.flow.their_fin;
            if wire.to_server && it.is_pure_ack() && fin.is_some_and(|fin| is_before(fin, it.ack)) {
                it.ack = it.ack.wrapping_sub(1);
            }
            wire.pass(it);
        },
        red: &[("server-fin", "fail"), ("simclose", "fail"), ("simclose-unacked-data", "fail")],
    },
    Mutant {
        name: "its FIN is never sent into a window that was closed",
        server: Kind::Echo,
        change: |wire, it| {
            if wire.to_server && it.has(bit::FIN) && it.window == 0 {
                wire.flow.memory = 1;
            }
            if wire.to_server || wire.flow.memory == 0 || !it.has(bit::FIN) {
                wire.pass(it);
            }
        },
        red: &[("zwin-fin", "fail")],
    },
    Mutant {
        name: "data after its FIN meet silence",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            let after = wire.flow.their_fin.is_some()
                && wire.flow.last.as_ref().is_some_and(|last| !last.payload.is_empty());
            if wire.to_server || !it.has(bit::RST) || !after {
                wire.pass(it);
            }
        },
        red: &[("finwait-data", "warn")],
    },
    Mutant {
        name: "a far SYN resets what is being closed",
        server: Kind::Echo,
        change: |wire, it| far_syn_resets(wire, it, |wire| wire.flow.our_fin.is_some()),
        red: &[("syn-in-lastack", "fail")],
    },
    Mutant {
        name: "a far SYN resets FIN-WAIT-2",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            far_syn_resets(wire, it, |wire| {
                wire.flow.their_fin.is_some() && wire.flow.our_fin.is_none()
            });
        },
        red: &[("syn-in-finwait2", "fail")],
    },
    Mutant {
        name: "TIME-WAIT takes a SYN with a lower number",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            let lower = is_syn(&it) && is_before(it.seq, wire.flow.received);
            let newer = it.stamps() > wire.flow.last.as_ref().and_then(Segment::stamps);
            if wire.to_server && wire.flow.is_time_wait() && lower && !newer {
                let next = wire.flow.sent.wrapping_add(1_000_000);
                wire.answer(bit::SYN | bit::ACK, next, it.end());
            } else {
                wire.pass(it);
            }
        },
        red: &[("tw-syn-lower", "fail")],
    },
    Mutant {
        name: "TIME-WAIT takes a SYN with an older timestamp",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            let before = wire.flow.last.as_ref().and_then(Segment::stamps);
            let older = it.stamps().zip(before).is_some_and(|(now, then)| is_before(now.0, then.0));
            if wire.to_server && wire.flow.is_time_wait() && is_syn(&it) && older {
                let next = wire.flow.sent.wrapping_add(1_000_000);
                wire.answer(bit::SYN | bit::ACK, next, it.end());
            } else {
                wire.pass(it);
            }
        },
        red: &[("tw-syn-ts-older", "warn")],
    },
    Mutant {
        name: "a connection out of TIME-WAIT begins below the old one",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            let end = wire.flow.sent;
            if wire.flow.is_time_wait() || wire.flow.memory != 0 {
                renumbered(wire, it, |_| end.wrapping_sub(100_000));
            } else {
                wire.pass(it);
            }
        },
        red: &[("tw-syn-higher", "fail")],
    },
    Mutant {
        name: "TIME-WAIT is silent to old data",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            if !wire.to_server || !wire.flow.is_time_wait() || it.payload.is_empty() {
                wire.pass(it);
            }
        },
        red: &[("tw-old", "fail")],
    },
    Mutant {
        name: "an exact RST is ignored",
        server: Kind::Echo,
        change: |wire, it| {
            let exact = wire.is_to_open() && it.has(bit::RST) && it.seq == wire.flow.received;
            if !exact {
                wire.pass(it);
            }
        },
        red: &[("rst-in-close-states", "fail"), ("est-rst-exact", "fail"), ("paws-rst", "warn")],
    },
    Mutant {
        name: "a RST in the window is obeyed",
        server: Kind::Echo,
        change: |wire, mut it| {
            if is_inexact_rst(wire, &it) {
                it.seq = wire.flow.received;
            }
            wire.pass(it);
        },
        red: &[("rst-in-close-states", "warn"), ("est-rst-inwindow", "warn")],
    },
    Mutant {
        name: "a RST in the window is answered by RST",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            if is_inexact_rst(wire, &it) {
                wire.reset();
            } else {
                wire.pass(it);
            }
        },
        red: &[("rst-in-close-states", "fail")],
    },
];

/// A FIN to an open connection.
fn is_fin(wire: &Wire<'_>, it: &Segment) -> bool {
    wire.is_to_open() && it.has(bit::FIN | bit::ACK) && !it.has_any(bit::SYN | bit::RST)
}

/// It leaves a hole, and is in the window.
fn is_ahead(wire: &Wire<'_>, it: &Segment) -> bool {
    (1..60_000).contains(&distance(wire.flow.received, it.seq))
}

/// Our FIN again, although it has been acknowledged.
fn is_repeated_fin(wire: &Wire<'_>, it: &Segment) -> bool {
    is_fin(wire, it) && wire.flow.is_our_fin_taken() && wire.flow.our_fin == Some(it.fin_at())
}

/// A RST in the window, but not at its edge.
fn is_inexact_rst(wire: &Wire<'_>, it: &Segment) -> bool {
    wire.is_to_open() && it.has(bit::RST) && is_ahead(wire, it)
}

fn far_syn_resets(wire: &mut Wire<'_>, it: Segment, when: impl Fn(&Wire<'_>) -> bool) {
    if wire.is_to_open() && is_syn(&it) && !wire.flow.is_time_wait() && when(wire) {
        wire.reset();
    } else {
        wire.pass(it);
    }
}
