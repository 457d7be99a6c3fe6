//! SYN-SENT (RFC 9293 §3.10.7.3).

use super::super::congestion::Congestion;
use super::super::connection::Connection;
use super::super::options::Negotiated;
use super::super::outcome::{ConnectionEvent, Rejection, Verdict};
use super::super::state::{Cause, State};
use super::{Step, dropped};
use crate::time::Instant;
use crate::wire::{Flags, Segment};

impl Connection {
    pub(super) fn arrives_syn_sent(&mut self, segment: &Segment, now: Instant) -> Verdict {
        let steps = self
            .syn_sent_ack(segment)
            .and_then(|()| self.syn_sent_reset(segment, now))
            // Third, check the security: no compartments here.
            .and_then(|()| self.syn_sent_syn(segment, now));
        // Fifth: neither SYN nor RST: drop.
        steps.err().unwrap_or(Verdict::Rejected(Rejection::NeitherSynNorReset))
    }

    /// First, check the ACK bit: anything but an acknowledgment of our SYN is answered with
    /// `<SEQ=SEG.ACK><CTL=RST>`.
    fn syn_sent_ack(&mut self, segment: &Segment) -> Step {
        if !segment.has(Flags::ACK) || segment.ack == self.send.nxt {
            return Ok(());
        }
        if segment.has(Flags::RST) {
            // Some stacks refuse a SYN with ack = seq: they forget that it takes a number. Who
            // knows our ISS has seen our SYN, so it is a refusal all the same.
            return if segment.ack == self.send.iss {
                Ok(())
            } else {
                dropped(Rejection::ResetNotOfSyn)
            };
        }
        self.reply = Some(self.reset_with(segment.ack, None));
        dropped(Rejection::AckNotOfSyn)
    }

    /// Second, check the RST bit: "connection reset", if the ACK was acceptable.
    fn syn_sent_reset(&mut self, segment: &Segment, now: Instant) -> Step {
        if !segment.has(Flags::RST) {
            return Ok(());
        }
        if !segment.has(Flags::ACK) {
            return dropped(Rejection::ResetNotOfSyn);
        }
        self.events.push_back(ConnectionEvent::Refused);
        self.end_connection(Cause::Received(segment.flags), now);
        Err(Verdict::Accepted)
    }

    /// Fourth, check the SYN bit: ESTABLISHED where it acknowledges ours, SYN-RECEIVED where both
    /// open at once (MUST-10).
    fn syn_sent_syn(&mut self, segment: &Segment, now: Instant) -> Step {
        if !segment.has(Flags::SYN) {
            return Ok(());
        }
        let cause = Cause::Received(segment.flags);
        self.synchronize(segment, now);
        if segment.has(Flags::ACK) {
            self.acknowledged(segment, now);
            self.establish(cause, now);
            self.acknowledge();
            // "Continue processing at the sixth step": text and FIN were kept, they count now.
            self.check_urgent(segment);
            self.deliver_text();
            self.check_fin(cause, now);
        } else {
            // Our SYN goes out again as SYN-ACK, with the same number: which of the two will be
            // acknowledged cannot be told.
            self.rto.on_resent();
            self.become_state(State::SynReceived, cause, now);
            self.syn_due = true;
        }
        Err(Verdict::Accepted)
    }

    /// Takes from a SYN what it says: numbers, window, options, and text and FIN for later.
    pub(super) fn synchronize(&mut self, segment: &Segment, now: Instant) {
        let offer = &self.config.offer;
        self.recv.synchronize(segment.seq, offer.window);
        self.agreed = Negotiated::from_syn(offer, segment);
        self.recv.bound_by_shift(self.agreed.rcv_wscale.unwrap_or(0));
        if let (true, Some((value, _))) = (self.agreed.timestamps, segment.timestamps()) {
            self.recv.record_timestamp(value, now);
        }
        // RFC 7323 §2.2: the window of a SYN is never scaled.
        let ack = if segment.has(Flags::ACK) { segment.ack } else { self.send.iss };
        self.send.set_window(u32::from(segment.window), segment.seq, ack);
        self.congestion = Congestion::new(self.send_mss(), self.syn_timed_out);
        self.recv.keep(segment.seq + 1, &segment.payload, segment.has(Flags::FIN));
    }
}
