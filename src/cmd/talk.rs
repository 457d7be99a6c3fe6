//! A conversation over one flow: the moves of which `handshake`, `close` and their kin are made.

use std::time::Duration;

use super::Wanted;
use crate::driver::{Driver, DriverError, Flow, FlowSpec, Open, Step};
use crate::event::{
    CloseReport, Event, FlowId, HandshakeReport, Notice, Outcome, Run, Severity, Sink, Summary,
};
use crate::net::Wire;
use crate::tcp::state::State;
use crate::time::Instant;

/// How long a polite leave may take after Ctrl-C before it becomes a reset.
const LEAVE_PATIENCE: Duration = Duration::from_millis(500);
/// A reply is complete when nothing more came for so long, or for three round trips.
const QUIET: Duration = Duration::from_millis(200);

/// How long a run may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// For each answer of the peer's application.
    pub(crate) wait: Duration,
    /// For everything, from the start of the run.
    pub(crate) deadline: Option<Duration>,
}

/// What a wait ended with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waited {
    /// What was waited for came, or the connection is at its end.
    Done,
    /// It did not come in time.
    TooLong,
}

/// One flow of a driver, from its opening to the last word.
pub(crate) struct Talk<W, S> {
    pub(crate) driver: Driver<W, S>,
    pub(crate) id: FlowId,
    start: Instant,
    limits: Limits,
    interrupted: bool,
}

impl<W: Wire, S: Sink> Talk<W, S> {
    /// Reports `run` and opens the flow.
    pub(crate) fn open(
        mut driver: Driver<W, S>,
        run: Run,
        spec: FlowSpec,
        limits: Limits,
    ) -> Result<Self, DriverError> {
        let start = run.at;
        let id = driver.open(spec, run)?;
        Ok(Self { driver, id, start, limits, interrupted: false })
    }

