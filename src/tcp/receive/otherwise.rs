//! SYN-RECEIVED and the synchronized states (RFC 9293 §3.10.7.4).

use super::super::connection::{Connection, Reply};
use super::super::outcome::{ConnectionEvent, Rejection, Verdict};
use super::super::state::{Cause, State};
use super::{Step, dropped};
use crate::time::Instant;
use crate::wire::{Flags, Segment, SeqNum};

impl Connection {
    pub(super) fn arrives_otherwise(&mut self, segment: &Segment, now: Instant) -> Verdict {
        self.check_sequence(segment, now)
            .and_then(|()| self.check_reset(segment, now))
            // Third, check security: no compartments here.
            .and_then(|()| self.check_syn(segment, now))
            .and_then(|()| self.check_ack(segment, now))
            .map(|()| self.check_urgent(segment))
            .and_then(|()| self.take_text(segment, now))
            .err()
            .unwrap_or(Verdict::Accepted)
    }

    /// First, check the sequence number. A RST is judged by the second step alone (RFC 5961 §3.2;
    /// MUST-66: also against a closed window).
    fn check_sequence(&mut self, segment: &Segment, now: Instant) -> Step {
        if segment.has(Flags::RST) {
            return Ok(());
        }
        self.check_timestamp(segment, now)?;
        if self.state == State::SynReceived && self.is_repeated_syn(segment) {
            return self.repeated_syn(segment);
        }
        if self.is_acceptable(segment) {
            self.record_timestamp(segment, now);
            return Ok(());
        }
        self.unacceptable(segment, now)
    }

    /// SYN-RECEIVED: the SYN that brought us here, again.
    fn repeated_syn(&mut self, segment: &Segment) -> Step {
        if !segment.has(Flags::ACK) {
            // The far end has not seen our SYN-ACK, and a bare ACK would tell it nothing.
            self.reply = (!self.syn_due).then_some(Reply::SynAck);
            return Err(Verdict::Duplicate);
        }
        self.acknowledge();
        // Both opened at once and the SYN-ACKs cross (figure 7): with its SYN trimmed off, it is the
        // acknowledgment that is awaited.
        if self.active { Ok(()) } else { Err(Verdict::Duplicate) }
    }

    /// RFC 7323 §3.2 and §5.3 (R1): a segment without the agreed timestamp is dropped in silence,
    /// one from the past is acknowledged and dropped.
    fn check_timestamp(&mut self, segment: &Segment, now: Instant) -> Step {
        // A SYN on an open connection is questioned whatever it carries (RFC 5961 §4.2).
        if !self.agreed.timestamps || self.is_late_syn(segment) {
            return Ok(());
        }
        let Some((value, _)) = segment.timestamps() else {
            return dropped(Rejection::TimestampMissing);
        };
        match self.recv.ts_recent(now) {
            Some(recent) if SeqNum(value).is_before(SeqNum(recent)) => {
                self.answer_unacceptable(segment, now);
                if self.was_received(segment) {
                    return Err(Verdict::Duplicate);
                }
                dropped(Rejection::TimestampOld)
            }
            _ => Ok(()),
        }
    }

    /// RFC 7323 §4.3 (2) and §5.3 (R3): the echo is of the segment that our last ACK asked for.
    fn record_timestamp(&mut self, segment: &Segment, now: Instant) {
        if let (true, Some((value, _))) = (self.agreed.timestamps, segment.timestamps())
            && segment.seq.is_at_or_before(self.recv.last_ack_sent)
        {
            self.recv.record_timestamp(value, now);
        }
    }

    /// The four cases of the acceptability test (table 6).
    fn is_acceptable(&self, segment: &Segment) -> bool {
        let (nxt, window, length) = (self.recv.nxt, self.recv.window(), segment.seq_len());
        match (length, window) {
            (0, 0) => segment.seq == nxt,
            (0, _) => segment.seq.in_window(nxt, window),
            (_, 0) => false,
            _ => {
                segment.seq.in_window(nxt, window) || (segment.seq_end() - 1).in_window(nxt, window)
            }
        }
    }

    fn is_late_syn(&self, segment: &Segment) -> bool {
        segment.has(Flags::SYN) && self.state != State::SynReceived
    }

