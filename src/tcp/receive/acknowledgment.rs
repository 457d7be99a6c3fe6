//! What an acceptable acknowledgment does to the send side (RFC 9293 §3.10.7.4, fifth).

use super::super::connection::Connection;
use super::super::send::Acknowledged;
use crate::time::Instant;
use crate::wire::{Flags, Segment};

impl Connection {
    /// SEG.ACK lies in `SND.UNA..=SND.NXT`: "any segments on the retransmission queue that are
    /// thereby entirely acknowledged are removed". Returns what it covered.
    pub(super) fn acknowledged(&mut self, segment: &Segment, now: Instant) -> Acknowledged {
        // Whatever it acknowledges, the far end is alive.
        self.probes_unanswered = 0;
        if !segment.ack.is_after(self.send.una) {
            return Acknowledged::default();
        }
        let of_syn = self.send.una == self.send.iss;
        let echo = segment
            .timestamps()
            .filter(|_| self.agreed.timestamps)
            .and_then(|(_, echo)| self.echo_age(echo, now));
        let covered = self.send.acknowledge(segment.ack);
        self.rto.on_acknowledged(segment.ack, echo, now);
        if of_syn {
            self.syn_due = false;
            if self.syn_timed_out {
                self.rto.after_lost_syn();
            }
        } else {
            let mss = self.send_mss();
            self.congestion.on_acknowledged(covered.data, mss);
        }
        self.timeouts = 0;
        self.repetitions = 0;
        // RFC 6298 §5.2, §5.3: off when all is acknowledged, else from the start.
        self.deadlines.retransmit = (self.send.flight() > 0).then(|| now + self.rto.rto());
        self.report_acknowledged(covered.data, covered.fin);
        covered
    }

    /// Updates the send window, unless the segment is older than the one that set it last.
    pub(super) fn update_send_window(&mut self, segment: &Segment) {
        let send = &self.send;
        if segment.ack.is_before(send.una) {
            return;
        }
        let newer = send.wl1.is_before(segment.seq)
            || (send.wl1 == segment.seq && send.wl2.is_at_or_before(segment.ack));
        if newer {
            // RFC 7323 §2.2: the window of a SYN is never scaled.
            let scaled = !segment.has(Flags::SYN);
            let shift = self.agreed.snd_wscale.filter(|_| scaled).unwrap_or(0);
            let window = u32::from(segment.window) << shift;
            self.send.set_window(window, segment.seq, segment.ack);
        }
    }
}
