//! What may be broken in what the server sends again, and in how long it remembers: minutes each, so
//! run on request only.

use super::opening::is_syn;
use super::segment::{Segment, bit};
use super::wire::{Wire, is_before};
use super::{Kind, Mutant};
use crate::patience;
use std::time::Duration;

/// The checks that see it.
pub(crate) const CHECKS: &str =
    "synack-retx,fin-retx,fin-retx-dupack,finwait1-retx,data-retx,tw-length";

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "SYN-ACKs are never sent again",
        server: Kind::Echo,
        change: |wire, it| once(wire, it, bit::SYN, |_, _| ()),
        red: &[("synack-retx", "warn")],
    },
    Mutant {
        name: "SYN-ACKs are sent again without back-off",
        server: Kind::Echo,
        change: |wire, it| once(wire, it, bit::SYN, steadily),
        red: &[("synack-retx", "warn")],
    },
    Mutant {
        name: "its FIN is never sent again",
        server: Kind::Echo,
        change: |wire, it| once(wire, it, bit::FIN, |_, _| ()),
        red: &[("fin-retx", "fail"), ("fin-retx-dupack", "fail")],
    },
    Mutant {
        name: "its FIN is sent again without back-off",
        server: Kind::Echo,
        change: |wire, it| once(wire, it, bit::FIN, steadily),
        red: &[("fin-retx", "warn"), ("fin-retx-dupack", "warn")],
    },
    Mutant {
        name: "an old ACK is taken for that of its FIN",
        server: Kind::Echo,
        change: |wire, it| {
            let old = wire.flow.their_fin.is_some_and(|fin| !is_before(fin, it.ack));
            if wire.to_server && it.is_pure_ack() && old {
                wire.flow.memory = 1;
            }
            if wire.to_server || wire.flow.memory == 0 || !it.has(bit::FIN) {
                wire.pass(it);
            }
        },
        red: &[("fin-retx-dupack", "fail")],
    },
    Mutant {
        name: "TIME-WAIT lasts ten seconds",
        server: Kind::ClosesFirst,
        change: |wire, it| {
            let now = patience::now().map_or(0, |now| u32::try_from(now.as_secs()).unwrap_or(0));
            // Its ACK of our FIN is the last before the silence.
            if !wire.to_server && wire.flow.our_fin.is_some() && wire.flow.memory == 0 {
                wire.flow.memory = now;
            }
            let over = wire.flow.memory != 0 && now > wire.flow.memory + 10;
            if over && wire.to_server && it.has(bit::FIN | bit::ACK) {
                wire.answer(bit::RST, it.ack, 0);
            } else {
                wire.pass(it);
            }
        },
        red: &[("tw-length", "warn")],
    },
];

/// A segment of the server with this flag is passed once, and `more` done with it; those that the
/// kernel sends again are dropped, but for what answers our own repetition.
fn once(wire: &mut Wire<'_>, it: Segment, flag: u16, more: impl Fn(&mut Wire<'_>, &Segment)) {
    if wire.to_server && is_syn(&it) {
        wire.flow.memory = 0;
    }
    if wire.to_server || !it.has(flag) {
        return wire.pass(it);
    }
    if wire.flow.memory & u32::from(flag) == 0 {
        wire.flow.memory |= u32::from(flag);
        more(wire, &it);
        wire.pass(it);
    }
}

/// Again every two seconds.
fn steadily(wire: &mut Wire<'_>, it: &Segment) {
    for times in 1..60 {
        wire.pass_after(it.clone(), Duration::from_secs(2 * times));
    }
}