    fn is_repeated_syn(&self, segment: &Segment) -> bool {
        segment.has(Flags::SYN) && Some(segment.seq) == self.recv.irs
    }

    fn was_received(&self, segment: &Segment) -> bool {
        segment.seq_len() > 0 && segment.seq_end().is_at_or_before(self.recv.nxt)
    }

    /// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply", with
    /// the cases in which it still tells something.
    fn unacceptable(&mut self, segment: &Segment, now: Instant) -> Step {
        if self.is_late_syn(segment) {
            return self.check_syn(segment, now);
        }
        let received = self.was_received(segment);
        if self.state == State::TimeWait && received && segment.has(Flags::FIN) {
            // "The only thing that can arrive in this state is a retransmission of the remote FIN.
            // Acknowledge it, and restart the 2 MSL timeout."
            self.start_time_wait(now);
        }
        self.answer_unacceptable(segment, now);
        if received {
            return Err(Verdict::Duplicate);
        }
        if segment.seq == self.recv.nxt && self.recv.window() == 0 {
            // A probe of our closed window: its text is refused, but its ACK and URG count
            // (MUST-66).
            self.check_ack(segment, now)?;
            self.check_urgent(segment);
        }
        dropped(if segment.seq.is_before(self.recv.nxt) {
            Rejection::BeforeWindow
        } else {
            Rejection::BeyondWindow
        })
    }

    /// Text is acknowledged each time; an empty segment only within the throttle, or two ends that
    /// disagree would answer each other's ACKs for ever.
    fn answer_unacceptable(&mut self, segment: &Segment, now: Instant) {
        if segment.seq_len() > 0 {
            self.acknowledge();
        } else {
            self.challenge(now);
        }
    }

    /// Second, check the RST bit (RFC 5961 §3.2): only the very next number resets; another one in
    /// the window is questioned; TIME-WAIT ignores it (RFC 1337).
    fn check_reset(&mut self, segment: &Segment, now: Instant) -> Step {
        if !segment.has(Flags::RST) {
            return Ok(());
        }
        if self.state == State::TimeWait {
            return dropped(Rejection::ResetInTimeWait);
        }
        if segment.seq != self.recv.nxt {
            return if segment.seq.in_window(self.recv.nxt, self.recv.window()) {
                self.challenge(now);
                dropped(Rejection::ResetInsideWindow)
            } else {
                dropped(Rejection::ResetOutsideWindow)
            };
        }
        let cause = Cause::Received(segment.flags);
        match (self.state, self.active) {
            (State::SynReceived, false) => self.listen_again(cause, now),
            (State::SynReceived, true) => {
                self.events.push_back(ConnectionEvent::Refused);
                self.end_connection(cause, now);
            }
            _ => {
                self.events.push_back(ConnectionEvent::ResetByPeer);
                self.end_connection(cause, now);
            }
        }
        Err(Verdict::Accepted)
    }

    /// Fourth, check the SYN bit (RFC 5961 §4.2): questioned, whatever its number; the one that we
    /// know is acknowledged again. A passive open in SYN-RECEIVED goes back to LISTEN.
    fn check_syn(&mut self, segment: &Segment, now: Instant) -> Step {
        if !segment.has(Flags::SYN) {
            return Ok(());
        }
        match self.state {
            // Only the crossing SYN-ACK comes this far: its SYN is trimmed off.
            State::SynReceived if self.is_repeated_syn(segment) => Ok(()),
            State::SynReceived if !self.active => {
                self.listen_again(Cause::Received(segment.flags), now);
                Err(Verdict::Accepted)
            }
            _ if self.is_repeated_syn(segment) => {
                self.acknowledge();
                Err(Verdict::Duplicate)
            }
            _ => {
                self.challenge(now);
                dropped(Rejection::SynOfSynchronized)
            }
        }
    }

    /// Fifth, check the ACK field.
    fn check_ack(&mut self, segment: &Segment, now: Instant) -> Step {
        if !segment.has(Flags::ACK) {
            return dropped(Rejection::NoAck);
        }
        if self.state == State::SynReceived {
            self.check_handshake_ack(segment, now)?;
        } else {
            self.check_ack_range(segment, now)?;
        }
        let covered = self.acknowledged(segment, now);
        self.update_send_window(segment);
        if covered.fin {
            self.on_fin_acknowledged(Cause::Received(segment.flags), now)?;
        }
        Ok(())
    }

