//! The far end's way through the handshake.

use super::super::state::{Cause, End, Known, State};
use super::{PeerView, is_copy, ts_value};
use crate::time::Instant;
use crate::wire::{Flags, Segment};

impl PeerView {
    /// What our SYN-ACK or our final ACK implies.
    pub(super) fn imply_handshake(&mut self, segment: &Segment, arrival: Instant) {
        let acks_its_syn =
            segment.has(Flags::ACK) && self.theirs.syn.is_some_and(|irs| segment.ack.is_after(irs));
        if self.state == State::SynSent && segment.has(Flags::SYN) && !segment.has(Flags::ACK) {
            // Its SYN is out and ours reaches it: both open at once.
            let cause = Cause::Received(segment.flags);
            return self.become_state(State::SynReceived, arrival, cause, Known::Implied);
        }
        let moves = match self.state {
            State::SynSent => segment.has(Flags::SYN) && acks_its_syn,
            State::SynReceived => acks_its_syn,
            _ => false,
        };
        if moves {
            let cause = Cause::Received(segment.flags);
            self.become_state(State::Established, arrival, cause, Known::Implied);
        }
    }

    /// Its SYN or SYN-ACK.
    pub(super) fn on_syn(&mut self, segment: &Segment, left: Instant, at: Instant) {
        let sent = Cause::Sent(segment.flags);
        let state = if segment.has(Flags::ACK) { State::SynReceived } else { State::SynSent };
        if self.theirs.syn == Some(segment.seq) {
            let was_open_to_both = self.floor == State::SynSent;
            match state {
                State::SynReceived if was_open_to_both && self.state == State::SynSent => {
                    self.prove(state, left, at, sent);
                }
                // It was in SYN-RECEIVED when it sent this, and may be further by now.
                State::SynReceived if was_open_to_both => self.confirm(state, at, sent),
                _ if is_copy(self.theirs.syn_stamp, segment) => {}
                _ => self.retract_to(state, left, at, sent),
            }
            return;
        }
        self.theirs.syn = Some(segment.seq);
        self.theirs.syn_stamp = ts_value(segment);
        if state == State::SynReceived {
            // What moved it was the arrival of our SYN.
            let flags = self.ours.syn.map_or(Flags::SYN, |(_, flags, _)| flags);
            self.prove(state, left, at, Cause::Received(flags));
            return;
        }
        // It opens actively itself: it never listened.
        if self.state == State::Listen {
            self.retract(State::Closed, at, sent);
        }
        self.prove(State::SynSent, left, at, Cause::ActiveOpen);
        if let Some((_, flags, sent_at)) = self.ours.syn {
            // Our SYN is on its way to it as well: both open at once.
            let arrival = sent_at + self.half_rtt;
            self.become_state(State::SynReceived, arrival, Cause::Received(flags), Known::Implied);
        }
    }

    /// Data, a FIN, or an acknowledgment of more than our SYN: the handshake is over at its end
    /// too. From a client, any acknowledgment of our SYN is enough.
    pub(super) fn prove_open(&mut self, segment: &Segment, left: Instant, at: Instant) {
        let acks_more = self.ours.syn.is_some_and(|(iss, ..)| {
            segment.ack.is_after(iss + u32::from(self.end == End::Server))
        });
        if segment.payload.is_empty() && !segment.has(Flags::FIN) && !acks_more {
            return;
        }
        let sent = Cause::Sent(segment.flags);
        match self.state {
            State::Closed | State::Listen => {}
            State::SynReceived | State::SynSent | State::Established => {
                self.prove(State::Established, left, at, sent);
            }
            _ if matches!(self.floor, State::SynReceived | State::SynSent) => {
                self.confirm(State::Established, at, sent);
            }
            _ => {}
        }
    }
}
