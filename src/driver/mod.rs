//! The only loop that joins machines, wire and event sink.
//!
//! A [`Driver`] runs any number of flows over one [`Wire`]. Each flow is a [`Connection`], the
//! [`PeerView`] of its far end, and a [`Gate`] through which a command withholds what the machine
//! would send or hear, so that the machine itself always stays correct.
//!
//! A segment of ours is reported when the capture's copy of it comes back, because that copy bears
//! the time at which it left. The copy of a segment is always in the capture's queue before any
//! answer to it, so an answer never waits for a stamp.

mod flow;
mod gate;
mod timeline;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use flow::{Flow, FlowSpec};
pub use gate::{Gate, HalfOpen, HoldPeerFin, Open, Passage};
pub use timeline::Timeline;

use crate::event::{Event, FlowId, Note, Notice, Run, Severity, Sink, Traffic};
use crate::net::{ChecksumTrust, Dir, Frame, Received, Wire};
use crate::tcp::{IcmpVerdict, Transmit, TransmitKind};
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{
    Flags, IcmpError, IpHeader, IpPayload, Packet, ParseError, Segment, checksum, parse_ip,
};

/// How long the copy of a segment that we sent may be missing before the segment is reported with
/// our own clock's time. Neighbour resolution can hold a first packet back for three seconds.
const COPY_PATIENCE: Duration = Duration::from_secs(3);

/// Segments whose copies were given up that are remembered: a copy that comes after all must not be
/// taken for a segment that our kernel sent behind our back.
const COPIES_REMEMBERED: usize = 64;

