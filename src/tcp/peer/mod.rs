//! The far end's state, as far as the segments tell, and how it is known.

mod close;
mod open;

use std::collections::VecDeque;
use std::time::Duration;

use super::outcome::Verdict;
use super::state::{Cause, End, Known, State, Transition};
use crate::time::Instant;
use crate::wire::{Flags, Segment, SeqNum};

/// What the far end's machine must be doing.
///
/// Show it every segment in the order of the wire: ours as they leave, the far end's together with
/// the verdict of our own machine. A segment that is withheld from our machine may be shown as it
/// arrives, with [`Verdict::Accepted`], and again when it is delivered: it counts once.
///
/// What moves it:
/// - a segment that only an end in a certain state can send **proves** that state;
/// - a segment of ours **implies** the state to which it must have moved the far end, if it arrived;
///   a later segment may confirm that, or retract it, when it shows that ours was lost.
///
/// The times are estimates: half a round trip after we sent, or before we received. They never run
/// backwards.
///
/// One ambiguity is in the protocol itself. If both ends close at once, the far end's FIN is lost
/// and so is its ACK of ours, then its repeated FIN, which acknowledges ours, looks as if it had
/// waited for ours: CLOSE-WAIT and LAST-ACK are reported where it was FIN-WAIT-1 and CLOSING.
#[derive(Clone, Debug)]
pub struct PeerView {
    end: End,
    state: State,
    known: Known,
    /// The last state that was proved: what is implied beyond it can be retracted.
    floor: State,
    /// The states on the way here, each with the estimated time at which it began; the last is the
    /// current one.
    way: Vec<(State, Instant)>,
    /// What our own segments say.
    ours: Ours,
    /// What the far end's say.
    theirs: Theirs,
    /// Half of the shortest round trip seen; zero before there is one.
    half_rtt: Duration,
    /// When the first thing implied beyond `floor` was to happen.
    implied_since: Option<Instant>,
    /// Whether both FINs were on their way at once.
    crossed: bool,
    events: VecDeque<PeerEvent>,
}

/// What we sent.
#[derive(Clone, Copy, Debug, Default)]
struct Ours {
    /// Our SYN's number, flags, and when it left last.
    syn: Option<(SeqNum, Flags, Instant)>,
    /// The first number behind our FIN, its flags, and when it left last.
    fin: Option<(SeqNum, Flags, Instant)>,
    /// Whether a FIN of ours acknowledged the far end's.
    fin_acks_theirs: bool,
    /// What is being timed: the first number behind it, and when it left.
    timed: Option<(SeqNum, Instant)>,
    /// The first number behind everything that we sent.
    nxt: Option<SeqNum>,
}

/// What the far end sent.
#[derive(Clone, Copy, Debug, Default)]
struct Theirs {
    /// IRS.
    syn: Option<SeqNum>,
    /// TSval of the first copy of its SYN.
    syn_stamp: Option<u32>,
    /// The first number behind its FIN.
    fin: Option<SeqNum>,
    /// TSval of the first copy of its FIN.
    fin_stamp: Option<u32>,
    /// SEQ of the first segment that acknowledged our FIN.
    fin_acked_at: Option<SeqNum>,
}

/// Something that became known about the far end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerEvent {
    /// Its state changed.
    Transition(Transition),
    /// What was implied is now proved; the state did not change.
    Confirmed {
        /// When the proof arrived.
        at: Instant,
        /// Whose state.
        end: End,
        /// The state. In a simultaneous close it may be CLOSING although TIME-WAIT is already
        /// implied.
        state: State,
        /// The segment that proves it.
        cause: Cause,
        /// How it is known now.
        known: Known,
    },
    /// What was implied did not happen: our segment was lost.
    Retracted {
        /// When the proof arrived.
        at: Instant,
        /// Whose state.
        end: End,
        /// The state in which it was believed to be.
        believed: State,
        /// The state in which it is.
        state: State,
        /// The segment that proves it.
        cause: Cause,
    },
}

impl PeerView {
    /// The far end of a connection in which we are `our_end`.
    ///
    /// A server is taken to be listening: CLOSED → LISTEN, assumed, is the first event. A client is
    /// CLOSED until its SYN comes.
    #[must_use]
    pub fn new(our_end: End, now: Instant) -> Self {
        // Whoever makes a view of a client has heard from it already: since when it had been CLOSED is
        // unknown, and not what bounds the estimate of its SYN.
        let since = if our_end == End::Client { now } else { Instant::ZERO };
        let mut view = Self {
            end: our_end.other(),
            state: State::Closed,
            known: Known::Assumed,
            floor: State::Closed,
            way: vec![(State::Closed, since)],
            ours: Ours::default(),
            theirs: Theirs::default(),
            half_rtt: Duration::ZERO,
            implied_since: None,
            crossed: false,
            events: VecDeque::new(),
        };
        if our_end == End::Client {
            view.become_state(State::Listen, now, Cause::Start, Known::Assumed);
        }
        view
    }

    /// The state in which it is, as far as is known.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// How that is known.
    #[must_use]
    pub fn known(&self) -> Known {
        self.known
    }

    /// The next thing that became known.
    pub fn poll(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }

