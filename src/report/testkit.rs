//! Event streams for tests, told as a story: who sent what, when, and what came of it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::event::{
    Answerer, Event, Exchange, HandshakeReport, Measured, Note, Notice, Offer, Outcome, Run,
    SegmentEvent, Severity, Summary, Traffic,
};
use crate::net::{Dir, GuardKind};
use crate::tcp::state::{Cause, End, Known, State, Transition};
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{
    Flags, IcmpError, IcmpKind, IpHeader, Packet, Quote, Segment, SeqNum, TcpOption,
};

pub(super) const ACK: Flags = Flags::ACK;
pub(super) const SYN: Flags = Flags::SYN;
pub(super) const RST: Flags = Flags::RST;
pub(super) const FIN_ACK: Flags = Flags::FIN.union(Flags::ACK);
pub(super) const SYN_ACK: Flags = Flags::SYN.union(Flags::ACK);
pub(super) const RST_ACK: Flags = Flags::RST.union(Flags::ACK);
pub(super) const PSH_ACK: Flags = Flags::PSH.union(Flags::ACK);

/// The first moment of every story: not zero, so that a reporter which forgets to subtract it shows.
const START: u64 = 7_000_000_000;

/// Our address in stories whose target has an IPv6 one: 2001:db8::1.
const OUR_IPV6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// One flow's events.
pub(super) struct Story {
    command: &'static str,
    pub(super) name: String,
    pub(super) target: SocketAddr,
    source: SocketAddr,
    client_isn: SeqNum,
    server_isn: SeqNum,
    now: Instant,
    pub(super) events: Vec<Event>,
}

impl Story {
    pub(super) fn new(command: &'static str) -> Self {
        Self {
            command,
            name: "example.org:443".to_owned(),
            target: "192.0.2.7:443".parse().unwrap(),
            source: "192.0.2.1:40312".parse().unwrap(),
            client_isn: SeqNum(3_000_000_000),
            // Relative numbers must survive the wrap.
            server_isn: SeqNum(u32::MAX),
            now: Instant::from_nanos(START),
            events: Vec::new(),
        }
    }

    pub(super) fn run(&self) -> Event {
        Event::Run(Run {
            command: self.command,
            name: self.name.clone(),
            target: self.target,
            source: if self.target.is_ipv6() {
                SocketAddr::new(OUR_IPV6, self.source.port())
            } else {
                self.source
            },
            interface: "eth0".to_owned(),
            clock: Clock::Kernel,
            guard: GuardKind::Filter,
            end: End::Client,
            at: Instant::from_nanos(START),
            unix_ns: Some(1_700_000_000_123_456_789),
        })
    }

    pub(super) fn begin(mut self) -> Self {
        self.events.push(self.run());
        self
    }

    /// The moment of what follows, in microseconds from the start.
    pub(super) fn at(mut self, micros: u64) -> Self {
        self.now = Instant::from_nanos(START) + Duration::from_micros(micros);
        self
    }

    pub(super) fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    fn stamp(&self) -> Stamp {
        Stamp { at: self.now, clock: Clock::Kernel }
    }

    fn header(&self, dir: Dir) -> IpHeader {
        let them = self.target.ip();
        let us = if them.is_ipv6() { OUR_IPV6 } else { self.source.ip() };
        let (src, dst, ttl) = match dir {
            Dir::Tx => (us, them, 64),
            Dir::Rx => (them, us, 52),
        };
        IpHeader { src, dst, ttl, tos: 0, id: 4711, dont_fragment: true, flow_label: 0 }
    }