/// Why a run could not go on. Only our own host's failures are errors.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The capture failed.
    #[error("cannot receive on {interface}")]
    Receive {
        /// The interface.
        interface: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// A packet could not be sent.
    #[error("cannot send to {to}")]
    Send {
        /// Where it should have gone.
        to: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// A packet could not be built.
    #[error("cannot build a packet")]
    Build(#[from] ParseError),
    /// A reporter's output failed.
    #[error("cannot write the report")]
    Report(#[source] io::Error),
}

/// What a step of the loop ended with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Something happened: look at the flows.
    Progress,
    /// The deadline came.
    Deadline,
    /// The user wants to come to an end.
    Interrupted,
    /// The user wants to know how it stands.
    StatusRequested,
}

/// A segment that was handed to the wire and whose copy has not come back yet.
#[derive(Clone)]
struct Pending {
    flow: FlowId,
    packet: Packet,
    kind: TransmitKind,
    sent_at: Instant,
}

/// The loop. See the module's documentation.
pub struct Driver<W, S> {
    wire: W,
    sink: S,
    flows: HashMap<FlowId, Flow>,
    /// (local, remote) → flow.
    by_tuple: HashMap<(SocketAddr, SocketAddr), FlowId>,
    /// When a flow's machine wants to be woken; kept in step with `Flow::wake_at`.
    timers: BTreeSet<(Instant, FlowId)>,
    pending: VecDeque<Pending>,
    /// Those whose copies did not come in time.
    given_up: VecDeque<Pending>,
    next_flow: u32,
    /// What a wait outside of `step` ended with.
    deferred: Option<Step>,
    traffic: Traffic,
    unmatched: u64,
}

impl<W: Wire, S: Sink> Driver<W, S> {
    /// A driver without flows.
    pub fn new(wire: W, sink: S) -> Self {
        Self {
            wire,
            sink,
            flows: HashMap::new(),
            by_tuple: HashMap::new(),
            timers: BTreeSet::new(),
            pending: VecDeque::new(),
            given_up: VecDeque::new(),
            next_flow: 0,
            deferred: None,
            traffic: Traffic::default(),
            unmatched: 0,
        }
    }

    /// The wire.
    pub const fn wire(&self) -> &W {
        &self.wire
    }

    /// The wire, to take another port of it.
    pub const fn wire_mut(&mut self) -> &mut W {
        &mut self.wire
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.wire.now()
    }

    /// What went over the wire so far, over all flows.
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Packets that came to one of our ports and belong to no flow.
    pub const fn unmatched(&self) -> u64 {
        self.unmatched
    }

    /// A flow that is open.
    pub fn flow(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(&id)
    }

    /// Begins a flow, of which `run` is the first event. Its first segment leaves at once.
    ///
    /// # Errors
    /// [`DriverError`], where the report or the segment cannot be written.
    pub fn open(&mut self, spec: FlowSpec, run: Run) -> Result<FlowId, DriverError> {
        let now = self.wire.now();
        let id = FlowId(self.next_flow);
        self.next_flow += 1;
        self.report(id, &Event::Run(run))?;
        let flow = Flow::open(spec, now);
        self.by_tuple.insert(tuple_of(&flow), id);
        self.flows.insert(id, flow);
        self.touch(id)?;
        Ok(id)
    }

    /// Ends the bookkeeping of a flow. What still comes for it is unmatched from now on.
    ///
    /// # Errors
    /// [`DriverError::Report`].
    pub fn forget(&mut self, id: FlowId) -> Result<Option<Flow>, DriverError> {
        self.flush_copies(|pending| pending.flow == id)?;
        let Some(flow) = self.flows.remove(&id) else { return Ok(None) };
        self.by_tuple.remove(&tuple_of(&flow));
        if let Some(at) = flow.wake_at {
            self.timers.remove(&(at, id));
        }
        Ok(Some(flow))
    }

    /// Changes a flow's machine or gate: `change` gets both the flow and the time.
    ///
    /// # Errors
    /// Whatever sending what follows from the change brings.
    pub fn with_flow<T>(
        &mut self,
        id: FlowId,
        change: impl FnOnce(&mut Flow, Instant) -> T,
    ) -> Result<Option<T>, DriverError> {
        // What has left and arrived by now comes first in the story.
        self.catch_up(|pending| pending.flow == id)?;
        let now = self.wire.now();
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(None) };
        let result = change(flow, now);
        self.touch(id)?;
        Ok(Some(result))
    }

    /// Reports an event of a command's own.
    ///
    /// # Errors
    /// [`DriverError::Report`].
    pub fn report(&mut self, flow: FlowId, event: &Event) -> Result<(), DriverError> {
        self.sink.record(flow, event).map_err(DriverError::Report)
    }

    /// Steps until `done` says so, `until` comes, or the user interrupts.
    ///
    /// # Errors
    /// See [`step`](Self::step).
    pub fn run_until(
        &mut self,
        until: Instant,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<Step, DriverError> {
        loop {
            if done(self) {
                return Ok(Step::Progress);
            }
            match self.step(until)? {
                Step::Progress => {}
                other => return Ok(other),
            }
        }
    }

    /// Waits for the next thing to happen, `until` at the latest, and handles it.
    ///
    /// # Errors
    /// [`DriverError`], where our own host fails.
    pub fn step(&mut self, until: Instant) -> Result<Step, DriverError> {
        if let Some(step) = self.deferred.take() {
            return Ok(step);
        }
        let wake = self.timers.first().map_or(until, |(at, _)| (*at).min(until));
        let wake = self.pending.front().map_or(wake, |p| wake.min(p.sent_at + COPY_PATIENCE));
        match self.receive(wake)? {
            Received::Frame(frame) => {
                self.handle_frame(&frame)?;
                Ok(Step::Progress)
            }
            Received::Interrupted => Ok(Step::Interrupted),
            Received::StatusRequested => Ok(Step::StatusRequested),
            Received::Timeout => {
                let now = self.wire.now();
                let worked = self.fire_timers(now)?;
                self.flush_copies(|pending| pending.sent_at + COPY_PATIENCE <= now)?;
                Ok(if worked || now < until { Step::Progress } else { Step::Deadline })
            }
        }
    }

    /// Reports the segments of `flow` (of all flows where it is absent) that still wait for their
    /// copies. To be called before the last words about it.
    ///
    /// # Errors
    /// [`DriverError`], where our own host fails.
    pub fn settle(&mut self, flow: Option<FlowId>) -> Result<(), DriverError> {
        let concerned = |pending: &Pending| flow.is_none_or(|id| pending.flow == id);
        self.catch_up(concerned)?;
        self.flush_copies(concerned)
    }

    /// Handles what is in the capture's queue until the copies of the segments for which
    /// `concerned` holds have come. They are there already, unless the kernel is still looking for
    /// the neighbour.
    fn catch_up(&mut self, concerned: impl Fn(&Pending) -> bool) -> Result<(), DriverError> {
        while self.pending.iter().any(&concerned) {
            match self.receive(self.wire.now())? {
                Received::Frame(frame) => self.handle_frame(&frame)?,
                Received::Timeout => break,
                // Not ours to act on: the next step tells of it.
                Received::Interrupted => self.deferred = Some(Step::Interrupted),
                Received::StatusRequested => {}
            }
        }
        Ok(())
    }

    fn receive(&mut self, until: Instant) -> Result<Received, DriverError> {
        self.wire.receive(until).map_err(|source| DriverError::Receive {
            interface: self.wire.facts().interface.clone(),
            source,
        })
    }

    fn fire_timers(&mut self, now: Instant) -> Result<bool, DriverError> {
        let mut worked = false;
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            worked = true;
            self.timers.pop_first();
            if let Some(flow) = self.flows.get_mut(&id) {
                flow.wake_at = None;
                flow.connection.handle_timeout(now);
            }
            self.touch(id)?;
        }
        Ok(worked)
    }

    /// Carries out what a flow's machine wants after anything happened to it.
    fn touch(&mut self, id: FlowId) -> Result<(), DriverError> {
        self.drain_events(id)?;
        loop {
            let now = self.wire.now();
            let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
            let Some(transmit) = flow.connection.poll_transmit(now) else { break };
            self.drain_events(id)?;
            self.transmit(id, transmit, now)?;
        }
        self.drain_events(id)?;
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        let wake_at = flow.connection.poll_timeout();
        if wake_at != flow.wake_at {
            if let Some(old) = flow.wake_at {
                self.timers.remove(&(old, id));
            }
            if let Some(new) = wake_at {
                self.timers.insert((new, id));
            }
            flow.wake_at = wake_at;
        }
        Ok(())
    }

    fn transmit(
        &mut self,
        id: FlowId,
        transmit: Transmit,
        now: Instant,
    ) -> Result<(), DriverError> {
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        if flow.gate.outgoing(&transmit) == Passage::Withhold {
            return Ok(());
        }
        let packet = Packet { ip: flow.next_ip_header(), segment: transmit.segment };
        let to = flow.remote();
        let bytes = packet.emit()?;
        self.pending.push_back(Pending { flow: id, packet, kind: transmit.kind, sent_at: now });
        self.wire.send(&bytes).map_err(|source| DriverError::Send { to, source })
    }

    /// Passes on what the machine and the view of the far end have to say.
    fn drain_events(&mut self, id: FlowId) -> Result<(), DriverError> {
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        while let Some(event) = flow.next_event() {
            self.sink.record(id, &event).map_err(DriverError::Report)?;
        }
        Ok(())
    }

    /// Reports the pending segments for which `which` holds with our own clock's time, and says so.
    fn flush_copies(&mut self, mut which: impl FnMut(&Pending) -> bool) -> Result<(), DriverError> {
        let (late, rest) = self.pending.drain(..).partition(|pending| which(pending));
        self.pending = rest;
        let late: VecDeque<Pending> = late;
        let overfull = (self.given_up.len() + late.len()).saturating_sub(COPIES_REMEMBERED);
        self.given_up.drain(..overfull.min(self.given_up.len()));
        for pending in late {
            let (id, at) = (pending.flow, pending.sent_at);
            self.given_up.push_back(pending.clone());
            self.report_sent(pending, Stamp { at, clock: Clock::User })?;
            let text = "the kernel's copy of a segment that we sent did not appear: its time is \
                        that of our own clock";
            self.notice(id, at, Severity::Warning, "no-transmit-stamp", text)?;
        }
        Ok(())
    }

    fn notice(
        &mut self,
        id: FlowId,
        at: Instant,
        severity: Severity,
        code: &'static str,
        text: impl Into<String>,
    ) -> Result<(), DriverError> {
        self.report(id, &Event::Notice(Notice { at, severity, code, text: text.into() }))
    }

    /// A segment of ours has left, at `stamp`.
    fn report_sent(&mut self, pending: Pending, stamp: Stamp) -> Result<(), DriverError> {
        let Pending { flow: id, packet, kind, .. } = pending;
        let note = match kind {
            TransmitKind::Retransmission(count) => Some(Note::Retransmission(count)),
            TransmitKind::ChallengeAck => Some(Note::ChallengeAck),
            TransmitKind::First | TransmitKind::Reset => None,
        };
        self.traffic.sent += 1;
        self.traffic.retransmitted += u64::from(matches!(kind, TransmitKind::Retransmission(_)));
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.sent(&packet, kind, stamp);
            let event = flow.segment_event(Dir::Tx, stamp, packet, note);
            self.report(id, &event)?;
            self.drain_events(id)?;
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: &Frame) -> Result<(), DriverError> {
        let (ip, payload) = match parse_ip(&frame.bytes) {
            Ok(parsed) => parsed,
            // Not even an IP packet that could be ours: the filter lets odd IPv6 headers through.
            Err(_) => return Ok(()),
        };
        match (payload, frame.dir) {
            (IpPayload::Tcp(bytes), Dir::Tx) => self.handle_copy(&ip, bytes, frame.stamp),
            (IpPayload::Tcp(bytes), Dir::Rx) => self.handle_tcp(&ip, bytes, frame),
            (IpPayload::Icmp(bytes), Dir::Rx) => self.handle_icmp(&ip, bytes, frame.stamp),
            _ => Ok(()),
        }
    }

    /// The capture shows a segment that left with our address: one of ours, or one that our kernel
    /// sent behind our back.
    fn handle_copy(
        &mut self,
        ip: &IpHeader,
        bytes: &[u8],
        stamp: Stamp,
    ) -> Result<(), DriverError> {
        let Ok(segment) = Segment::parse(bytes) else { return Ok(()) };
        let ours = |pending: &Pending| {
            pending.packet.segment == segment
                && pending.packet.ip.dst == ip.dst
                && (ip.id == pending.packet.ip.id || ip.src.is_ipv6())
        };
        if let Some(index) = self.pending.iter().position(ours)
            && let Some(pending) = self.pending.remove(index)
        {
            // The kernel sends a flow's segments in our order: the copies of earlier ones are lost.
            let mut earlier = index;
            self.flush_copies(|other| {
                let before = earlier > 0;
                earlier = earlier.saturating_sub(1);
                before && other.flow == pending.flow
            })?;
            return self.report_sent(pending, stamp);
        }
        if let Some(index) = self.given_up.iter().position(ours) {
            // Late, and reported already.
            self.given_up.remove(index);
            return Ok(());
        }
        let tuple =
            (SocketAddr::new(ip.src, segment.src_port), SocketAddr::new(ip.dst, segment.dst_port));
        let Some(&id) = self.by_tuple.get(&tuple) else { return Ok(()) };
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        flow.interference |= segment.has(Flags::RST);
        let reset = segment.has(Flags::RST);
        let packet = Packet { ip: *ip, segment };
        let event = flow.segment_event(Dir::Tx, stamp, packet, Some(Note::LocalKernel));
        self.report(id, &event)?;
        if reset {
            let text = "your own kernel reset this connection, not the peer: the port guard did \
                        not hold; see `shakedown doctor`";
            self.notice(id, stamp.at, Severity::Error, "local-reset", text)?;
        }
        Ok(())
    }

    fn handle_tcp(
        &mut self,
        ip: &IpHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), DriverError> {
        let stamp = frame.stamp;
        let parsed = Segment::parse(bytes);
        let ports = match (&parsed, bytes) {
            (Ok(segment), _) => Some((segment.src_port, segment.dst_port)),
            (Err(_), &[a, b, c, d, ..]) => {
                Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
            }
            _ => None,
        };
        let Some((id, ours)) = ports.and_then(|(from, to)| self.find(ip, from, to)) else {
            self.unmatched += 1;
            return Ok(());
        };
        self.traffic.received += 1;
        let segment = match parsed {
            Ok(segment) => segment,
            Err(error) => {
                self.traffic.rejected += 1;
                let text = format!("rejected a packet from {}: {error}", ip.src);
                return self.notice(id, stamp.at, Severity::Warning, "malformed", text);
            }
        };
        let vouched = frame.checksum == ChecksumTrust::Vouched;
        let reason = if !ours {
            Some("from an address or port that we did not probe")
        } else if !vouched && !checksum::tcp_is_right(ip.src, ip.dst, bytes) {
            Some("wrong checksum (RFC 9293 MUST-3)")
        } else {
            None
        };
        // Whatever of ours is still without its copy left before this arrived.
        if reason.is_none() && segment.has(Flags::ACK) {
            let ack = segment.ack;
            self.flush_copies(|pending| {
                pending.flow == id
                    && pending.packet.segment.seq_end().is_at_or_before(ack)
                    && pending.packet.segment.seq_len() > 0
            })?;
        }
        self.deliver(id, Packet { ip: *ip, segment }, stamp, reason)
    }

    /// The flow of a packet, and whether it really is from whom the flow talks to. A packet for one
    /// of our ports from somebody else is shown with the flow whose port it is.
    fn find(&self, ip: &IpHeader, from: u16, to: u16) -> Option<(FlowId, bool)> {
        let local = SocketAddr::new(ip.dst, to);
        if let Some(&id) = self.by_tuple.get(&(local, SocketAddr::new(ip.src, from))) {
            return Some((id, true));
        }
        let mut same_port = self.by_tuple.iter().filter(|((ours, _), _)| *ours == local);
        match (same_port.next(), same_port.next()) {
            (Some((_, &id)), None) => Some((id, false)),
            _ => None,
        }
    }

    fn deliver(
        &mut self,
        id: FlowId,
        packet: Packet,
        stamp: Stamp,
        rejected: Option<&'static str>,
    ) -> Result<(), DriverError> {
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        let note = match rejected {
            Some(reason) => {
                flow.rejected(reason);
                Some(Note::Rejected(reason))
            }
            None => flow.receive(&packet, stamp),
        };
        self.traffic.rejected += u64::from(matches!(note, Some(Note::Rejected(_))));
        let event = flow.segment_event(Dir::Rx, stamp, packet, note);
        self.report(id, &event)?;
        self.touch(id)
    }

    fn handle_icmp(
        &mut self,
        ip: &IpHeader,
        bytes: &[u8],
        stamp: Stamp,
    ) -> Result<(), DriverError> {
        let Ok(Some(error)) = IcmpError::parse(ip, bytes) else { return Ok(()) };
        let quote = error.quote;
        let tuple = (
            SocketAddr::new(quote.src, quote.src_port),
            SocketAddr::new(quote.dst, quote.dst_port),
        );
        let Some(&id) = self.by_tuple.get(&tuple) else {
            self.unmatched += 1;
            return Ok(());
        };
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        let rejected = match flow.connection.handle_icmp(&error, stamp.at) {
            IcmpVerdict::Rejected(reason) => Some(reason),
            IcmpVerdict::Noted | IcmpVerdict::Aborted => {
                flow.timeline.icmp(error, stamp);
                None
            }
        };
        self.report(id, &Event::Icmp { at: stamp, error, rejected })?;
        self.touch(id)
    }
}

/// The key of a flow: addresses and ports alone. The scope of a link-local address is not in
/// a packet.
fn tuple_of(flow: &Flow) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
    (plain(flow.local()), plain(flow.remote()))
}
