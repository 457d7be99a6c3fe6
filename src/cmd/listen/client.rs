//! One client: what the application behind the port does with it, and what goes wrong on purpose.

use std::rc::Rc;
use std::time::Duration;

use super::content::Content;
use super::gate::Faults;
use crate::cli::value::Trigger;
use crate::driver::Flow;
use crate::tcp::state::State;
use crate::time::Instant;

/// How long a client may take to close after we have: as long as Linux's `tcp_fin_timeout`.
const FIN_PATIENCE: Duration = Duration::from_secs(60);
/// How long a client whose SYNs are treated as lost may be silent before it is forgotten. Linux's
/// last pause is 32 s.
const SYN_PATIENCE: Duration = Duration::from_secs(70);

/// What is done with data.
#[derive(Clone, Debug)]
pub(super) enum Behaviour {
    /// It is read.
    Discard,
    /// It is sent back.
    Echo,
    /// It is read, and this is sent.
    Reply(Rc<Content>),
}

/// What is done with every client.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) behaviour: Behaviour,
    pub(super) close_after: Option<Trigger>,
    pub(super) rst_after: Option<Trigger>,
    pub(super) never_close: bool,
    pub(super) simultaneous_open: bool,
    pub(super) delay_synack: Duration,
    /// How long nothing may move.
    pub(super) idle: Option<Duration>,
    /// Bytes that may be queued for one client.
    pub(super) queue: usize,
}

/// Why a connection was ended by RST.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Abort {
    /// `--rst-after`.
    Asked,
    /// The client did not close after us.
    StillOpen,
    /// Nothing moved for too long, and it could not be closed, or nothing moved then either.
    Idle,
    /// The run is over.
    Leaving,
    /// It made room for a client that had proved itself.
    Evicted,
    /// Our kernel has reset it anyway.
    Disturbed,
    /// What was to be sent cannot be read.
    Unreadable,
}

/// The next thing to do with a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Move {
    /// Our own SYN leaves before the client's is heard.
    OpenActively,
    /// The client's SYN is heard.
    AdmitSyn,
    /// The client's FIN is heard.
    AdmitFin,
    /// What arrived is read.
    Read,
    /// What arrived is sent back.
    Echo,
    /// More of the file is queued.
    Feed,
    /// Our direction is closed.
    Close,
    /// The same, because nothing moved for too long.
    CloseIdle,
    /// The connection is reset.
    Abort(Abort),
}

/// What is remembered of a client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// Its number, from 1.
    pub(super) number: u64,
    /// When its first SYN came.
    pub(super) since: Instant,
    pub(super) faults: Faults,
    /// When its handshake was seen to be over.
    pub(super) opened_at: Option<Instant>,
    syn_admitted: bool,
    fin_admitted: bool,
    /// Bytes of the file that were queued.
    offset: u64,
    fed: bool,
    /// We have closed.
    pub(super) closed: bool,
    /// When our FIN was acknowledged and the client's had not come.
    waits_since: Option<Instant>,
    pub(super) aborted: Option<Abort>,
    /// Both ends' states before we reset it, ours first.
    pub(super) states: Option<(State, State)>,
    pub(super) time_wait_since: Option<Instant>,
    /// Bytes received and acknowledged, and the state, when anything last moved; and when that was.
    moved: (u64, u64, State),
    moved_at: Instant,
    /// It was closed because nothing moved.
    pub(super) was_idle: bool,
    /// When it is looked at again.
    pub(super) alarm: Option<Instant>,
}

impl Client {
    pub(super) fn new(number: u64, since: Instant, faults: Faults) -> Self {
        Self {
            number,
            since,
            syn_admitted: !faults.hold_syn,
            fin_admitted: !faults.hold_fin,
            faults,
            opened_at: None,
            offset: 0,
            fed: false,
            closed: false,
            waits_since: None,
            aborted: None,
            states: None,
            time_wait_since: None,
            moved: (0, 0, State::Listen),
            moved_at: since,
            was_idle: false,
            alarm: None,
        }
    }

