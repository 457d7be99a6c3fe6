//! One connection of a driver.

use std::fmt;
use std::net::SocketAddr;

use super::gate::{Gate, Passage};
use super::timeline::Timeline;
use crate::event::{Event, Note, SegmentEvent};
use crate::net::Dir;
use crate::tcp::{
    Config, Connection, ConnectionEvent, GaveUp, PeerEvent, PeerView, State, TransmitKind, Verdict,
};
use crate::time::{Instant, Stamp};
use crate::wire::{Flags, IpHeader, Packet, Segment, SeqNum};

/// What a flow is to be.
pub struct FlowSpec {
    /// Our address.
    pub local: SocketAddr,
    /// The far end's address.
    pub remote: SocketAddr,
    /// The machine's configuration; its ports are overwritten with those of the addresses.
    pub config: Config,
    /// What is withheld.
    pub gate: Box<dyn Gate>,
    /// TTL or hop limit of our packets.
    pub ttl: u8,
    /// Type-of-service byte or traffic class of our packets.
    pub tos: u8,
    /// The first IPv4 identification; each packet takes the next. Never 0 on the wire, which would
    /// ask the kernel to choose one.
    pub ip_id: u16,
    /// The IPv6 flow label.
    pub flow_label: u32,
}

impl fmt::Debug for FlowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowSpec")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

/// How a flow opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// By a SYN of ours.
    Active,
    /// By the far end's SYN.
    Passive,
    /// Not at all: nobody listens, and the far end is told so.
    Refused,
}

/// How the machine's story ended, as far as it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ending {
    /// The handshake completed.
    pub established: bool,
    /// A RST answered our SYN.
    pub refused: bool,
    /// A RST ended the connection.
    pub reset: bool,
    /// A passive open went back to LISTEN: its handshake was reset.
    pub returned: bool,
    /// Retransmissions of this ran out.
    pub gave_up: Option<GaveUp>,
    /// The machine is CLOSED.
    pub closed: bool,
}

/// A connection: the machine, the view of its far end, the gate, and the moments that matter.
pub struct Flow {
    /// The machine.
    pub connection: Connection,
    /// What the far end's machine must be doing.
    pub peer: PeerView,
    /// What is withheld.
    pub gate: Box<dyn Gate>,
    /// When what happened.
    pub timeline: Timeline,
    /// How it ended so far.
    pub ending: Ending,
    /// All payload received, in order.
    pub received: Vec<u8>,
    /// Whether what arrives goes to `received` by itself. Where not, it waits in the machine, whose
    /// window closes, until the command takes it.
    pub reads: bool,
    /// Payload bytes received, wherever they are.
    pub bytes_received: u64,
    /// Payload bytes of ours that were acknowledged.
    pub bytes_acknowledged: u64,
    /// When payload last arrived.
    pub last_data_at: Option<Instant>,
    /// When the last segment arrived.
    heard_at: Option<Instant>,
    /// Nobody listens: what is rejected for that is what tells of the far end.
    refuses: bool,
    /// Our own kernel sent a RST in our name.
    pub interference: bool,
    /// Segments kept from the machine by the gate.
    held: Vec<Packet>,
    /// When it got the last of them.
    released_at: Instant,
    pub(super) wake_at: Option<Instant>,
    spec: Header,
}

/// The fixed part of our IP headers.
struct Header {
    local: SocketAddr,
    remote: SocketAddr,
    ttl: u8,
    tos: u8,
    ip_id: u16,
    flow_label: u32,
}

impl Flow {
    pub(super) fn open(spec: FlowSpec, opening: Opening, now: Instant) -> Self {
        let FlowSpec { local, remote, mut config, gate, ttl, tos, ip_id, flow_label } = spec;
        config.local_port = local.port();
        config.remote_port = remote.port();
        let connection = match opening {
            Opening::Active => Connection::connect(config, now),
            Opening::Passive => Connection::listen(config),
            Opening::Refused => Connection::closed(config),
        };
        let peer = PeerView::new(connection.end(), now);
        Self {
            connection,
            peer,
            gate,
            timeline: Timeline::default(),
            ending: Ending::default(),
            received: Vec::new(),
            reads: opening == Opening::Active,
            bytes_received: 0,
            bytes_acknowledged: 0,
            last_data_at: None,
            heard_at: None,
            refuses: opening == Opening::Refused,
            interference: false,
            held: Vec::new(),
            released_at: Instant::ZERO,
            wake_at: None,
            spec: Header { local, remote, ttl, tos, ip_id, flow_label },
        }
    }

