//! What an acceptable acknowledgment does to the send side (RFC 9293 §3.10.7.4, fifth).

use super::super::connection::Connection;
use super::super::send::Acknowledged;
use crate::time::Instant;
use crate::wire::{Flags, Segment, TcpOption};

impl Connection {
    /// SEG.ACK lies in `SND.UNA..=SND.NXT`: "any segments on the retransmission queue that are
    /// thereby entirely acknowledged are removed". Returns what it covered.
    pub(super) fn acknowledged(&mut self, segment: &Segment, now: Instant) -> Acknowledged {
        // Whatever it acknowledges, the far end is alive.
        self.probes_unanswered = 0;
        if !segment.ack.is_after(self.send.una) {
            self.acknowledged_nothing(segment);
            return Acknowledged::default();
        }
        let before = self.send.una;
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
            self.recovery.forget_before(segment.ack);
            self.note_sack(segment);
            if !self.recovery.is_active() {
                self.congestion.on_acknowledged(covered.data, mss);
            }
            self.recovery.on_progress(segment.ack, segment.ack.offset_from(before), mss);
        }
        self.timeouts = 0;
        self.repetitions = 0;
        // RFC 6298 §5.2, §5.3: off when all is acknowledged, else from the start.
        self.deadlines.retransmit = (self.send.flight() > 0).then(|| now + self.patience());
        self.report_acknowledged(covered.data, covered.fin);
        covered
    }

    /// An acknowledgment that covers nothing new may tell of a loss (RFC 5681 §2, "duplicate
    /// acknowledgment", and RFC 6675 §2, by new blocks).
    fn acknowledged_nothing(&mut self, segment: &Segment) {
        // What a time-out declared lost is on its way again already.
        if segment.ack != self.send.una || self.send.una == self.send.iss || self.send.flight() == 0
        {
            return;
        }
        let news = self.note_sack(segment);
        let plain = segment.seq_len() == 0
            && u32::from(segment.window) << self.agreed.snd_wscale.unwrap_or(0) == self.send.wnd;
        // Where a closed window is probed, the answers are about the probes.
        if !(news || plain && !self.agreed.sack) || self.send.resend.is_some() || self.send.wnd == 0
        {
            return;
        }
        let (una, nxt, mss) = (self.send.una, self.send.nxt, self.send_mss());
        if self.recovery.on_duplicate(una, mss) {
            self.congestion.on_loss(self.send.flight(), mss);
            self.recovery.begin(una, nxt);
        }
    }

    /// Takes in the selective acknowledgments of a segment; whether they said anything new.
    fn note_sack(&mut self, segment: &Segment) -> bool {
        let (una, nxt) = (self.send.una, self.send.nxt);
        let mut news = false;
        for option in segment.options.iter().filter(|_| self.agreed.sack) {
            if let TcpOption::Sack(blocks) = option {
                news |= self.recovery.note_blocks(blocks, una, nxt);
            }
        }
        news
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
