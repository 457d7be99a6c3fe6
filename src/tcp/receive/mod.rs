//! What a segment that arrives does: RFC 9293 §3.10.7, one file for each group of states, one
//! function for each step, in the RFC's order.

mod acknowledgment;
mod closed;
mod listen;
mod otherwise;
mod syn_sent;

use super::connection::{Connection, Reply};
use super::outcome::{Rejection, Verdict};
use super::state::State;
use crate::time::Instant;
use crate::wire::Segment;

/// A step either lets the segment go on to the next one, or ends with a verdict.
type Step = Result<(), Verdict>;

/// The end of a step: "drop the segment and return".
const fn dropped(rejection: Rejection) -> Step {
    Err(Verdict::Rejected(rejection))
}

impl Connection {
    /// SEGMENT ARRIVES (RFC 9293 §3.10.7). The caller has checked addresses and checksum.
    pub fn handle_segment(&mut self, segment: &Segment, now: Instant) -> Verdict {
        if !self.concerns_us(segment) {
            return Verdict::Rejected(Rejection::OtherConnection);
        }
        let verdict = match self.state {
            State::Closed => self.arrives_closed(segment),
            State::Listen => self.arrives_listen(segment, now),
            State::SynSent => self.arrives_syn_sent(segment, now),
            _ => self.arrives_otherwise(segment, now),
        };
        self.set_deadlines(now);
        verdict
    }

    fn concerns_us(&self, segment: &Segment) -> bool {
        segment.dst_port == self.config.local_port
            && (self.remote_port == segment.src_port
                || (self.remote_port == 0 && self.state == State::Listen))
    }

    /// Sends `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`.
    fn acknowledge(&mut self) {
        self.reply = Some(Reply::Ack);
    }

    /// The same as a question to a far end that may not have meant it, throttled (RFC 5961 §7).
    fn challenge(&mut self, now: Instant) {
        if self.throttle.admit(now) {
            self.reply = Some(Reply::ChallengeAck);
        }
    }
}
