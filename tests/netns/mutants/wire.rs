//! The cable on which one thing is broken: what it knows of each connection, and what a change may do
//! with a segment.

use super::segment::{Segment, bit};
use crate::relay::{Carried, Exchange};
use std::collections::HashMap;
use std::time::Duration;

/// What has passed on one pair of ports before the segment at hand.
#[derive(Clone, Default, Debug)]
pub(crate) struct Flow {
    /// It is that of the service, not of a closed port.
    pub(crate) listening: bool,
    /// The client's SYN, of the connection that the server answered last.
    pub(crate) syn: Option<Segment>,
    /// The server's SYN-ACK.
    pub(crate) syn_ack: Option<Segment>,
    /// The client has acknowledged it.
    pub(crate) established: bool,
    /// The greatest number that the server has acknowledged.
    pub(crate) received: u32,
    /// The number behind the last that the server has sent.
    pub(crate) sent: u32,
    /// The greatest number that the client has acknowledged.
    pub(crate) acked: u32,
    /// The numbers of both FINs.
    pub(crate) our_fin: Option<u32>,
    pub(crate) their_fin: Option<u32>,
    /// The client's last segment.
    pub(crate) last: Option<Segment>,
    /// For the change itself; outlives the connection.
    pub(crate) memory: u32,
}

impl Flow {
    /// The server has acknowledged our FIN.
    pub(crate) fn is_our_fin_taken(&self) -> bool {
        self.our_fin.is_some_and(|fin| is_before(fin, self.received))
    }

    /// Both FINs are acknowledged, and the server's came first.
    pub(crate) fn is_time_wait(&self) -> bool {
        let theirs = self.their_fin.is_some_and(|fin| is_before(fin, self.acked));
        theirs && self.is_our_fin_taken()
    }

    fn note(&mut self, to_server: bool, segment: &Segment) {
        if to_server { self.note_ours(segment) } else { self.note_theirs(segment) }
    }

    fn note_ours(&mut self, segment: &Segment) {
        let opens = segment.flags & (bit::SYN | bit::ACK | bit::RST) == bit::SYN;
        if opens && self.syn_ack.is_none() {
            self.syn = Some(segment.clone());
        }
        if let Some(syn_ack) = &self.syn_ack
            && segment.has(bit::ACK)
            && !segment.has_any(bit::SYN | bit::RST)
        {
            self.established |= segment.ack == syn_ack.end();
            let is_possible = !is_before(self.sent, segment.ack);
            if is_possible && is_before(self.acked, segment.ack) {
                self.acked = segment.ack;
            }
        }
        if segment.has(bit::FIN | bit::ACK) && !segment.has(bit::SYN) {
            self.our_fin = Some(segment.fin_at());
        }
        self.last = Some(segment.clone());
    }

    fn note_theirs(&mut self, segment: &Segment) {
        if segment.has(bit::SYN | bit::ACK) {
            let is_known = self.syn_ack.as_ref().is_some_and(|known| known.seq == segment.seq);
            if !is_known {
                let syn = self.last.clone().filter(|last| last.has(bit::SYN));
                *self = Self {
                    listening: self.listening,
                    memory: self.memory,
                    syn: syn.clone().or_else(|| self.syn.clone()),
                    syn_ack: Some(segment.clone()),
                    received: segment.ack,
                    sent: segment.end(),
                    acked: segment.seq,
                    last: syn,
                    ..Self::default()
                };
            }
            return;
        }
        if segment.has(bit::RST) || self.syn_ack.is_none() {
            return;
        }
        if is_before(self.received, segment.ack) {
            self.received = segment.ack;
        }
        if is_before(self.sent, segment.end()) {
            self.sent = segment.end();
        }
        if segment.has(bit::FIN) {
            self.their_fin = Some(segment.fin_at());
        }
    }
}

/// Comparison of sequence numbers.
pub(crate) const fn is_before(one: u32, other: u32) -> bool {
    distance(one, other) > 0
}

/// How far `to` is ahead of `from`.
pub(crate) const fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// A segment at the place where it can be changed. What is not passed on is lost.
pub(crate) struct Wire<'a> {
    pub(crate) to_server: bool,
    pub(crate) flow: &'a mut Flow,
    /// For the change itself, the same for all connections.
    pub(crate) memory: &'a mut u32,
    raw: &'a [u8],
    was: Segment,
    out: Vec<Carried>,
}

/// What one mutant does with a segment.
pub(crate) type Change = fn(&mut Wire<'_>, Segment);

impl Wire<'_> {
    /// Carries the segment on. Where nothing is changed, or its checksum was wrong, as it came.
    pub(crate) fn pass(&mut self, segment: Segment) {
        self.pass_after(segment, Duration::ZERO);
    }

    /// The same, later.
    pub(crate) fn pass_after(&mut self, segment: Segment, after: Duration) {
        let as_it_came = segment == self.was || !self.was.intact;
        let packet = if as_it_came { self.raw.to_vec() } else { segment.packet() };
        self.out.push(Carried { after, to_server: self.to_server, packet });
    }

    /// Carries the segment on with a right checksum, whatever it had.
    pub(crate) fn repair(&mut self, segment: &Segment) {
        let packet = segment.packet();
        self.out.push(Carried { after: Duration::ZERO, to_server: self.to_server, packet });
    }

    /// Invents an answer to the segment at hand.
    pub(crate) fn answer(&mut self, flags: u16, seq: u32, ack: u32) {
        let packet = self.was.answered(flags, seq, ack).packet();
        self.out.push(Carried { after: Duration::ZERO, to_server: !self.to_server, packet });
    }

    /// Invents the ACK that the server would send for what came up to `ack`.
    pub(crate) fn acknowledge(&mut self, ack: u32) {
        self.answer(bit::ACK, self.flow.sent, ack);
    }

    /// Invents the server's RST.
    pub(crate) fn reset(&mut self) {
        self.answer(bit::RST | bit::ACK, self.flow.sent, self.flow.received);
    }

    /// Whether the segment goes to a connection of the service that the client has opened.
    pub(crate) fn is_to_open(&self) -> bool {
        self.to_server && self.flow.established
    }
}

/// A relay's work with this change.
pub(crate) fn broken(service: u16, change: Change) -> Exchange {
    let mut flows: HashMap<(u16, u16), Flow> = HashMap::new();
    let mut memory = 0;
    Box::new(move |to_server, packet| {
        let Some(segment) = Segment::read(packet) else {
            return vec![Carried { after: Duration::ZERO, to_server, packet: packet.to_vec() }];
        };
        let (ours, theirs) =
            if to_server { (segment.from, segment.to) } else { (segment.to, segment.from) };
        let flow = flows.entry((ours, theirs)).or_default();
        flow.listening = theirs == service;
        let was = segment.clone();
        let mut wire =
            Wire { to_server, flow, memory: &mut memory, raw: packet, was, out: Vec::new() };
        change(&mut wire, segment.clone());
        let out = wire.out;
        if segment.intact {
            flow.note(to_server, &segment);
        }
        out
    })
}
