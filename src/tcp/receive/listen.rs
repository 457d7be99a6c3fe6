//! LISTEN (RFC 9293 §3.10.7.2).

use super::super::connection::Connection;
use super::super::outcome::{Rejection, Verdict};
use super::super::state::{Cause, State};
use super::{Step, dropped};
use crate::time::Instant;
use crate::wire::{Flags, Segment};

impl Connection {
    pub(super) fn arrives_listen(&mut self, segment: &Segment, now: Instant) -> Verdict {
        let steps = Self::listen_reset(segment)
            .and_then(|()| self.listen_ack(segment))
            .and_then(|()| self.listen_syn(segment, now));
        // Fourth: "other data or control": drop.
        steps.err().unwrap_or(Verdict::Rejected(Rejection::NoSyn))
    }

    /// First, check for a RST: it cannot be about anything that was sent.
    fn listen_reset(segment: &Segment) -> Step {
        if segment.has(Flags::RST) { dropped(Rejection::ResetOfListener) } else { Ok(()) }
    }

    /// Second, check for an ACK: `<SEQ=SEG.ACK><CTL=RST>`.
    fn listen_ack(&mut self, segment: &Segment) -> Step {
        if !segment.has(Flags::ACK) {
            return Ok(());
        }
        // The answer must reach whoever asked, also where any port may connect.
        let bound = std::mem::replace(&mut self.remote_port, segment.src_port);
        self.reply = Some(self.reset_with(segment.ack, None));
        self.remote_port = bound;
        dropped(Rejection::AckOfListener)
    }

    /// Third, check for a SYN: SYN-RECEIVED, the SYN-ACK ready to leave. Text and FIN on it wait
    /// for ESTABLISHED.
    fn listen_syn(&mut self, segment: &Segment, now: Instant) -> Step {
        if !segment.has(Flags::SYN) {
            return Ok(());
        }
        self.remote_port = segment.src_port;
        self.synchronize(segment, now);
        self.start_syn();
        self.become_state(State::SynReceived, Cause::Received(segment.flags), now);
        Err(Verdict::Accepted)
    }
}
