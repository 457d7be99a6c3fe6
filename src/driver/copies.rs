//! What we sent, and the capture's copies of it, which bear the time at which it left.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::claims::{Claim, Hint, Tuple};
use super::listener::NOBODY;
use super::{Driver, DriverError, Step};
use crate::event::{Event, FlowId, Note, PacketEvent, Severity, Sink};
use crate::net::{Dir, Frame, Received, Wire};
use crate::tcp::TransmitKind;
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{Flags, IpHeader, Packet, Segment};

/// How long the copy of a segment may be missing before the segment is reported without it. The
/// kernel holds packets back while it looks for the neighbour's hardware address; a person watching
/// should not wait for that.
const PATIENCE: Duration = Duration::from_millis(200);
/// The same on a connection whose far end has answered, when something else happens on it.
const GRACE: Duration = Duration::from_millis(100);
/// Answers without a flow whose copies are awaited.
const STRANGERS: usize = 4096;
/// Segments reported without their copies that are still recognised when the copies come.
const REMEMBERED: usize = 256;

/// A segment that was handed to the wire and whose copy has not come back yet.
pub(super) struct Pending {
    pub(super) flow: FlowId,
    pub(super) packet: Packet,
    pub(super) kind: TransmitKind,
    pub(super) sent_at: Instant,
}

impl Pending {
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.sent_at + PATIENCE <= now
    }

    /// Whether a captured packet of ours is this one. The kernel and its firewall may have changed
    /// the TTL or the type of service, but neither the segment nor the identification.
    fn is(&self, ip: &IpHeader, segment: &Segment) -> bool {
        self.packet.segment == *segment
            && self.packet.ip.dst == ip.dst
            && (ip.id == self.packet.ip.id || ip.src.is_ipv6())
    }
}

/// The segments whose copies are awaited.
#[derive(Default)]
pub(super) struct Copies {
    pending: VecDeque<Pending>,
    /// Reported without their copies, the oldest first.
    overdue: VecDeque<Pending>,
    /// Answers to those who have no flow, the oldest first: of a flood there are very many, and
    /// nobody waits for them.
    strangers: VecDeque<Pending>,
    /// Some of those were forgotten before their copies came.
    forgot: bool,
}

impl Copies {
    pub(super) fn expect(&mut self, pending: Pending) {
        if pending.flow != NOBODY {
            return self.pending.push_back(pending);
        }
        if self.strangers.len() == STRANGERS {
            self.strangers.pop_front();
            self.forgot = true;
        }
        self.strangers.push_back(pending);
    }

    /// The segment of `flow` that was handed over last has not left.
    pub(super) fn give_up_last(&mut self, flow: FlowId) {
        let queue = if flow == NOBODY { &mut self.strangers } else { &mut self.pending };
        queue.pop_back();
    }

    /// Whether every answer to a stranger would be recognised by its copy.
    pub(super) const fn knows_strangers(&self) -> bool {
        !self.forgot
    }

    /// When the next copy becomes overdue.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        self.pending.front().map(|pending| pending.sent_at + PATIENCE)
    }
}

impl<W: Wire, S: Sink> Driver<W, S> {
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
    pub(super) fn catch_up(
        &mut self,
        concerned: impl Fn(&Pending) -> bool,
    ) -> Result<(), DriverError> {
        while self.copies.pending.iter().any(&concerned) {
            match self.receive(self.wire.now())? {
                Received::Frame(frame) => self.handle_frame(&frame)?,
                Received::Timeout => break,
                // Not ours to act on: the next step tells of it.
                Received::Interrupted => self.deferred = Some(Step::Interrupted),
                Received::StatusRequested => {
                    self.deferred.get_or_insert(Step::StatusRequested);
                }
            }
        }
        Ok(())
    }

    /// Reports the pending segments for which `which` holds with our own clock's time, and says so.
    pub(super) fn flush_copies(
        &mut self,
        mut which: impl FnMut(&Pending) -> bool,
    ) -> Result<(), DriverError> {
        let (late, rest) = self.copies.pending.drain(..).partition(|pending| which(pending));
        self.copies.pending = rest;
        let late: VecDeque<Pending> = late;
        for pending in late {
            let (id, at) = (pending.flow, pending.sent_at);
            self.report_sent(&pending, Stamp { at, clock: Clock::User }, None)?;
            let text = "the kernel has not shown this segment leaving: its time is that of our own \
                        clock, and it may be waiting for the neighbour's hardware address";
            self.notice(id, at, Severity::Warning, "no-transmit-stamp", text)?;
            if self.copies.overdue.len() == REMEMBERED {
                self.copies.overdue.pop_front();
            }
            self.copies.overdue.push_back(pending);
        }
        Ok(())
    }

    /// Reports what of a flow waits for its copy in the first `count` places: the kernel sends
    /// a flow's segments in our order, so that these left before the one behind them.
    fn flush_before(&mut self, flow: FlowId, count: usize) -> Result<(), DriverError> {
        if count == 0 {
            return Ok(());
        }
        let mut index = 0;
        self.flush_copies(|pending| {
            index += 1;
            index <= count && pending.flow == flow
        })
    }

