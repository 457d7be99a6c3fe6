//! The copies of our own segments, which the capture shows with the time at which they left.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Driver, DriverError};
use crate::event::{FlowId, Note, Severity, Sink};
use crate::net::{Dir, Wire};
use crate::tcp::TransmitKind;
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{Flags, IpHeader, Packet, Segment};

/// How long the copy of a segment that we sent may be missing before the segment is reported with
/// our own clock's time. Neighbour resolution can hold a first packet back for three seconds.
pub(super) const COPY_PATIENCE: Duration = Duration::from_secs(3);

/// The same on a connection whose far end has answered, when something else happens on it.
const COPY_GRACE: Duration = Duration::from_millis(100);
/// Segments whose copies were given up that are remembered: a copy that comes after all must not be
/// taken for a segment that our kernel sent behind our back.
const COPIES_REMEMBERED: usize = 64;

/// A segment that was handed to the wire and whose copy has not come back yet.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) flow: FlowId,
    pub(super) packet: Packet,
    pub(super) kind: TransmitKind,
    pub(super) sent_at: Instant,
}

impl<W: Wire, S: Sink> Driver<W, S> {
    /// The capture shows a segment that left with our address: one of ours, or one that our kernel
    /// sent behind our back.
    pub(super) fn handle_copy(
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
            self.flush_before(pending.flow, index)?;
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

    /// Reports the pending segments for which `which` holds with our own clock's time, and says so.
    pub(super) fn flush_copies(
        &mut self,
        mut which: impl FnMut(&Pending) -> bool,
    ) -> Result<(), DriverError> {
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

    /// Reports what of a flow waits for its copy in the first `count` places: the kernel sends
    /// a flow's segments in our order, so that these left before the one behind them.
    fn flush_before(&mut self, flow: FlowId, count: usize) -> Result<(), DriverError> {
        let mut index = 0;
        self.flush_copies(|pending| {
            index += 1;
            index <= count && pending.flow == flow
        })
    }

    /// Reports what must have left before `segment` arrived at `at`: what it acknowledges, and what
    /// we sent a good while before.
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
            pending.flow == flow && (acked || (heard && pending.sent_at + COPY_GRACE <= at))
        };
        match self.pending.iter().rposition(left) {
            Some(last) => self.flush_before(flow, last + 1),
            None => Ok(()),
        }
    }

    /// Whether the far end of a flow has answered: its link address is known, and nothing keeps
    /// a segment of ours in the kernel.
    pub(super) fn has_heard(&self, flow: FlowId) -> bool {
        self.flows.get(&flow).is_some_and(|flow| flow.connection.irs().is_some())
    }
}