    /// A segment of ours left at `at`.
    pub fn on_transmit(&mut self, segment: &Segment, at: Instant) {
        let arrival = at + self.half_rtt;
        let received = Cause::Received(segment.flags);
        if segment.has(Flags::RST) {
            let next = match self.state {
                // A listener does not mind a RST, and goes back to listening when it ends
                // a handshake (RFC 9293 §3.10.7.4, second step).
                State::Closed | State::Listen => return,
                State::SynReceived if self.end == End::Server => State::Listen,
                _ => State::Closed,
            };
            return self.become_state(next, arrival, received, Known::Implied);
        }
        self.time_ours(segment, at);
        if segment.has(Flags::SYN) {
            self.ours.syn = Some((segment.seq, segment.flags, at));
        }
        if segment.has(Flags::FIN) {
            self.ours.fin = Some((segment.seq_end(), segment.flags, at));
            self.ours.fin_acks_theirs |= self.acks_its_fin(segment);
        }
        self.imply_handshake(segment, arrival);
        self.imply_close(segment, arrival);
    }

    /// A segment of the far end arrived at `at`, and our machine said `verdict`. Only what is
    /// acceptable changes the view.
    pub fn on_receive(&mut self, segment: &Segment, verdict: &Verdict, at: Instant) {
        if matches!(verdict, Verdict::Rejected(_)) {
            return;
        }
        self.measure(segment, at);
        let left = at.saturating_sub(self.half_rtt);
        let sent = Cause::Sent(segment.flags);
        if segment.has(Flags::RST) {
            self.prove(State::Closed, left, at, sent);
            return;
        }
        if segment.has(Flags::SYN) {
            self.on_syn(segment, left, at);
        }
        if !segment.has(Flags::SYN) || segment.has(Flags::FIN) {
            self.on_text(segment, *verdict == Verdict::Duplicate, left, at);
        }
    }

    /// Starts a clock for a segment of ours, unless one runs; what was sent twice is not timed,
    /// since its acknowledgment could be of either copy (Karn).
    fn time_ours(&mut self, segment: &Segment, at: Instant) {
        if segment.seq_len() == 0 {
            return;
        }
        let end = segment.seq_end();
        if self.ours.nxt.is_none_or(|nxt| end.is_after(nxt)) {
            self.ours.nxt = Some(end);
            self.ours.timed.get_or_insert((end, at));
        } else {
            self.ours.timed = None;
        }
    }

    fn measure(&mut self, segment: &Segment, at: Instant) {
        let Some((end, sent_at)) = self.ours.timed else { return };
        if segment.has(Flags::ACK) && segment.ack.is_at_or_after(end) {
            self.ours.timed = None;
            let half = at.since(sent_at) / 2;
            // The shortest: the others contain delays of the far end's own.
            self.half_rtt = if self.half_rtt.is_zero() { half } else { self.half_rtt.min(half) };
        }
    }

    fn acks_its_fin(&self, segment: &Segment) -> bool {
        segment.has(Flags::ACK)
            && self.theirs.fin.is_some_and(|fin| segment.ack.is_at_or_after(fin))
    }

    fn acks_our_fin(&self, segment: &Segment) -> bool {
        segment.has(Flags::ACK)
            && self.ours.fin.is_some_and(|(end, ..)| segment.ack.is_at_or_after(end))
    }

    /// Moves to `to`, which the diagram must allow: a far end that seems to do otherwise has sent
    /// something that we cannot read, and is left where it was.
    fn become_state(&mut self, to: State, at: Instant, cause: Cause, known: Known) {
        let from = self.state;
        if !from.may_become(to) {
            return;
        }
        let at = self.way.last().map_or(at, |(_, since)| at.max(*since));
        self.way.push((to, at));
        self.state = to;
        self.known = known;
        if known == Known::Proved {
            self.floor = to;
            self.implied_since = None;
        } else {
            self.implied_since.get_or_insert(at);
        }
        let transition = Transition { at, end: self.end, from, to, cause, known };
        self.events.push_back(PeerEvent::Transition(transition));
    }

    /// A segment that left at about `left` and arrived at `at` proves that it was in `state`.
    fn prove(&mut self, state: State, left: Instant, at: Instant, cause: Cause) {
        if self.state != state {
            self.become_state(state, left, cause, Known::Proved);
        } else if self.known != Known::Proved {
            self.confirm(state, at, cause);
        }
    }

    /// It is, or was, in `state`, as had been implied.
    fn confirm(&mut self, state: State, at: Instant, cause: Cause) {
        self.floor = state;
        if state == self.state {
            self.known = Known::Proved;
            self.implied_since = None;
        }
        let (end, known) = (self.end, Known::Proved);
        self.events.push_back(PeerEvent::Confirmed { at, end, state, cause, known });
    }

    /// It is in `state`: what was believed beyond it is not so.
    fn retract(&mut self, state: State, at: Instant, cause: Cause) {
        let believed = self.state;
        self.state = state;
        self.known = Known::Proved;
        self.floor = state;
        self.implied_since = None;
        // What it did next, it did after it came to this state, not after what never happened.
        let kept = self.way.iter().rposition(|(passed, _)| *passed == state);
        self.way.truncate(kept.map_or(0, |index| index + 1));
        self.events.push_back(PeerEvent::Retracted { at, end: self.end, believed, state, cause });
    }

    /// A repetition left at about `left`: if our segment had arrived before that, it would not have
    /// been sent. Only what is implied beyond `state` itself can be retracted by it.
    fn retract_to(&mut self, state: State, left: Instant, at: Instant, cause: Cause) {
        let too_late = self.implied_since.is_some_and(|since| left > since);
        if self.floor == state && self.state != state && too_late {
            self.retract(state, at, cause);
        }
    }
}

/// Whether a repeated `segment` is the network's copy of the first, whose TSval is `stamp`: its
/// sender's own repetition comes later and says so.
fn is_copy(stamp: Option<u32>, segment: &Segment) -> bool {
    stamp.is_some() && stamp == ts_value(segment)
}

fn ts_value(segment: &Segment) -> Option<u32> {
    segment.timestamps().map(|(value, _)| value)
}