    /// Our address.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.spec.local
    }

    /// The far end's address.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        self.spec.remote
    }

    /// TTL and type of service of our packets.
    pub(super) const fn ttl_and_tos(&self) -> (u8, u8) {
        (self.spec.ttl, self.spec.tos)
    }

    /// Segments that the gate keeps from the machine.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Replaces the gate, and gives the machine what the old one kept from it, as if it arrived at
    /// `at`.
    pub fn open_gate(&mut self, gate: Box<dyn Gate>, at: Instant) {
        self.gate = gate;
        for packet in std::mem::take(&mut self.held) {
            self.connection.handle_segment(&packet.segment, at);
            self.released_at = at;
        }
    }

    /// The header of the next packet.
    pub(super) fn next_ip_header(&mut self) -> IpHeader {
        let header = &mut self.spec;
        let v4 = header.local.is_ipv4();
        if v4 {
            header.ip_id = header.ip_id.wrapping_add(1).max(1);
        }
        IpHeader {
            src: header.local.ip(),
            dst: header.remote.ip(),
            ttl: header.ttl,
            tos: header.tos,
            id: if v4 { header.ip_id } else { 0 },
            dont_fragment: true,
            flow_label: if v4 { 0 } else { header.flow_label },
        }
    }

    pub(super) fn sent(&mut self, packet: &Packet, kind: TransmitKind, stamp: Stamp) {
        self.timeline.sent(packet, kind, stamp);
        self.peer.on_transmit(&packet.segment, stamp.at);
    }

    /// An intact segment from the far end: past the gate, into the machine.
    pub(super) fn receive(&mut self, packet: &Packet, stamp: Stamp) -> Option<Note> {
        let segment = &packet.segment;
        self.heard_at = Some(stamp.at);
        // What was held back has reached the machine before it, and later than it came.
        let at = stamp.at.max(self.released_at);
        let passage = self.gate.incoming(segment);
        if passage != Passage::Pass {
            // Its window of sequence numbers is the machine's to judge, later; that it came, and
            // what it tells of the far end, is known now.
            self.timeline.received(packet, stamp);
            self.peer.on_receive(segment, &Verdict::Accepted, stamp.at);
            match passage {
                Passage::Withhold => self.held.push(packet.clone()),
                Passage::WithoutFin => {
                    let flags = Flags::from_bits(segment.flags.bits() & !Flags::FIN.bits());
                    let rest = Segment { flags, ..segment.clone() };
                    self.connection.handle_segment(&rest, at);
                }
                Passage::Lose | Passage::Pass => {}
            }
            return Some(Note::Held);
        }
        let lingering = self.connection.state() == State::TimeWait;
        let verdict = match self.connection.handle_segment(segment, at) {
            Verdict::Rejected(_) if self.refuses => Verdict::Accepted,
            verdict => verdict,
        };
        self.peer.on_receive(segment, &verdict, stamp.at);
        match verdict {
            Verdict::Accepted => {
                self.timeline.received(packet, stamp);
                None
            }
            Verdict::OutOfOrder => {
                self.timeline.received(packet, stamp);
                Some(Note::OutOfOrder)
            }
            Verdict::Duplicate => {
                self.timeline.repeated(segment, stamp, lingering);
                Some(Note::Duplicate)
            }
            Verdict::Rejected(why) => {
                self.rejected(why.reason());
                Some(Note::Rejected(why.reason()))
            }
        }
    }

    pub(super) fn rejected(&mut self, reason: &'static str) {
        self.timeline.rejected(reason);
    }

    /// The next thing to report: the machine's own moves, then those of the far end.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        while let Some(event) = self.connection.poll_event() {
            match event {
                ConnectionEvent::Transition(transition) => {
                    self.ending.returned |= transition.to == State::Listen;
                    return Some(Event::Transition(transition));
                }
                ConnectionEvent::Established => self.ending.established = true,
                ConnectionEvent::Refused => self.ending.refused = true,
                ConnectionEvent::ResetByPeer => self.ending.reset = true,
                ConnectionEvent::GaveUp(what) => self.ending.gave_up = Some(what),
                ConnectionEvent::Closed => self.ending.closed = true,
                ConnectionEvent::DataReceived(more) => {
                    self.last_data_at = self.heard_at;
                    self.bytes_received += u64::from(more);
                    if self.reads {
                        self.received.append(&mut self.connection.take_received());
                    }
                }
                ConnectionEvent::DataAcknowledged(more) => {
                    self.bytes_acknowledged += u64::from(more);
                }
                _ => {}
            }
        }
        self.peer.poll().map(|event| match event {
            PeerEvent::Transition(transition) => Event::Transition(transition),
            PeerEvent::Confirmed { at, end, state, cause, known } => {
                Event::Confirmed { at, end, state, cause, known }
            }
            PeerEvent::Retracted { at, end, believed, state, cause } => {
                Event::Retracted { at, end, believed, state, cause }
            }
        })
    }

    /// The event of one of the flow's segments.
    pub(super) fn segment_event(
        &self,
        dir: Dir,
        stamp: Stamp,
        packet: Packet,
        note: Option<Note>,
        bytes: Option<Vec<u8>>,
    ) -> Event {
        // Who refuses has no number of its own: a RST without a connection has 0.
        let ours = if self.refuses { SeqNum(0) } else { self.connection.iss() };
        let refused = self.timeline.peer_syn.as_ref().filter(|_| self.refuses);
        let heard = refused.map(|(_, packet)| packet.segment.seq);
        let theirs = self.connection.irs().or(heard).unwrap_or(match dir {
            // Nothing of theirs was accepted yet: what is shown is counted from itself.
            Dir::Rx => packet.segment.seq,
            Dir::Tx if packet.segment.has(Flags::ACK) => packet.segment.ack,
            Dir::Tx => SeqNum::default(),
        });
        let (seq_origin, ack_origin) = match dir {
            Dir::Tx => (ours, theirs),
            Dir::Rx => (theirs, ours),
        };
        let event = SegmentEvent { dir, stamp, packet, seq_origin, ack_origin, note, bytes };
        Event::Segment(Box::new(event))
    }
}
