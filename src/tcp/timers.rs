//! Deadlines, and what happens when one is reached (RFC 9293 §3.10.8).

use std::time::Duration;

use super::connection::Connection;
use super::outcome::ConnectionEvent;
use super::state::{Cause, State};
use crate::time::Instant;

/// When to wake up, and for what. All empty in CLOSED and LISTEN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Deadlines {
    /// The retransmission timer.
    pub(super) retransmit: Option<Instant>,
    /// The next probe of a closed window.
    pub(super) persist: Option<Instant>,
    /// The end of TIME-WAIT.
    pub(super) time_wait: Option<Instant>,
}

impl Connection {
    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let Deadlines { retransmit, persist, time_wait } = self.deadlines;
        [retransmit, persist, time_wait].into_iter().flatten().min()
    }

    /// Acts on every deadline that `now` has reached; harmless before.
    pub fn handle_timeout(&mut self, now: Instant) {
        let reached = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if reached(self.deadlines.time_wait) {
            self.end_connection(Cause::TimeWaitExpired, now);
        } else if reached(self.deadlines.retransmit) {
            self.on_retransmission_timeout(now);
        } else if reached(self.deadlines.persist) {
            self.on_probe_timeout(now);
        }
    }

    /// RFC 6298 §5.4 to §5.6 and RFC 9293 §3.8.3.
    fn on_retransmission_timeout(&mut self, now: Instant) {
        if self.timeouts >= self.retry_limit() {
            return self.give_up(now);
        }
        let handshake = self.send.una == self.send.iss;
        if handshake {
            self.syn_timed_out = true;
        } else {
            let (flight, mss) = (self.send.flight(), self.send_mss());
            self.congestion.on_timeout(flight, mss, self.timeouts == 0);
            self.recovery.on_timeout(self.send.nxt);
        }
        self.timeouts += 1;
        self.repetitions += 1;
        self.rto.on_resent();
        self.rto.back_off();
        self.send.rewind();
        self.deadlines.retransmit = Some(now + self.patience());
    }

    /// Retransmissions of what is in flight before giving up.
    fn retry_limit(&self) -> u32 {
        let timers = &self.config.timers;
        let handshake = self.send.una == self.send.iss;
        if handshake { timers.syn_retries } else { timers.retries }
    }

    /// How long the segment that leaves now may take to be answered.
    pub(super) fn patience(&self) -> Duration {
        let last = self.timeouts >= self.retry_limit();
        self.config.timers.final_wait.filter(|_| last).unwrap_or(self.rto.rto())
    }

    /// RFC 9293 §3.8.6.1. As long as the far end answers, probing goes on for ever (MUST-37).
    fn on_probe_timeout(&mut self, now: Instant) {
        if self.probes_unanswered >= self.config.timers.retries {
            return self.give_up(now);
        }
        self.probe_due = true;
        self.probes = self.probes.saturating_add(1);
        self.probes_unanswered += 1;
        self.deadlines.persist = Some(now + self.rto.probe_interval(self.probes));
    }

    /// Brings the timers in line with what is in flight: called after whatever may have changed it.
    ///
    /// The retransmission timer is started where a segment leaves, not here.
    pub(super) fn set_deadlines(&mut self, now: Instant) {
        let in_flight = self.send.flight() > 0;
        match self.state {
            State::Closed | State::Listen | State::TimeWait => {
                self.deadlines.retransmit = None;
                self.deadlines.persist = None;
            }
            // Nothing but the SYN counts yet; its window is not known.
            _ if self.send.una == self.send.iss => {}
            _ if self.send.wnd == 0 && (in_flight || self.send.has_unsent()) => {
                self.deadlines.retransmit = None;
                let first = now + self.rto.probe_interval(0);
                self.deadlines.persist.get_or_insert(first);
            }
            _ => {
                if self.deadlines.persist.take().is_some() {
                    // The window opened: what was refused meanwhile is sent again at once.
                    self.probes = 0;
                    self.probes_unanswered = 0;
                    self.probe_due = false;
                    self.send.rewind();
                }
                if !in_flight {
                    self.deadlines.retransmit = None;
                }
            }
        }
    }

    /// TIME-WAIT begins, or begins again, and lasts 2 MSL; no other timer runs.
    pub(super) fn start_time_wait(&mut self, now: Instant) {
        let end = now + self.config.timers.msl.saturating_mul(2);
        self.deadlines = Deadlines { time_wait: Some(end), ..Deadlines::default() };
    }

    /// Enters TIME-WAIT.
    pub(super) fn enter_time_wait(&mut self, cause: Cause, now: Instant) {
        self.become_state(State::TimeWait, cause, now);
        self.start_time_wait(now);
    }

    /// Counts what an acknowledgment covered and tells the user.
    pub(super) fn report_acknowledged(&mut self, data: u32, fin: bool) {
        if data > 0 {
            self.events.push_back(ConnectionEvent::DataAcknowledged(data));
        }
        if fin {
            self.events.push_back(ConnectionEvent::FinAcknowledged);
        }
    }
}