    /// A segment; sequence and acknowledgment number count from the initial ones.
    pub(super) fn segment(
        self,
        dir: Dir,
        flags: Flags,
        (seq, ack): (u32, u32),
        edit: impl FnOnce(&mut SegmentEvent),
    ) -> Self {
        let (seq_origin, ack_origin) = match dir {
            Dir::Tx => (self.client_isn, self.server_isn),
            Dir::Rx => (self.server_isn, self.client_isn),
        };
        let options = if flags.contains(SYN) { linux_options(dir) } else { Vec::new() };
        let segment = Segment {
            src_port: self.source.port(),
            dst_port: self.target.port(),
            seq: seq_origin + seq,
            ack: if flags.contains(ACK) { ack_origin + ack } else { SeqNum(0) },
            flags,
            window: if flags.contains(SYN) { 64_240 } else { 502 },
            options,
            ..Segment::default()
        };
        let packet = Packet { ip: self.header(dir), segment };
        let mut event = SegmentEvent {
            dir,
            stamp: self.stamp(),
            packet,
            seq_origin,
            ack_origin: if flags.contains(ACK) { ack_origin } else { SeqNum(0) },
            note: None,
            bytes: None,
        };
        edit(&mut event);
        event.bytes = event.packet.emit().ok();
        self.event(Event::Segment(Box::new(event)))
    }

    pub(super) fn tx(self, flags: Flags, numbers: (u32, u32)) -> Self {
        self.segment(Dir::Tx, flags, numbers, |_| ())
    }

    pub(super) fn rx(self, flags: Flags, numbers: (u32, u32)) -> Self {
        self.segment(Dir::Rx, flags, numbers, |_| ())
    }

    pub(super) fn noted(self, dir: Dir, flags: Flags, numbers: (u32, u32), note: Note) -> Self {
        self.segment(dir, flags, numbers, |event| event.note = Some(note))
    }

    pub(super) fn data(self, dir: Dir, numbers: (u32, u32), payload: &[u8]) -> Self {
        self.segment(dir, PSH_ACK, numbers, |event| {
            event.packet.segment.payload = payload.to_vec();
        })
    }

    fn transition(self, end: End, moved: (State, State), cause: Cause, known: Known) -> Self {
        let (from, to) = moved;
        let at = match known {
            Known::Own | Known::Assumed => self.now,
            Known::Implied => self.now + Duration::from_micros(5551),
            Known::Proved => self.now.saturating_sub(Duration::from_micros(5551)),
        };
        self.event(Event::Transition(Transition { at, end, from, to, cause, known }))
    }

    pub(super) fn client(self, from: State, to: State, cause: Cause) -> Self {
        self.transition(End::Client, (from, to), cause, Known::Own)
    }

    pub(super) fn server(self, from: State, to: State, cause: Cause, known: Known) -> Self {
        self.transition(End::Server, (from, to), cause, known)
    }

    pub(super) fn confirmed(self, state: State, cause: Cause) -> Self {
        let at = self.now;
        let end = End::Server;
        self.event(Event::Confirmed { at, end, state, cause, known: Known::Proved })
    }

    pub(super) fn retracted(self, believed: State, state: State, cause: Cause) -> Self {
        let at = self.now;
        self.event(Event::Retracted { at, end: End::Server, believed, state, cause })
    }

    pub(super) fn icmp(
        self,
        from: &str,
        code: u8,
        kind: IcmpKind,
        rejected: Option<&'static str>,
    ) -> Self {
        let error = self.icmp_error(from, code, kind);
        let at = self.stamp();
        // As long as such a packet is; what is in it does not matter here.
        self.event(Event::Icmp { at, error, rejected, bytes: vec![0x45; 57] })
    }

    pub(super) fn icmp_error(&self, from: &str, code: u8, kind: IcmpKind) -> IcmpError {
        let quote = Quote {
            src: self.source.ip(),
            dst: self.target.ip(),
            src_port: self.source.port(),
            dst_port: self.target.port(),
            seq: self.client_isn,
        };
        let from: IpAddr = from.parse().unwrap();
        IcmpError { from, ttl: 251, icmp_type: 3, code, kind, quote }
    }

    pub(super) fn notice(self, severity: Severity, code: &'static str, text: &str) -> Self {
        let at = self.now;
        self.event(Event::Notice(Notice { at, severity, code, text: text.to_owned() }))
    }