    /// Whether the user asked to come to an end.
    pub(crate) const fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// Something about the flow, where it still is.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Flow) -> T) -> Option<T> {
        self.driver.flow(self.id).map(look)
    }

    fn is(&self, condition: impl FnOnce(&Flow) -> bool) -> bool {
        self.look(condition).unwrap_or(false)
    }

    /// Waits until `condition` holds or the connection is at its end; the run's deadline and the
    /// user bound it too.
    pub(crate) fn wait(
        &mut self,
        limit: Option<Duration>,
        condition: impl Fn(&Flow) -> bool,
    ) -> Result<Waited, DriverError> {
        if self.interrupted {
            return Ok(Waited::TooLong);
        }
        let forever = Instant::from_nanos(u64::MAX);
        let until = limit.map_or(forever, |limit| self.driver.now() + limit);
        let until = until.min(self.deadline());
        let id = self.id;
        let done = |driver: &Driver<W, S>| driver.flow(id).is_none_or(|f| condition(f) || over(f));
        loop {
            match self.driver.run_until(until, done)? {
                Step::Progress => return Ok(Waited::Done),
                Step::Deadline => return Ok(Waited::TooLong),
                Step::StatusRequested => {}
                Step::Interrupted => {
                    self.interrupted = true;
                    let at = self.driver.now();
                    let text = "interrupted: leaving the connection".to_owned();
                    let severity = Severity::Info;
                    let notice = Notice { at, severity, code: "interrupted", text };
                    self.driver.report(id, &Event::Notice(notice))?;
                    return Ok(Waited::TooLong);
                }
            }
        }
    }

    fn deadline(&self) -> Instant {
        self.limits.deadline.map_or(Instant::from_nanos(u64::MAX), |limit| self.start + limit)
    }

    /// Waits for the handshake to succeed or fail. Bounded by the machine's own retransmissions.
    ///
    /// An ICMP error is an answer, though the machine would go on trying (RFC 9293 MUST-56).
    pub(crate) fn establish(&mut self) -> Result<bool, DriverError> {
        self.wait(None, |flow| flow.ending.established || !flow.timeline.icmp.is_empty())?;
        Ok(self.is(|flow| flow.ending.established && !over(flow)))
    }

    /// Sends `data`, waits for its acknowledgment and for the reply: its first byte within the
    /// limit, then until nothing more comes for a while or the peer closes.
    pub(crate) fn exchange(&mut self, data: &[u8]) -> Result<(), DriverError> {
        if data.is_empty() {
            return Ok(());
        }
        let already = self.look(|flow| flow.received.len()).unwrap_or(0);
        self.driver.with_flow(self.id, |flow, now| flow.connection.send(data, now))?;
        // As long as the peer takes any of it, however slowly. The machine's retransmissions bound
        // a peer that is gone; this bounds one whose window stays shut.
        loop {
            let left = self.look(|flow| flow.connection.unacked_data()).unwrap_or(0);
            if left == 0 || self.is(over) {
                break;
            }
            let less = |flow: &Flow| flow.connection.unacked_data() < left;
            if self.wait(Some(self.limits.wait * 4), less)? == Waited::TooLong {
                break;
            }
        }
        let replied = |flow: &Flow| flow.received.len() > already || closed_by_peer(flow);
        if self.wait(Some(self.limits.wait), replied)? == Waited::TooLong {
            return Ok(());
        }
        self.drain()
    }

    /// Sends `data` and closes our direction in one breath: the last of it bears our FIN, so that
    /// whatever the peer answers, it answers to an end that has closed.
    pub(crate) fn send_and_close(&mut self, data: &[u8]) -> Result<(), DriverError> {
        let both = |flow: &mut Flow, now| {
            flow.connection.send(data, now).ok();
            flow.connection.close(now).ok();
        };
        self.driver.with_flow(self.id, both).map(drop)
    }

    /// Waits until the peer has said what it has to say for now.
    fn drain(&mut self) -> Result<(), DriverError> {
        let rtt = self.look(|flow| flow.connection.smoothed_rtt()).flatten().unwrap_or_default();
        let quiet = QUIET.max(rtt * 3);
        loop {
            let seen = self.look(|flow| flow.received.len()).unwrap_or(0);
            let more = |flow: &Flow| flow.received.len() > seen || closed_by_peer(flow);
            let waited = self.wait(Some(quiet), more)?;
            if waited == Waited::TooLong || self.is(closed_by_peer) || self.is(over) {
                return Ok(());
            }
        }
    }

    /// Lets `duration` pass with the connection open.
    pub(crate) fn hold(&mut self, duration: Duration) -> Result<(), DriverError> {
        self.wait(Some(duration), closed_by_peer).map(drop)
    }

    /// Closes our direction. The FIN leaves at once, or behind the data that is still queued.
    pub(crate) fn close(&mut self) -> Result<(), DriverError> {
        // A machine that cannot close any more has been closed already, by the peer or by us.
        self.driver.with_flow(self.id, |flow, now| flow.connection.close(now).ok()).map(drop)
    }

    /// Ends the connection by RST.
    pub(crate) fn abort(&mut self) -> Result<(), DriverError> {
        self.driver.with_flow(self.id, |flow, now| flow.connection.abort(now)).map(drop)
    }

    /// Waits for the peer's FIN after ours: as long as anything comes, and `wait` beyond that.
    pub(crate) fn await_peer_fin(&mut self) -> Result<Waited, DriverError> {
        loop {
            let seen = self.look(|flow| flow.received.len()).unwrap_or(0);
            let limit = Some(self.limits.wait);
            let waited = self.wait(limit, |flow| finished(flow) || flow.received.len() > seen)?;
            if waited == Waited::TooLong || self.is(finished) || self.is(over) {
                return Ok(waited);
            }
        }
    }

    /// Stays in TIME-WAIT, if that is where the connection is, for its 2 MSL; how long it was.
    pub(crate) fn linger(&mut self) -> Result<Option<Duration>, DriverError> {
        if !self.is(|flow| flow.connection.state() == State::TimeWait) {
            return Ok(None);
        }
        let from = self.driver.now();
        self.wait(None, over)?;
        Ok(Some(self.driver.now().since(from)))
    }

    /// Leaves on every path: after an interrupt by FIN if the peer is quick, else by RST. Nothing
    /// stays half-open. Gives both ends' states, ours first, before that RST.
    pub(crate) fn leave(&mut self) -> Result<(State, State), DriverError> {
        if self.interrupted && self.is(|flow| flow.connection.state().is_synchronized()) {
            // It may have been closed already, a moment ago.
            self.close()?;
            let until = self.driver.now() + LEAVE_PATIENCE;
            let id = self.id;
            let gone = |driver: &Driver<W, S>| driver.flow(id).is_none_or(finished);
            self.driver.run_until(until, gone)?;
        }
        self.driver.settle(Some(self.id))?;
        let both = |flow: &Flow| (flow.connection.state(), flow.peer.state());
        let states = self.look(both).unwrap_or((State::Closed, State::Closed));
        if !self.is(|flow| matches!(flow.connection.state(), State::Closed | State::TimeWait)) {
            self.abort()?;
        }
        self.driver.settle(None)?;
        Ok(states)
    }

    /// Has the last word.
    pub(crate) fn finish(
        mut self,
        outcome: Outcome,
        wanted: &Wanted,
        handshake: HandshakeReport,
        close: Option<CloseReport>,
    ) -> Result<Summary, DriverError> {
        self.driver.settle(None)?;
        let summary = Summary {
            outcome,
            as_expected: wanted.includes(outcome),
            interrupted: self.interrupted,
            elapsed: self.driver.now().since(self.start),
            traffic: self.driver.traffic(),
            handshake: Some(handshake),
            close,
            probes: Vec::new(),
            listen: None,
            requests: None,
        };
        self.driver.report(self.id, &Event::Summary(Box::new(summary.clone())))?;
        Ok(summary)
    }

    /// Puts a fully open gate in place and hands over what the old one held: it arrives at the very
    /// moment at which our FIN left.
    pub(crate) fn open_gate(&mut self) -> Result<(), DriverError> {
        let open = |flow: &mut Flow, now| {
            let at = flow.timeline.fins.first().map_or(now, |stamp| stamp.at);
            flow.open_gate(Box::new(Open), at);
        };
        self.driver.with_flow(self.id, open).map(drop)
    }
}

/// Whether nothing more can happen on the flow.
fn over(flow: &Flow) -> bool {
    flow.connection.state() == State::Closed || flow.interference
}

fn closed_by_peer(flow: &Flow) -> bool {
    flow.connection.peer_fin_received() || flow.held() > 0 || flow.ending.reset
}

/// Whether both FINs have come and gone, or a reset made them needless.
fn finished(flow: &Flow) -> bool {
    over(flow) || (flow.connection.fin_acked() && flow.connection.peer_fin_received())
}
