//! SYN cookies: a handshake that is kept by nobody while the table is full (RFC 4987 §3.6).
//!
//! Our initial sequence number is the memory: five bits of time, three of MSS, and a keyed hash over
//! both ends, the client's number and these eight bits. Window scale, SACK and timestamps are lost.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;

use crate::time::Instant;
use crate::wire::{Flags, Segment, SeqNum, TcpOption};

/// The MSS values that a cookie can remember: what a client offers is rounded down to one of them.
const MSS: [u16; 8] = [216, 536, 1220, 1360, 1400, 1440, 1460, 8960];
/// Seconds of a unit of time; a cookie is good for this unit and the next.
const UNIT: u64 = 64;
const TIME_BITS: u32 = 5;
const HASH_BITS: u32 = 24;

/// Bakes cookies and knows its own.
#[derive(Clone, Debug)]
pub(super) struct Cookies {
    key: RandomState,
    /// When the last one was baked: where none can still be on its way, none is believed.
    last: Option<Instant>,
}

impl Cookies {
    pub(super) fn new() -> Self {
        Self { key: RandomState::new(), last: None }
    }

    /// The SYN-ACK that answers `syn`, with the cookie as its number.
    pub(super) fn bake(
        &mut self,
        (client, server): (SocketAddr, SocketAddr),
        syn: &Segment,
        mss: u16,
        now: Instant,
    ) -> Segment {
        self.last = Some(now);
        let offered = syn.mss().unwrap_or(536);
        let index = MSS.iter().rposition(|known| *known <= offered).unwrap_or(0);
        let seq = SeqNum(self.cookie((client, server), syn.seq, unit(now), index as u32));
        Segment {
            src_port: server.port(),
            dst_port: client.port(),
            seq,
            ack: syn.seq + 1,
            flags: Flags::SYN | Flags::ACK,
            window: u16::MAX,
            options: vec![TcpOption::Mss(mss)],
            ..Segment::default()
        }
    }

    /// The SYN of which `ack` brings the cookie back, as far as it was remembered, and our initial
    /// number.
    pub(super) fn redeem(
        &self,
        ends: (SocketAddr, SocketAddr),
        ack: &Segment,
        now: Instant,
    ) -> Option<(Segment, SeqNum)> {
        let fresh = self.last.is_some_and(|last| now.since(last).as_secs() < 2 * UNIT);
        let plain = ack.has(Flags::ACK) && !ack.flags.intersects(Flags::SYN | Flags::RST);
        if !fresh || !plain {
            return None;
        }
        let (iss, irs) = (ack.ack - 1, ack.seq - 1);
        let index = iss.0 >> HASH_BITS & 7;
        let now = unit(now);
        let ours = |unit: u64| self.cookie(ends, irs, unit, index) == iss.0;
        (ours(now) || now.checked_sub(1).is_some_and(ours)).then(|| {
            let mss = MSS.get(index as usize).copied().unwrap_or(536);
            let syn = Segment {
                src_port: ack.src_port,
                dst_port: ack.dst_port,
                seq: irs,
                ack: SeqNum::default(),
                flags: Flags::SYN,
                window: ack.window,
                options: vec![TcpOption::Mss(mss)],
                ..Segment::default()
            };
            (syn, iss)
        })
    }

    fn cookie(&self, ends: (SocketAddr, SocketAddr), irs: SeqNum, unit: u64, mss: u32) -> u32 {
        let time = (unit as u32) & ((1 << TIME_BITS) - 1);
        let head = time << 3 | mss;
        let hash = self.key.hash_one((ends, irs.0, unit, mss)) as u32;
        head << HASH_BITS | hash & ((1 << HASH_BITS) - 1)
    }
}

const fn unit(now: Instant) -> u64 {
    now.as_nanos() / 1_000_000_000 / UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (SocketAddr, SocketAddr) {
        (([192, 0, 2, 1], 4000).into(), ([192, 0, 2, 2], 80).into())
    }

    fn syn() -> Segment {
        let options = vec![TcpOption::Mss(1450)];
        Segment {
            src_port: 4000,
            dst_port: 80,
            seq: SeqNum(77),
            flags: Flags::SYN,
            options,
            ..Segment::default()
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn answer(syn_ack: &Segment) -> Segment {
        let (seq, ack) = (syn_ack.ack, syn_ack.seq + 1);
        Segment {
            src_port: 4000,
            dst_port: 80,
            seq,
            ack,
            flags: Flags::ACK,
            window: 500,
            ..Segment::default()
        }
    }

    #[test]
    fn a_cookie_comes_back_as_the_syn_that_it_was_baked_of() {
        let mut cookies = Cookies::new();
        let syn_ack = cookies.bake(ends(), &syn(), 1460, at(1000));
        let (again, iss) = cookies.redeem(ends(), &answer(&syn_ack), at(1001)).expect("ours");
        assert_eq!((again.seq, again.mss(), iss), (SeqNum(77), Some(1440), syn_ack.seq));
        assert!(cookies.redeem(ends(), &answer(&syn_ack), at(1060)).is_some(), "a unit later");
        assert!(cookies.redeem(ends(), &answer(&syn_ack), at(1200)).is_none(), "too old");
    }

    #[test]
    fn what_was_not_baked_here_is_not_believed() {
        let mut cookies = Cookies::new();
        let ack = answer(&cookies.clone().bake(ends(), &syn(), 1460, at(1000)));
        assert!(cookies.redeem(ends(), &ack, at(1000)).is_none(), "none is on its way");
        let syn_ack = cookies.bake(ends(), &syn(), 1460, at(1000));
        let good = answer(&syn_ack);
        let forged = (0..2000).filter(|guess| {
            let ack = Segment { ack: good.ack + (1 + guess), ..good.clone() };
            cookies.redeem(ends(), &ack, at(1000)).is_some()
        });
        assert!(forged.count() < 3, "one in sixteen million is right");
        let (client, server) = ends();
        let other = SocketAddr::new(client.ip(), 4001);
        assert!(cookies.redeem((other, server), &good, at(1000)).is_none());
        let with_syn = Segment { flags: Flags::SYN | Flags::ACK, ..good };
        assert!(cookies.redeem(ends(), &with_syn, at(1000)).is_none());
    }
}