    /// The end, with what the commands would have counted.
    pub(super) fn summary(
        self,
        outcome: Outcome,
        as_expected: bool,
        edit: impl FnOnce(&mut Summary),
    ) -> Self {
        let mut traffic = Traffic::default();
        for event in &self.events {
            let Event::Segment(segment) = event else { continue };
            match segment.dir {
                Dir::Tx => traffic.sent += 1,
                Dir::Rx => traffic.received += 1,
            }
            traffic.retransmitted +=
                u64::from(matches!(segment.note, Some(Note::Retransmission(_))));
            traffic.rejected += u64::from(matches!(segment.note, Some(Note::Rejected(_))));
        }
        let elapsed = self.now.since(Instant::from_nanos(START));
        let mut summary = Summary {
            outcome,
            as_expected,
            interrupted: false,
            elapsed,
            traffic,
            handshake: None,
            close: None,
            probes: Vec::new(),
            listen: None,
            requests: None,
        };
        edit(&mut summary);
        self.event(Event::Summary(Box::new(summary)))
    }

    /// Up to our final ACK, which implies the server's ESTABLISHED.
    pub(super) fn open(self) -> Self {
        use State::{Closed, Established, Listen, SynReceived, SynSent};
        self.begin()
            .server(Closed, Listen, Cause::Start, Known::Assumed)
            .at(0)
            .client(Closed, SynSent, Cause::ActiveOpen)
            .at(61)
            .tx(SYN, (0, 0))
            .at(11_163)
            .rx(SYN_ACK, (0, 1))
            .server(Listen, SynReceived, Cause::Received(SYN), Known::Proved)
            .client(SynSent, Established, Cause::Received(SYN_ACK))
            .at(11_190)
            .tx(ACK, (1, 1))
            .server(SynReceived, Established, Cause::Received(ACK), Known::Implied)
    }
}

fn linux_options(dir: Dir) -> Vec<TcpOption> {
    let (value, echo) = match dir {
        Dir::Tx => (4_053_741_103, 0),
        Dir::Rx => (918_273_645, 4_053_741_103),
    };
    vec![
        TcpOption::Mss(if dir == Dir::Tx { 1460 } else { 1400 }),
        TcpOption::SackPermitted,
        TcpOption::Timestamps { value, echo },
        TcpOption::Nop,
        TcpOption::WindowScale(if dir == Dir::Tx { 7 } else { 9 }),
    ]
}

/// `micros` by the kernel's clock.
pub(super) fn kernel(micros: u64) -> Measured {
    Measured { value: Duration::from_micros(micros), clock: Clock::Kernel }
}

/// What a Linux client offers.
pub(super) fn offered() -> Offer {
    Offer {
        window: 64_240,
        mss: Some(1460),
        window_scale: Some(7),
        sack: true,
        timestamps: Some(4_053_741_103),
        ecn: false,
        fast_open: None,
        ttl: 64,
    }
}

/// What the server of these stories answers.
pub(super) fn granted() -> Offer {
    Offer { mss: Some(1400), window_scale: Some(9), ttl: 52, ..offered() }
}

/// The report of [`Story::open`].
pub(super) fn handshake() -> HandshakeReport {
    HandshakeReport {
        rtt: Some(kernel(11_102)),
        rtt_absent: None,
        attempts: 1,
        offered: offered(),
        granted: Some(granted()),
        answered_by: Some(Answerer::new("192.0.2.7".parse().unwrap(), 52)),
        icmp: None,
        exchange: None,
    }
}

/// Eighteen bytes sent and acknowledged, and what came back.
pub(super) fn exchange(reply: &[u8]) -> Exchange {
    Exchange {
        sent: 18,
        acknowledged: 18,
        ack_delay: Some(kernel(11_000)),
        received: reply.len() as u64,
        reply: reply.to_vec(),
    }
}
