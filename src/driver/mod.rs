//! The only loop that joins machines, wire and event sink.
//!
//! A [`Driver`] runs any number of flows over one [`Wire`]. Each flow is a
//! [`Connection`](crate::tcp::Connection), the [`PeerView`](crate::tcp::PeerView) of its far end, and
//! a [`Gate`] through which a command withholds what the machine would send or hear, so that the
//! machine itself always stays correct.
//!
//! A segment of ours is reported when the capture's copy of it comes back, because that copy bears
//! the time at which it left. The copy of a segment is always in the capture's queue before any
//! answer to it, so an answer never waits for a stamp.

mod claims;
mod copies;
mod flow;
mod frames;
mod gate;
mod listener;
mod timeline;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;

use claims::{Claims, Over, Tuple};
use copies::{Copies, Pending};
pub use flow::{Ending, Flow, FlowSpec, Opening};
pub use gate::{Gate, HalfOpen, HoldPeerFin, Open, Passage};
pub use listener::Arrival;
use listener::Listener;
pub use timeline::Timeline;

use crate::event::{Event, FlowId, Notice, Run, Severity, Sink, Traffic};
use crate::net::{Received, Wire};
use crate::tcp::Transmit;
use crate::time::Instant;
use crate::wire::{Packet, ParseError, SeqNum};

/// Segments that one flow may hand over at a time: what has arrived meanwhile is looked at before it
/// goes on, or its acknowledgments would be lost in the capture's queue.
const BURST: usize = 32;

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

/// The loop. See the module's documentation.
pub struct Driver<W, S> {
    wire: W,
    sink: S,
    flows: HashMap<FlowId, Flow>,
    claims: Claims,
    /// When a flow's machine wants to be woken; kept in step with `Flow::wake_at`.
    timers: BTreeSet<(Instant, FlowId)>,
    copies: Copies,
    next_flow: u32,
    /// What a wait outside of `step` ended with.
    deferred: Option<Step>,
    traffic: Traffic,
    unmatched: u64,
    /// Flows to which anything happened since they were last asked for.
    touched: BTreeSet<FlowId>,
    /// Flows that have more to send than one burst.
    unfinished: BTreeSet<FlowId>,
    listener: Listener,
}

