//! What leaves: RST, SYN, repetitions, new data and FIN, window probes, and plain ACKs.

use super::connection::{Connection, Reply};
use super::options;
use super::outcome::{Transmit, TransmitKind};
use super::send::Resend;
use super::state::{Cause, State};
use crate::time::{Instant, nanos_of};
use crate::wire::{Flags, Segment, SeqNum, TcpOption};

impl Connection {
    /// The next segment to send, until there is none. `now` becomes its timestamp.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        match self.reply.take() {
            Some(Reply::Reset(segment)) => {
                return Some(Transmit { segment: *segment, kind: TransmitKind::Reset });
            }
            Some(Reply::ChallengeAck) => {
                return Some(self.plain_ack(TransmitKind::ChallengeAck, now));
            }
            Some(Reply::SynAck) => {
                self.repetitions += 1;
                self.rto.on_resent();
                return Some(self.syn(TransmitKind::Retransmission(self.repetitions), now));
            }
            reply => self.reply = reply,
        }
        if matches!(self.state, State::Closed | State::Listen) {
            return None;
        }
        let sent = self
            .first_syn(now)
            .or_else(|| self.repetition(now))
            .or_else(|| self.lost_text(false, now))
            .or_else(|| self.new_text(now))
            .or_else(|| self.lost_text(true, now))
            .or_else(|| self.window_probe(now));
        match sent {
            Some(sent) => {
                // It carries the acknowledgment, unless it is a bare SYN, which nothing preceded.
                self.reply = None;
                Some(sent)
            }
            None => self.reply.take().map(|_| self.plain_ack(TransmitKind::First, now)),
        }
    }

    fn first_syn(&mut self, now: Instant) -> Option<Transmit> {
        if !std::mem::take(&mut self.syn_due) {
            return None;
        }
        if self.state == State::SynSent || !self.active {
            self.rto.on_first_sent(self.send.iss + 1, now);
        }
        self.start_retransmission_timer(now);
        Some(self.syn(TransmitKind::First, now))
    }

    /// Goes on repeating what a time-out declared lost, as the windows allow.
    fn repetition(&mut self, now: Instant) -> Option<Transmit> {
        let Resend { next, until } = self.send.resend?;
        let kind = TransmitKind::Retransmission(self.repetitions.max(1));
        if next == self.send.iss {
            self.advance_resend(next + 1, until);
            return Some(self.syn(kind, now));
        }
        if self.send.una == self.send.iss {
            // What follows the SYN waits for its acknowledgment.
            self.send.resend = None;
            return None;
        }
        // What has been acknowledged selectively since then has arrived.
        let next = self.recovery.skip(next);
        if !next.is_before(until) {
            self.send.resend = None;
            return None;
        }
        let hole = self.recovery.next_block(next).map_or(until, |block| block.earlier(until));
        let ahead = next.offset_from(self.send.una);
        let window = self.congestion.window().min(self.send.wnd);
        let room = window.saturating_sub(ahead);
        if room == 0 {
            return None;
        }
        let segment = self.text(next, room.min(hole.offset_from(next)), now);
        self.advance_resend(segment.seq_end(), until);
        self.start_retransmission_timer(now);
        Some(Transmit { segment, kind })
    }

    fn advance_resend(&mut self, next: SeqNum, until: SeqNum) {
        self.send.resend = next.is_before(until).then_some(Resend { next, until });
    }

    /// What acknowledgments declare lost, once, as the congestion window allows (RFC 6675 §5); where
    /// `all`, also what only may be lost.
    fn lost_text(&mut self, all: bool, now: Instant) -> Option<Transmit> {
        if self.send.resend.is_some() || !self.may_send_text() {
            return None;
        }
        let (una, nxt, mss) = (self.send.una, self.send.nxt, self.send_mss());
        let (from, to) = self.recovery.next_lost(una, nxt, mss, all)?;
        // The first one goes out whatever the window.
        if from != una && self.congestion_room() < mss {
            return None;
        }
        let segment = self.text(from, to.offset_from(from), now);
        self.recovery.resent_up_to(segment.seq_end());
        self.rto.on_resent();
        self.repetitions += 1;
        self.start_retransmission_timer(now);
        Some(Transmit { segment, kind: TransmitKind::Retransmission(self.repetitions) })
    }

    /// Bytes that the network may be given on top of what is on its way.
    fn congestion_room(&self) -> u32 {
        let (una, nxt, mss) = (self.send.una, self.send.nxt, self.send_mss());
        let window = self.congestion.window();
        if self.recovery.is_active() {
            return window.saturating_sub(self.recovery.pipe(una, nxt, mss));
        }
        let window = window.saturating_add(self.recovery.allowance().saturating_mul(mss));
        window.saturating_sub(self.send.flight())
    }

    /// Data never sent, then the FIN.
    fn new_text(&mut self, now: Instant) -> Option<Transmit> {
        if !self.may_send_text() || !self.send.has_unsent() {
            return None;
        }
        let promised = self.send.wnd.saturating_sub(self.send.flight());
        let room = self.congestion_room().min(promised);
        if room == 0 || self.would_be_silly(room) {
            return None;
        }
        let segment = self.text(self.send.nxt, room, now);
        if segment.seq_len() == 0 {
            return None;
        }
        self.note_new_text(&segment, now);
        self.start_retransmission_timer(now);
        Some(Transmit { segment, kind: TransmitKind::First })
    }

    /// Whether data or FIN may leave. In FIN-WAIT-1 that is so even before our SYN is acknowledged:
    /// the user closed in SYN-RECEIVED.
    fn may_send_text(&self) -> bool {
        self.state.is_synchronized() && self.state != State::TimeWait
    }

    /// Sender's silly window avoidance (RFC 9293 §3.8.6.2.1, MUST-38), without the Nagle algorithm:
    /// a small segment leaves if it is all that there is, is half the far end's largest window, or
    /// nothing else is in flight that could bring a larger window.
    fn would_be_silly(&self, room: u32) -> bool {
        let unsent = self.send.unsent_data();
        let sendable = room.min(unsent);
        sendable < unsent
            && sendable < self.send_mss()
            && sendable < self.send.max_wnd / 2
            && self.send.flight() > 0
    }

    /// SND.NXT moves over `segment`, which leaves for the first time.
    fn note_new_text(&mut self, segment: &Segment, now: Instant) {
        self.send.nxt = segment.seq_end();
        self.rto.on_first_sent(segment.seq_end(), now);
        if segment.has(Flags::FIN) && self.state == State::CloseWait {
            self.become_state(State::LastAck, Cause::Sent(segment.flags), now);
        }
    }

    /// One byte, or the FIN, against a closed window (RFC 9293 §3.8.6.1).
    fn window_probe(&mut self, now: Instant) -> Option<Transmit> {
        if !std::mem::take(&mut self.probe_due) || !self.may_send_text() {
            return None;
        }
        let segment = self.text(self.send.una, 1, now);
        if segment.seq_len() == 0 {
            return None;
        }
        let kind = if self.send.flight() == 0 {
            self.note_new_text(&segment, now);
            TransmitKind::First
        } else {
            self.rto.on_resent();
            self.repetitions += 1;
            TransmitKind::Retransmission(self.repetitions)
        };
        Some(Transmit { segment, kind })
    }

    fn start_retransmission_timer(&mut self, now: Instant) {
        let expiry = now + self.patience();
        self.deadlines.retransmit.get_or_insert(expiry);
    }

    /// Our SYN, with ACK where the far end's came.
    fn syn(&mut self, kind: TransmitKind, now: Instant) -> Transmit {
        let offer = &self.config.offer;
        let value = self.ts_value(now);
        let (flags, options) = if self.recv.irs.is_some() {
            let echo = self.recv.ts_echo();
            let ecn = if self.agreed.ecn { Flags::ECE } else { Flags::NONE };
            let options = options::of_syn_ack(offer, &self.agreed, (value, echo));
            (Flags::SYN | Flags::ACK | ecn, options)
        } else {
            let ecn = if offer.ecn { Flags::ECE | Flags::CWR } else { Flags::NONE };
            (Flags::SYN | ecn, options::of_syn(offer, value))
        };
        // The window of a SYN is not scaled, and is the one that the caller chose.
        let window = offer.window;
        let segment = Segment { window, options, ..self.header(self.send.iss, flags) };
        Transmit { segment, kind }
    }

    fn plain_ack(&mut self, kind: TransmitKind, now: Instant) -> Transmit {
        Transmit { segment: self.text(self.send.nxt, 0, now), kind }
    }

    /// ACK with at most `room` sequence numbers of data and FIN from `seq` on, and never more data
    /// than a segment may hold.
    fn text(&mut self, seq: SeqNum, room: u32, now: Instant) -> Segment {
        let options = self.segment_options(now);
        let most = usize::from(self.agreed.send_mss)
            .saturating_sub(options::length(&options))
            .max(1)
            .min(room as usize);
        let payload = self.send.data_at(seq, most);
        let end = seq + u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let last = end == self.send.data_end();
        let mut flags = Flags::ACK;
        if !payload.is_empty() && last {
            flags |= Flags::PSH;
        }
        let fits = (payload.len() as u64) < u64::from(room);
        if self.send.fin_queued() && last && fits {
            flags |= Flags::FIN;
        }
        let shift = self.agreed.rcv_wscale.unwrap_or(0);
        let window = self.recv.advertise(shift, self.our_mss());
        Segment { window, options, payload, ..self.header(seq, flags) }
    }

    fn segment_options(&self, now: Instant) -> Vec<TcpOption> {
        let echo = self.recv.ts_echo();
        let timestamps = self.agreed.timestamps.then(|| (self.ts_value(now), echo));
        let sack = self.agreed.sack;
        options::of_segment(
            timestamps,
            |room| {
                if sack { self.recv.sack_blocks(room) } else { Vec::new() }
            },
        )
    }

    fn header(&self, seq: SeqNum, flags: Flags) -> Segment {
        let acked = flags.contains(Flags::ACK);
        Segment {
            src_port: self.config.local_port,
            dst_port: self.remote_port,
            seq,
            ack: if acked { self.recv.nxt } else { SeqNum::default() },
            flags,
            ..Segment::default()
        }
    }

    /// TSval: milliseconds, shifted by the caller's offset (RFC 7323 §5.4 allows 1 ms to 1 s).
    fn ts_value(&self, now: Instant) -> u32 {
        // The low 32 bits: the timestamp clock wraps by design.
        #[allow(clippy::cast_possible_truncation)]
        let milliseconds = (now.as_nanos() / 1_000_000) as u32;
        milliseconds.wrapping_add(self.config.ts_offset)
    }

    /// How old the timestamp is that `echo` echoes; `None` where it cannot be one of ours.
    pub(super) fn echo_age(&self, echo: u32, now: Instant) -> Option<std::time::Duration> {
        let age =
            std::time::Duration::from_millis(u64::from(self.ts_value(now).wrapping_sub(echo)));
        // Older than our clock, or a minute beyond what any retransmission takes: forged or wrong.
        (nanos_of(age) <= now.as_nanos() && age.as_secs() < 600).then_some(age)
    }

    /// Bytes of payload that we send in one segment, options off.
    pub(super) fn send_mss(&self) -> u32 {
        let stamps = if self.agreed.timestamps { 12 } else { 0 };
        u32::from(self.agreed.send_mss).saturating_sub(stamps).max(1)
    }
}
