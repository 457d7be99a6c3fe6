//! Passive opens: what comes to an address that listens, and belongs to no flow.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::claims::{Claim, Hint, Tuple};
use super::copies::Pending;
use super::flow::Opening;
use super::frames::is_intact;
use super::{Driver, DriverError, FlowSpec};
use crate::event::{Event, FlowId, Run, Severity, Sink};
use crate::net::{Frame, Wire};
use crate::tcp::state::{Cause, End, Known, State, Transition};
use crate::tcp::{TransmitKind, Verdict};
use crate::time::Instant;
use crate::wire::{Flags, IpHeader, Packet, Segment};

/// Arrivals that may wait for a decision; what comes beyond that is dropped, as from a full backlog.
const BACKLOG: usize = 8192;
/// The flow of what is answered without one.
pub(super) const NOBODY: FlowId = FlowId(u32::MAX);

/// An intact segment that came to an address that listens, and belongs to no flow.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The packet.
    pub packet: Packet,
    /// As the capture saw it.
    pub frame: Frame,
}

/// The addresses that listen, and what waits there.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// An unspecified address stands for all of its family.
    addresses: BTreeSet<SocketAddr>,
    arrivals: VecDeque<Arrival>,
    overflow: u64,
    unsent: u64,
    disturbed: bool,
}

impl Listener {
    pub(super) fn is_on(&self) -> bool {
        !self.addresses.is_empty()
    }

    pub(super) fn hears(&self, address: IpAddr, port: u16) -> bool {
        self.addresses.iter().any(|heard| {
            let (ip, any) = (heard.ip(), heard.ip().is_unspecified());
            heard.port() == port && (ip == address || any && ip.is_ipv4() == address.is_ipv4())
        })
    }
}

impl<W: Wire, S: Sink> Driver<W, S> {
    /// From now on, what comes to `address` for no flow is an [`Arrival`], to be fetched by
    /// [`next_arrival`](Self::next_arrival). An unspecified address stands for every one of its
    /// family. A packet that cannot be sent is from now on the network's loss, not the run's end.
    pub fn listen_at(&mut self, address: SocketAddr) {
        self.listener.addresses.insert(SocketAddr::new(address.ip(), address.port()));
    }

    /// The next that waits for a decision: [`accept`](Self::accept), [`answer`](Self::answer) or
    /// [`ignore`](Self::ignore).
    ///
    /// # Errors
    /// [`DriverError`]: what came for a flow that was begun meanwhile is given to that.
    pub fn next_arrival(&mut self) -> Result<Option<Arrival>, DriverError> {
        while let Some(arrival) = self.listener.arrivals.pop_front() {
            let Packet { ip, segment } = &arrival.packet;
            let local = SocketAddr::new(ip.dst, segment.dst_port);
            let tuple = Tuple::new(local, SocketAddr::new(ip.src, segment.src_port));
            match self.claims.find(tuple, Hint::of(segment)) {
                Some(Claim::Open(id)) if !self.opens_anew(id, segment) => {
                    self.deliver(id, arrival.packet, &arrival.frame, None)?;
                }
                _ => return Ok(Some(arrival)),
            }
        }
        Ok(None)
    }

    /// Arrivals that were dropped because too many waited.
    pub const fn overflow(&self) -> u64 {
        self.listener.overflow
    }

    /// Packets that this host would not send.
    pub const fn unsent(&self) -> u64 {
        self.listener.unsent
    }

    /// Begins a flow by what arrived. Its machine listens, or is closed for
    /// [`Opening::Refused`], until it is given the arrival. What it receives waits in the machine
    /// until the command takes it: a client that is not read from cannot fill our memory.
    ///
    /// # Errors
    /// [`DriverError`], where the report cannot be written.
    pub fn accept(
        &mut self,
        spec: FlowSpec,
        run: Run,
        arrival: Arrival,
        opening: Opening,
    ) -> Result<FlowId, DriverError> {
        let at = run.at;
        let id = self.begin(spec, run, opening)?;
        if opening == Opening::Passive {
            let (end, from, to) = (End::Server, State::Closed, State::Listen);
            let (cause, known) = (Cause::Start, Known::Own);
            let listening = Transition { at, end, from, to, cause, known };
            self.report(id, &Event::Transition(listening))?;
        }
        self.deliver(id, arrival.packet, &arrival.frame, None)?;
        Ok(id)
    }