    /// Reports what must have left before `segment` arrived at `at`: what it acknowledges, and what
    /// we sent a good while before to a neighbour that is known.
    pub(super) fn flush_answered(
        &mut self,
        flow: FlowId,
        segment: &Segment,
        at: Instant,
    ) -> Result<(), DriverError> {
        let heard = self.has_heard(flow);
        let left = |pending: &Pending| {
            let sent = &pending.packet.segment;
            let acked = segment.has(Flags::ACK)
                && sent.seq_len() > 0
                && sent.seq_end().is_at_or_before(segment.ack);
            pending.flow == flow && (acked || (heard && pending.sent_at + GRACE <= at))
        };
        match self.copies.pending.iter().rposition(left) {
            Some(last) => self.flush_before(flow, last + 1),
            None => Ok(()),
        }
    }

    /// Whether the far end of a flow has answered: its link address is known, and nothing keeps
    /// a segment of ours in the kernel.
    pub(super) fn has_heard(&self, flow: FlowId) -> bool {
        self.flows.get(&flow).is_some_and(|flow| flow.connection.irs().is_some())
    }

    /// The copy of a segment that was reported without it: it has left only now.
    fn report_late(&mut self, pending: &Pending, frame: &Frame) -> Result<(), DriverError> {
        let stamp = frame.stamp;
        if let Some(flow) = self.flows.get_mut(&pending.flow) {
            flow.timeline.left_late(pending.sent_at, stamp);
        }
        self.report_packet(pending.flow, frame, "left late".into())?;
        let delay = stamp.at.since(pending.sent_at);
        if delay < PATIENCE / 2 {
            // It left in time; only the news of it came late.
            return Ok(());
        }
        let text = format!("that {} left only {delay:.1?} later", pending.packet.segment.flags);
        self.notice(pending.flow, self.wire.now(), Severity::Info, "left-late", text)
    }

    /// A segment of ours has left, at `stamp`; `bytes` is its copy, where that has come.
    fn report_sent(
        &mut self,
        pending: &Pending,
        stamp: Stamp,
        bytes: Option<Vec<u8>>,
    ) -> Result<(), DriverError> {
        let Pending { flow: id, packet, kind, .. } = pending;
        let note = match kind {
            TransmitKind::Retransmission(count) => Some(Note::Retransmission(*count)),
            TransmitKind::ChallengeAck => Some(Note::ChallengeAck),
            TransmitKind::First | TransmitKind::Reset => None,
        };
        self.traffic.sent += 1;
        self.traffic.retransmitted += u64::from(matches!(kind, TransmitKind::Retransmission(_)));
        if let Some(flow) = self.flows.get_mut(id) {
            // Whoever waits for it to leave may go on now.
            self.touched.insert(*id);
            flow.sent(packet, *kind, stamp);
            let event = flow.segment_event(Dir::Tx, stamp, packet.clone(), note, bytes);
            self.report(*id, &event)?;
            self.drain_events(*id)?;
        } else if let Some(bytes) = bytes {
            let remark = "to a connection that is over".into();
            let packet = PacketEvent { dir: Dir::Tx, stamp, bytes, remark };
            self.report(*id, &Event::Packet(Box::new(packet)))?;
        }
        Ok(())
    }

    /// The capture shows a segment that left with our address: one of ours, or one that our kernel
    /// sent behind our back.
    pub(super) fn handle_copy(
        &mut self,
        ip: &IpHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), DriverError> {
        let stamp = frame.stamp;
        let Ok(segment) = Segment::parse(bytes) else { return Ok(()) };
        let ours = |pending: &Pending| pending.is(ip, &segment);
        if let Some(index) = self.copies.pending.iter().position(ours)
            && let Some(pending) = self.copies.pending.remove(index)
        {
            self.flush_before(pending.flow, index)?;
            // Without the kernel's stamp, a copy says when it was read; it left when it was sent.
            let stamp = match stamp.clock {
                Clock::User => Stamp { at: pending.sent_at, ..stamp },
                _ => stamp,
            };
            return self.report_sent(&pending, stamp, Some(frame.bytes.clone()));
        }
        if let Some(index) = self.copies.strangers.iter().position(ours)
            && let Some(pending) = self.copies.strangers.remove(index)
        {
            return self.report_sent(&pending, stamp, Some(frame.bytes.clone()));
        }
        if let Some(index) = self.copies.overdue.iter().position(ours)
            && let Some(pending) = self.copies.overdue.remove(index)
        {
            return self.report_late(&pending, frame);
        }
        let tuple = Tuple::new(
            SocketAddr::new(ip.src, segment.src_port),
            SocketAddr::new(ip.dst, segment.dst_port),
        );
        let Some(Claim::Open(id)) = self.claims.find(tuple, Hint::None) else {
            if segment.has(Flags::RST) && self.copies.knows_strangers() {
                self.listener_disturbed(tuple.local, stamp.at)?;
            }
            let remark = "sent from our port, and not by us";
            return self.report_packet(FlowId::default(), frame, remark.into());
        };
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        flow.interference |= segment.has(Flags::RST);
        let reset = segment.has(Flags::RST);
        let packet = Packet { ip: *ip, segment };
        let (note, bytes) = (Some(Note::LocalKernel), Some(frame.bytes.clone()));
        let event = flow.segment_event(Dir::Tx, stamp, packet, note, bytes);
        self.report(id, &event)?;
        if reset {
            let text = "your own kernel reset this connection, not the peer: the port guard did \
                        not hold; see `shakedown doctor`";
            self.notice(id, stamp.at, Severity::Error, "local-reset", text)?;
        }
        Ok(())
    }
}
