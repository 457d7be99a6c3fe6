//! The far end's way from ESTABLISHED to the end.

use super::super::state::{Cause, Known, State};
use super::{PeerView, is_copy, ts_value};
use crate::time::Instant;
use crate::wire::{Flags, Segment};

impl PeerView {
    /// What our FIN and our ACK of its FIN imply. If one segment is both, the ACK counts first, as
    /// in the fifth and the eighth step of RFC 9293 §3.10.7.4.
    pub(super) fn imply_close(&mut self, segment: &Segment, arrival: Instant) {
        let cause = Cause::Received(segment.flags);
        if self.acks_its_fin(segment) {
            let next = match self.state {
                State::FinWait1 => Some(State::FinWait2),
                State::Closing => Some(State::TimeWait),
                State::LastAck => Some(State::Closed),
                _ => None,
            };
            if let Some(next) = next {
                self.become_state(next, arrival, cause, Known::Implied);
            }
        }
        if segment.has(Flags::FIN) {
            let next = match self.state {
                State::Established => Some(State::CloseWait),
                State::FinWait1 => Some(State::Closing),
                State::FinWait2 => Some(State::TimeWait),
                _ => None,
            };
            if let Some(next) = next {
                self.crossed |= next == State::Closing;
                self.become_state(next, arrival, cause, Known::Implied);
            }
        }
    }

    /// A segment without RST: it may prove that the handshake is over, that our FIN arrived, and
    /// that its own FIN left.
    pub(super) fn on_text(
        &mut self,
        segment: &Segment,
        duplicate: bool,
        left: Instant,
        at: Instant,
    ) {
        if !segment.has(Flags::ACK) {
            return;
        }
        self.prove_open(segment, left, at);
        let fin = segment.has(Flags::FIN);
        let acks_ours = self.acks_our_fin(segment);
        if fin && self.theirs.fin != Some(segment.seq_end()) {
            self.on_fin(segment, left, at);
        } else {
            if acks_ours {
                self.on_fin_acked(segment, left, at);
            }
            if fin && duplicate && !is_copy(self.theirs.fin_stamp, segment) {
                self.on_repeated_fin(segment, left, at);
            }
        }
        if acks_ours {
            self.theirs.fin_acked_at.get_or_insert(segment.seq);
        }
    }

    /// Its FIN, for the first time.
    fn on_fin(&mut self, segment: &Segment, left: Instant, at: Instant) {
        let end = segment.seq_end();
        let sent = Cause::Sent(segment.flags);
        self.theirs.fin = Some(end);
        self.theirs.fin_stamp = ts_value(segment);
        // Its FIN left before ours arrived if it does not acknowledge ours, or if an earlier
        // segment that does had been numbered behind the FIN, so that this one is a repetition.
        let acked_behind_fin = self.theirs.fin_acked_at.is_some_and(|seq| seq.is_at_or_after(end));
        let answers_ours = self.acks_our_fin(segment) && !acked_behind_fin;
        if answers_ours {
            // ACK and FIN may be one segment: CLOSE-WAIT was passed all the same.
            self.prove(State::CloseWait, left, at, sent);
            self.prove(State::LastAck, left, at, sent);
            return;
        }
        if self.state == State::CloseWait {
            self.retract(State::Established, at, sent);
        }
        self.prove(State::FinWait1, left, at, sent);
        if let Some((_, flags, sent_at)) = self.ours.fin {
            self.crossed = true;
            let received = Cause::Received(flags);
            let known = if acked_behind_fin { Known::Proved } else { Known::Implied };
            self.become_state(State::Closing, sent_at + self.half_rtt, received, known);
        }
    }

    /// Its acknowledgment of our FIN.
    fn on_fin_acked(&mut self, segment: &Segment, left: Instant, at: Instant) {
        let sent = Cause::Sent(segment.flags);
        match self.state {
            State::Established | State::CloseWait => self.prove(State::CloseWait, left, at, sent),
            State::FinWait1 | State::Closing => self.prove(State::Closing, left, at, sent),
            // The FINs crossed: it was in CLOSING when it sent this, unless a later FIN of ours,
            // which acknowledged its own, was the first to arrive.
            State::TimeWait if self.crossed => self.confirm_closing(at, sent),
            State::TimeWait => self.prove(State::TimeWait, left, at, sent),
            _ => {}
        }
    }

    fn confirm_closing(&mut self, at: Instant, sent: Cause) {
        if self.floor == State::FinWait1 && !self.ours.fin_acks_theirs {
            self.confirm(State::Closing, at, sent);
        }
    }

    /// Its FIN again: our acknowledgment of it did not arrive. If it does not acknowledge our FIN
    /// either, that did not arrive.
    fn on_repeated_fin(&mut self, segment: &Segment, left: Instant, at: Instant) {
        let sent = Cause::Sent(segment.flags);
        let state = self.floor;
        match state {
            State::LastAck | State::Closing => self.retract_to(state, left, at, sent),
            State::FinWait1 if !self.acks_our_fin(segment) => {
                self.retract_to(state, left, at, sent);
            }
            _ => {}
        }
    }
}