    /// Begins a flow whose handshake was kept by nobody: a SYN cookie came back. `syn` is what the
    /// cookie remembers of the SYN; the machine is told of it in silence.
    ///
    /// # Errors
    /// [`DriverError`], where the report cannot be written.
    pub fn accept_by_cookie(
        &mut self,
        spec: FlowSpec,
        run: Run,
        syn: &Segment,
        arrival: Arrival,
    ) -> Result<FlowId, DriverError> {
        let now = self.now();
        // Its ACK was out by then; when its SYN was, nobody remembers.
        let came = arrival.frame.stamp.at.min(now);
        let id = self.begin(spec, run, Opening::Passive)?;
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.connection.handle_segment(syn, now);
            flow.peer.on_receive(syn, &Verdict::Accepted, came);
            if let Some(sent) = flow.connection.poll_transmit(now) {
                flow.peer.on_transmit(&sent.segment, came);
            }
        }
        let text = "the table was full when its SYN came: the handshake was kept in a SYN cookie, \
                    and of its options only the MSS";
        self.notice(id, now, Severity::Info, "syn-cookie", text)?;
        self.drain_events(id)?;
        self.deliver(id, arrival.packet, &arrival.frame, None)?;
        Ok(id)
    }

    /// A flow's number without a flow, of which `run` is the first event: for what concerns the
    /// listener as a whole.
    ///
    /// # Errors
    /// [`DriverError::Report`].
    pub fn reserve(&mut self, run: Run) -> Result<FlowId, DriverError> {
        let id = FlowId(self.next_flow);
        self.next_flow = self.next_flow.wrapping_add(1);
        self.report(id, &Event::Run(run))?;
        Ok(id)
    }

    /// Drops what arrived; whoever keeps packets keeps it with this remark.
    ///
    /// # Errors
    /// [`DriverError::Report`].
    pub fn ignore(&mut self, arrival: &Arrival, remark: &'static str) -> Result<(), DriverError> {
        self.report_stray(&arrival.frame, remark.into())
    }

    /// Answers what arrived by one segment, without a flow.
    ///
    /// # Errors
    /// [`DriverError`].
    pub fn answer(
        &mut self,
        arrival: &Arrival,
        segment: Segment,
        (ttl, tos): (u8, u8),
        remark: &'static str,
    ) -> Result<(), DriverError> {
        self.report_stray(&arrival.frame, remark.into())?;
        let asked = &arrival.packet;
        let id = asked.segment.seq.0 ^ asked.segment.ack.0 ^ u32::from(asked.segment.src_port);
        let ip = IpHeader {
            src: asked.ip.dst,
            dst: asked.ip.src,
            ttl,
            tos,
            // Never 0, which would ask the kernel to choose one.
            id: if asked.ip.src.is_ipv4() { ((id ^ id >> 16) as u16).max(1) } else { 0 },
            dont_fragment: true,
            flow_label: 0,
        };
        let to = SocketAddr::new(ip.dst, segment.dst_port);
        let kind = if segment.has(Flags::RST) { TransmitKind::Reset } else { TransmitKind::First };
        let packet = Packet { ip, segment };
        let bytes = packet.emit()?;
        let sent_at = self.wire.now();
        self.send(to, &bytes, Pending { flow: NOBODY, packet, kind, sent_at })
    }

    /// A segment for no flow came to an address that listens.
    pub(super) fn arrived(
        &mut self,
        ip: &IpHeader,
        segment: Segment,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), DriverError> {
        self.traffic.received += 1;
        if !is_intact(ip, bytes, frame) {
            self.traffic.rejected += 1;
            return self.report_stray(frame, "rejected: wrong checksum".into());
        }
        if self.listener.arrivals.len() == BACKLOG {
            self.listener.overflow += 1;
            return Ok(());
        }
        let packet = Packet { ip: *ip, segment };
        self.listener.arrivals.push_back(Arrival { packet, frame: frame.clone() });
        Ok(())
    }

    /// Whether a segment for a flow that is over, or only waits in TIME-WAIT for what is late, opens
    /// a new one between the same ends: a SYN, with a number behind all that the old one had (RFC
    /// 9293 §3.10.7.4, MAY-2; RFC 1122 §4.2.2.13).
    pub(super) fn opens_anew(&mut self, id: FlowId, segment: &Segment) -> bool {
        let Some(flow) = self.flows.get_mut(&id) else { return false };
        let opens = segment.has(Flags::SYN) && !segment.flags.intersects(Flags::ACK | Flags::RST);
        if !opens || !self.listener.hears(flow.local().ip(), segment.dst_port) {
            return false;
        }
        match flow.connection.state() {
            State::TimeWait if segment.seq.is_after(flow.connection.rcv_nxt()) => {
                flow.connection.abort(self.wire.now());
                self.touched.insert(id);
                true
            }
            State::Closed => flow.ending.closed,
            _ => false,
        }
    }

    /// This host would not send a packet: the far end will ask for it again. Said once for a flow
    /// that is open.
    pub(super) fn not_sent(
        &mut self,
        id: FlowId,
        to: SocketAddr,
        at: Instant,
        why: &io::Error,
    ) -> Result<(), DriverError> {
        self.listener.unsent += 1;
        if !self.flows.contains_key(&id) || self.listener.unsent > 1 {
            return Ok(());
        }
        let text = format!("cannot send to {to}: {why}; what does not leave counts as lost");
        self.notice(id, at, Severity::Warning, "cannot-send", text)
    }

    /// Our kernel has sent a RST from an address that listens, for no flow of ours.
    pub(super) fn listener_disturbed(
        &mut self,
        from: SocketAddr,
        at: Instant,
    ) -> Result<(), DriverError> {
        if !self.listener.hears(from.ip(), from.port())
            || std::mem::replace(&mut self.listener.disturbed, true)
        {
            return Ok(());
        }
        let text = "your own kernel refuses connections to this port: the port guard did not hold; \
                    see `shakedown doctor`";
        self.notice(FlowId::default(), at, Severity::Error, "local-reset", text)
    }
}