    /// Takes note of how far the connection has got.
    pub(super) fn look(&mut self, flow: &Flow, now: Instant) {
        if flow.ending.established {
            self.opened_at.get_or_insert(now);
        }
        let moved = (flow.bytes_received, flow.bytes_acknowledged, flow.connection.state());
        if moved != self.moved {
            (self.moved, self.moved_at) = (moved, now);
        }
        match flow.connection.state() {
            State::FinWait2 => {
                self.waits_since.get_or_insert(now);
            }
            State::TimeWait => {
                self.time_wait_since.get_or_insert(now);
            }
            _ => {}
        }
    }

    /// Whether nothing more can happen.
    pub(super) fn is_over(&self, flow: &Flow) -> bool {
        flow.ending.returned || flow.connection.state() == State::Closed
    }

    /// What is to be done now, if anything.
    pub(super) fn next_move(&self, flow: &Flow, manner: &Manner, now: Instant) -> Option<Move> {
        if self.aborted.is_some() || self.is_over(flow) {
            return None;
        }
        if flow.interference {
            return Some(Move::Abort(Abort::Disturbed));
        }
        let Some(opened_at) = self.opened_at else { return self.opening_move(flow, manner, now) };
        if is_due(manner.rst_after, flow, opened_at, now) {
            return Some(Move::Abort(Abort::Asked));
        }
        if self.waits_since.is_some_and(|since| since + FIN_PATIENCE <= now)
            && flow.connection.state() == State::FinWait2
        {
            return Some(Move::Abort(Abort::StillOpen));
        }
        if self.idle_end(flow, manner).is_some_and(|end| end <= now) {
            return Some(self.idle_move(flow, manner));
        }
        self.data_move(flow, manner).or_else(|| self.closing_move(flow, manner, opened_at, now))
    }

    /// When nothing has moved for too long. What comes after our FIN's acknowledgment has limits of
    /// its own.
    fn idle_end(&self, flow: &Flow, manner: &Manner) -> Option<Instant> {
        let bounded = matches!(flow.connection.state(), State::FinWait2 | State::TimeWait);
        manner.idle.filter(|_| !bounded).map(|idle| self.moved_at + idle)
    }

    /// Polite, where that can be.
    fn idle_move(&self, flow: &Flow, manner: &Manner) -> Move {
        let state = flow.connection.state();
        let can_close = matches!(state, State::Established | State::CloseWait);
        if can_close && !self.closed && !manner.never_close {
            Move::CloseIdle
        } else {
            Move::Abort(Abort::Idle)
        }
    }

    fn opening_move(&self, flow: &Flow, manner: &Manner, now: Instant) -> Option<Move> {
        let state = flow.connection.state();
        if state == State::Listen && !self.faults.kept.get().syn {
            let silent = self.since + SYN_PATIENCE <= now;
            return silent.then_some(Move::Abort(Abort::StillOpen));
        }
        if self.syn_admitted || now < self.since + manner.delay_synack {
            return None;
        }
        match state {
            State::Listen if manner.simultaneous_open => Some(Move::OpenActively),
            // Ours has left when the capture showed it; only then may theirs arrive.
            State::SynSent if flow.timeline.syns.is_empty() => None,
            _ => Some(Move::AdmitSyn),
        }
    }

    fn data_move(&self, flow: &Flow, manner: &Manner) -> Option<Move> {
        let connection = &flow.connection;
        let queued = connection.unacked_data();
        let sends =
            !self.closed && matches!(connection.state(), State::Established | State::CloseWait);
        match &manner.behaviour {
            Behaviour::Echo if sends => {
                (connection.waiting() > 0 && queued < manner.queue).then_some(Move::Echo)
            }
            Behaviour::Reply(_) if sends && self.is_asked(flow) && !self.fed => {
                (queued <= manner.queue / 2).then_some(Move::Feed)
            }
            _ => None,
        }
        // Nobody wants to send back what comes behind our own FIN.
        .or_else(|| {
            let unread = connection.waiting() > 0;
            let echoes = matches!(manner.behaviour, Behaviour::Echo) && sends;
            (unread && !echoes).then_some(Move::Read)
        })
    }

    /// The client has said what it wants, or that it will say nothing.
    fn is_asked(&self, flow: &Flow) -> bool {
        flow.bytes_received > 0 || flow.connection.peer_fin_received()
    }