    /// SYN-RECEIVED: ESTABLISHED if it acknowledges our SYN, else `<SEQ=SEG.ACK><CTL=RST>`.
    fn check_handshake_ack(&mut self, segment: &Segment, now: Instant) -> Step {
        let ack = segment.ack;
        if !(ack.is_after(self.send.una) && ack.is_at_or_before(self.send.nxt)) {
            self.reply = Some(self.reset_with(ack, None));
            return dropped(Rejection::HandshakeAck);
        }
        self.establish(Cause::Received(segment.flags), now);
        Ok(())
    }

    /// An ACK of what was never sent, or one too old to be on its way still, is answered and
    /// dropped (RFC 5961 §5.2).
    fn check_ack_range(&mut self, segment: &Segment, now: Instant) -> Step {
        if segment.ack.is_after(self.send.nxt) {
            self.challenge(now);
            return dropped(Rejection::AckOfUnsent);
        }
        // One behind at least: the SYN, which no window measures.
        let slack = self.send.max_wnd.clamp(1, 1 << 30);
        if segment.ack.is_before(self.send.una - slack) {
            self.challenge(now);
            return dropped(Rejection::AckAncient);
        }
        Ok(())
    }

    /// "If our FIN is now acknowledged": FIN-WAIT-1 → FIN-WAIT-2, CLOSING → TIME-WAIT, LAST-ACK →
    /// CLOSED.
    fn on_fin_acknowledged(&mut self, cause: Cause, now: Instant) -> Step {
        match self.state {
            State::FinWait1 => self.become_state(State::FinWait2, cause, now),
            State::Closing => self.enter_time_wait(cause, now),
            State::LastAck => {
                self.end_connection(cause, now);
                return Err(Verdict::Accepted);
            }
            _ => {}
        }
        Ok(())
    }

    /// Sixth, check the URG bit (MUST-31): RCV.UP. The data stays in the stream (RFC 6093).
    pub(super) fn check_urgent(&mut self, segment: &Segment) {
        if segment.has(Flags::URG)
            && matches!(self.state, State::Established | State::FinWait1 | State::FinWait2)
        {
            let up = segment.seq + u32::from(segment.urgent);
            self.recv.up = Some(self.recv.up.map_or(up, |known| known.later(up)));
        }
    }

    /// Seventh, process the segment text, and eighth, check the FIN bit.
    ///
    /// "This should not occur" after the far end's FIN: the text is ignored.
    fn take_text(&mut self, segment: &Segment, now: Instant) -> Step {
        if !matches!(self.state, State::Established | State::FinWait1 | State::FinWait2) {
            let late = self.recv.fin_received && segment.seq_len() > 0;
            return if late { dropped(Rejection::TextAfterFin) } else { Ok(()) };
        }
        let before = self.recv.nxt;
        let fin = segment.has(Flags::FIN);
        let syn = u32::from(segment.has(Flags::SYN));
        let kept = self.recv.keep(segment.seq + syn, &segment.payload, fin);
        self.deliver_text();
        self.check_fin(Cause::Received(segment.flags), now);
        if segment.seq_len() > 0 {
            self.acknowledge();
        }
        if kept && self.recv.nxt == before { Err(Verdict::OutOfOrder) } else { Ok(()) }
    }

    /// Moves RCV.NXT over what is in order now and hands it to the user.
    pub(super) fn deliver_text(&mut self) {
        let length = self.recv.deliver();
        if length > 0 {
            self.events.push_back(ConnectionEvent::DataReceived(length));
            self.acknowledge();
        }
    }

    /// Eighth, check the FIN bit, of this segment or of one that was waiting: everything before it
    /// has been received.
    pub(super) fn check_fin(&mut self, cause: Cause, now: Instant) {
        if !self.recv.fin_is_next() {
            return;
        }
        self.recv.take_fin();
        self.acknowledge();
        self.events.push_back(ConnectionEvent::PeerFin);
        match self.state {
            State::Established => self.become_state(State::CloseWait, cause, now),
            // Had our FIN been acknowledged, the fifth step would have left FIN-WAIT-1.
            State::FinWait1 => self.become_state(State::Closing, cause, now),
            State::FinWait2 => self.enter_time_wait(cause, now),
            _ => {}
        }
    }
}