impl<W: Wire, S: Sink> Driver<W, S> {
    /// A driver without flows.
    pub fn new(wire: W, sink: S) -> Self {
        Self {
            wire,
            sink,
            flows: HashMap::new(),
            claims: Claims::default(),
            timers: BTreeSet::new(),
            copies: Copies::default(),
            next_flow: 0,
            deferred: None,
            traffic: Traffic::default(),
            unmatched: 0,
            touched: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            listener: Listener::default(),
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

    /// Begins a flow, of which `run` is the first event. Its first segment leaves at once. Several
    /// flows may have the same addresses and ports.
    ///
    /// # Errors
    /// [`DriverError`], where the report or the segment cannot be written: there is no flow then.
    pub fn open(&mut self, spec: FlowSpec, run: Run) -> Result<FlowId, DriverError> {
        let id = self.begin(spec, run, Opening::Active)?;
        if let Err(error) = self.touch(id) {
            self.forget(id)?;
            return Err(error);
        }
        Ok(id)
    }

    fn begin(&mut self, spec: FlowSpec, run: Run, opening: Opening) -> Result<FlowId, DriverError> {
        let now = self.wire.now();
        let id = FlowId(self.next_flow);
        self.next_flow = self.next_flow.wrapping_add(1);
        self.report(id, &Event::Run(run))?;
        let flow = Flow::open(spec, opening, now);
        self.claims.add(id, Tuple::of(&flow), flow.connection.iss());
        self.flows.insert(id, flow);
        Ok(id)
    }

    /// Ends the bookkeeping of a flow. What still comes for it is unmatched from now on.
    ///
    /// # Errors
    /// [`DriverError::Report`].
    pub fn forget(&mut self, id: FlowId) -> Result<Option<Flow>, DriverError> {
        self.flush_copies(|pending| pending.flow == id)?;
        let Some(flow) = self.flows.remove(&id) else { return Ok(None) };
        self.claims.remove(id, Tuple::of(&flow));
        self.touched.remove(&id);
        self.unfinished.remove(&id);
        if let Some(at) = flow.wake_at {
            self.timers.remove(&(at, id));
        }
        Ok(Some(flow))
    }

    /// As [`forget`](Self::forget), but goes on recognising what comes for it: it is reported as
    /// [`Note::Late`](crate::event::Note::Late), and answered by RST (RFC 9293 §3.10.7.1), until it
    /// is [buried](Self::bury).
    ///
    /// # Errors
    /// [`DriverError::Report`].
    pub fn retire(&mut self, id: FlowId) -> Result<Option<Flow>, DriverError> {
        let flow = self.forget(id)?;
        if let Some(flow) = &flow {
            let (ttl, tos) = flow.ttl_and_tos();
            let over = Over { flow: id, ttl, tos };
            self.claims.remember(Tuple::of(flow), flow.connection.iss(), over);
        }
        Ok(flow)
    }

    /// Recognises nothing more of the retired flow between these ends that began with `iss`.
    pub fn bury(&mut self, local: SocketAddr, remote: SocketAddr, iss: SeqNum) {
        self.claims.bury(Tuple::new(local, remote), iss);
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

    /// What a flow has received since the last call, and when the last of it arrived. Unlike
    /// [`with_flow`](Self::with_flow) it looks at nothing that waits in the capture's queue, so that
    /// what one segment brought is not mixed with what the next one brings.
    pub fn take_received(&mut self, id: FlowId) -> Option<(Vec<u8>, Instant)> {
        let flow = self.flows.get_mut(&id)?;
        if flow.received.is_empty() {
            return None;
        }
        let at = flow.last_data_at.unwrap_or_default();
        Some((std::mem::take(&mut flow.received), at))
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
                // Whoever floods our port shall not keep us beyond our time.
                Step::Progress if self.wire.now() > until => return Ok(Step::Deadline),
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
        // Before the next packet: an endless stream of them must not starve our retransmissions.
        if self.fire_timers(self.wire.now())? {
            return Ok(Step::Progress);
        }
        let wake = self.timers.first().map_or(until, |(at, _)| (*at).min(until));
        let wake = self.copies.overdue_at().map_or(wake, |at| wake.min(at));
        let wake = if self.unfinished.is_empty() { wake } else { self.wire.now() };
        match self.receive(wake)? {
            Received::Frame(frame) => {
                self.handle_frame(&frame)?;
                Ok(Step::Progress)
            }
            Received::Interrupted => Ok(Step::Interrupted),
            Received::StatusRequested => Ok(Step::StatusRequested),
            Received::Timeout => {
                let now = self.wire.now();
                let worked = self.fire_timers(now)? | self.go_on_sending()?;
                self.flush_copies(|pending| pending.is_overdue(now))?;
                Ok(if worked || now < until { Step::Progress } else { Step::Deadline })
            }
        }
    }

    fn receive(&mut self, until: Instant) -> Result<Received, DriverError> {
        self.wire.receive(until).map_err(|source| DriverError::Receive {
            interface: self.wire.facts().interface.clone(),
            source,
        })
    }

    /// Lets flows go on that had more to send than one burst.
    fn go_on_sending(&mut self) -> Result<bool, DriverError> {
        let waiting = std::mem::take(&mut self.unfinished);
        let worked = !waiting.is_empty();
        for id in waiting {
            self.touch(id)?;
        }
        Ok(worked)
    }

    /// Flows to which anything happened since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<FlowId> {
        std::mem::take(&mut self.touched)
    }

    fn fire_timers(&mut self, now: Instant) -> Result<bool, DriverError> {
        let mut worked = false;
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            worked = true;
            self.timers.pop_first();
            if self.has_heard(id) {
                // Nothing was left in the kernel's queue when the time ran out.
                self.flush_copies(|pending| pending.flow == id)?;
            }
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
        if self.flows.contains_key(&id) {
            self.touched.insert(id);
        }
        let done = self.carry_out(id);
        // Also where a segment could not leave: the machine takes it for lost, and sends it again.
        self.rearm(id);
        done
    }

    fn carry_out(&mut self, id: FlowId) -> Result<(), DriverError> {
        self.drain_events(id)?;
        for sent in 0.. {
            let now = self.wire.now();
            if sent == BURST {
                self.unfinished.insert(id);
                break;
            }
            let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
            let Some(transmit) = flow.connection.poll_transmit(now) else { break };
            self.drain_events(id)?;
            self.transmit(id, transmit)?;
        }
        self.drain_events(id)
    }

    /// Keeps the timers in step with the flow's machine.
    fn rearm(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
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
    }

    fn transmit(&mut self, id: FlowId, transmit: Transmit) -> Result<(), DriverError> {
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        if flow.gate.outgoing(&transmit) != Passage::Pass {
            return Ok(());
        }
        let packet = Packet { ip: flow.next_ip_header(), segment: transmit.segment };
        let to = flow.remote();
        let bytes = packet.emit()?;
        // Just before the call: it is the segment's time where the kernel does not stamp.
        let sent_at = self.wire.now();
        self.send(to, &bytes, Pending { flow: id, packet, kind: transmit.kind, sent_at })
    }

    /// Hands a packet to the wire, and expects its copy.
    fn send(&mut self, to: SocketAddr, bytes: &[u8], pending: Pending) -> Result<(), DriverError> {
        let (flow, at) = (pending.flow, pending.sent_at);
        self.copies.expect(pending);
        let Err(source) = self.wire.send(bytes) else { return Ok(()) };
        self.copies.give_up_last(flow);
        if self.listener.is_on() {
            self.not_sent(flow, to, at, &source)
        } else {
            Err(DriverError::Send { to, source })
        }
    }

    /// Passes on what the machine and the view of the far end have to say.
    fn drain_events(&mut self, id: FlowId) -> Result<(), DriverError> {
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        while let Some(event) = flow.next_event() {
            self.sink.record(id, &event).map_err(DriverError::Report)?;
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
}