    fn closing_move(
        &self,
        flow: &Flow,
        manner: &Manner,
        opened_at: Instant,
        now: Instant,
    ) -> Option<Move> {
        let fin_is_kept = !self.fin_admitted && self.faults.kept.get().fin;
        if self.closed {
            return (fin_is_kept && !flow.timeline.fins.is_empty()).then_some(Move::AdmitFin);
        }
        let has_read = flow.connection.waiting() == 0;
        let answered = match manner.behaviour {
            Behaviour::Reply(_) => self.fed,
            Behaviour::Echo => has_read && flow.connection.peer_fin_received(),
            Behaviour::Discard => flow.connection.peer_fin_received(),
        };
        let closes = is_due(manner.close_after, flow, opened_at, now)
            || fin_is_kept
            || answered && !manner.never_close;
        closes.then_some(Move::Close)
    }

    /// When it should be looked at again, though nothing happens.
    pub(super) fn next_alarm(&self, flow: &Flow, manner: &Manner) -> Option<Instant> {
        if self.aborted.is_some() || self.is_over(flow) {
            return None;
        }
        let Some(opened) = self.opened_at else {
            return if self.syn_admitted {
                (flow.connection.state() == State::Listen).then(|| self.since + SYN_PATIENCE)
            } else if self.faults.kept.get().syn {
                Some(self.since + manner.delay_synack)
            } else {
                Some(self.since + SYN_PATIENCE)
            };
        };
        let after = |trigger: Option<Trigger>| match trigger {
            Some(Trigger::After(time)) => Some(opened + time),
            _ => None,
        };
        let close = after(manner.close_after).filter(|_| !self.closed);
        let fin = self.waits_since.filter(|_| flow.connection.state() == State::FinWait2);
        let fin = fin.map(|since| since + FIN_PATIENCE);
        [after(manner.rst_after), close, fin, self.idle_end(flow, manner)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Carries out a move on the flow's machine.
    pub(super) fn carry_out(&mut self, what: Move, flow: &mut Flow, manner: &Manner, now: Instant) {
        match what {
            Move::OpenActively => flow.connection.open(now),
            Move::AdmitSyn => {
                self.syn_admitted = true;
                let gate = self.faults.after_syn();
                flow.open_gate(Box::new(gate), now);
            }
            Move::AdmitFin => {
                self.fin_admitted = true;
                // It arrives at the very moment at which ours left.
                let at = flow.timeline.fins.first().map_or(now, |stamp| stamp.at);
                let gate = self.faults.after_syn().after_fin();
                flow.open_gate(Box::new(gate), at);
            }
            Move::Read => drop(flow.connection.take_received()),
            Move::Echo => {
                let data = flow.connection.take_received();
                // Its room was looked at before.
                flow.connection.send(&data, now).ok();
            }
            Move::Feed => self.feed(flow, manner, now),
            Move::Close | Move::CloseIdle => {
                self.closed = true;
                self.was_idle |= what == Move::CloseIdle;
                // From now on it is for the client to close.
                self.moved_at = now;
                // One that cannot close any more has been closed by the client.
                flow.connection.close(now).ok();
            }
            Move::Abort(why) => {
                self.aborted = Some(why);
                self.was_idle |= why == Abort::Idle;
                // What a RST that was asked for leaves behind is the end; any other cuts short.
                if why != Abort::Asked {
                    self.states = Some((flow.connection.state(), flow.peer.state()));
                }
                flow.connection.abort(now);
            }
        }
    }

    fn feed(&mut self, flow: &mut Flow, manner: &Manner, now: Instant) {
        let Behaviour::Reply(content) = &manner.behaviour else { return };
        let room = manner.queue.saturating_sub(flow.connection.unacked_data()).max(1);
        match content.piece(self.offset, room) {
            Ok(piece) => {
                self.fed = piece.len() < room;
                self.offset += piece.len() as u64;
                if !piece.is_empty() {
                    flow.connection.send(&piece, now).ok();
                }
            }
            Err(_) => self.carry_out(Move::Abort(Abort::Unreadable), flow, manner, now),
        }
    }
}

/// Whether the time has passed, or so many bytes were carried in one direction.
fn is_due(trigger: Option<Trigger>, flow: &Flow, opened: Instant, now: Instant) -> bool {
    match trigger {
        None => false,
        Some(Trigger::After(time)) => opened + time <= now,
        Some(Trigger::Bytes(bytes)) => flow.bytes_received.max(flow.bytes_acknowledged) >= bytes,
    }
}
