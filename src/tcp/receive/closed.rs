//! CLOSED (RFC 9293 §3.10.7.1).

use super::super::connection::Connection;
use super::super::outcome::{Rejection, Verdict};
use crate::wire::{Flags, Segment, SeqNum};

impl Connection {
    /// "All data in the incoming segment is discarded": answered with RST, unless it is one.
    pub(super) fn arrives_closed(&mut self, segment: &Segment) -> Verdict {
        if !segment.has(Flags::RST) {
            self.reply = Some(if segment.has(Flags::ACK) {
                self.reset_with(segment.ack, None)
            } else {
                self.reset_with(SeqNum(0), Some(segment.seq_end()))
            });
        }
        Verdict::Rejected(Rejection::NoConnection)
    }
}
