//! One probe: what it does next, and what it found out. Pure functions of its flow.

use std::time::Duration;

use super::ports::Lease;
use crate::cmd::findings;
use crate::driver::Flow;
use crate::event::{FlowId, Measured, Method, Outcome, RttProbe};
use crate::stats::{Answer, Fate, FirstTry, Phase, Settled};
use crate::tcp::state::State;
use crate::time::{Clock, Instant, Stamp};

/// How far a probe has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Its SYN is out.
    Opening,
    /// Its data is out.
    Exchange,
    /// Its FIN is out.
    Closing,
}

/// A probe that is under way.
#[derive(Debug)]
pub(super) struct Live {
    /// Whose.
    pub(super) target: u32,
    /// Its place in the target's row.
    pub(super) index: u64,
    /// Which of the fixed ports.
    pub(super) flow: u32,
    /// It counts in no figure.
    pub(super) warm_up: bool,
    /// When it should have left.
    pub(super) due: Instant,
    /// Its port.
    pub(super) lease: Lease,
    /// How far it has come.
    pub(super) stage: Stage,
    /// When its stage has taken too long; the opening is bounded by the machine itself.
    pub(super) patience: Option<Instant>,
    /// The wall clock was set while it was under way.
    pub(super) stepped: bool,
    /// The peer has answered its SYN by a challenge ACK (RFC 5961 §4), for an earlier probe.
    pub(super) challenged: bool,
    /// Times that its SYN-ACK came again.
    pub(super) duplicates: u32,
}

/// What a probe does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Move {
    /// Wait.
    Wait,
    /// Send the data.
    Send,
    /// Send the FIN.
    Close,
    /// It is over.
    Conclude,
}

/// What a probe by `method` does next.
pub(super) fn next_move(method: Method, stage: Stage, flow: &Flow) -> Move {
    let (ending, timeline) = (&flow.ending, &flow.timeline);
    let finished = flow.connection.fin_acked() && flow.connection.peer_fin_received();
    if ending.closed || flow.interference || flow.connection.state() == State::Closed {
        return Move::Conclude;
    }
    match (stage, method) {
        (Stage::Opening, Method::Syn) if ending.established => Move::Conclude,
        (Stage::Opening, Method::Data) if ending.established => Move::Send,
        (Stage::Opening, _) if ending.established => Move::Close,
        // To a connection such an error may be a passing trouble (RFC 9293 MUST-56); to a probe it
        // is the answer.
        (Stage::Opening, _) if !timeline.icmp.is_empty() => Move::Conclude,
        (Stage::Exchange, _) if timeline.data_acked.is_some() => Move::Close,
        (Stage::Closing, _) if finished => Move::Conclude,
        _ => Move::Wait,
    }
}

/// How a probe's end is to be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Terms {
    /// How it asked.
    pub(super) method: Method,
    /// The clock that was asked for: a worse one gives no interval.
    pub(super) clock: Clock,
    /// The run ended before the probe did.
    pub(super) cut_short: bool,
    /// The time now.
    pub(super) now: Instant,
    /// The shortest time in which the target has answered so far, timed or not.
    pub(super) best: Option<Duration>,
}

/// A server repeats a SYN-ACK that nobody seems to get after its initial retransmission timeout: one
/// second (RFC 6298 §2.1), on Linux, the BSDs, macOS and Windows alike. A little less, because both
/// clocks may be slow.
const REPETITION: Duration = Duration::from_millis(990);

/// Why an answer to the only SYN is not timed.
pub(super) const REPEATED: &str =
    "it took a second: it may be the repetition of a SYN-ACK that was lost";

/// Whether an answer that took so long may be the repetition of one that was lost. A path on which
/// every answer takes so long shows it by its best time, once there is one.
pub(super) fn may_be_repeated(took: Duration, best: Option<Duration>) -> bool {
    match best {
        Some(best) if best >= REPETITION => took >= best + REPETITION,
        _ => took >= REPETITION,
    }
}

/// Why a probe has no time whose SYN met what an earlier one left behind.
const CHALLENGED: &str = "not timed: the peer answered for an earlier connection from this port, which \
                          it still remembers (challenge ACK)";

/// What became of a probe, with how that is counted; nothing of it is settled where the run ended
/// before an answer came.
pub(super) fn assess(
    id: FlowId,
    live: &Live,
    flow: &Flow,
    terms: Terms,
) -> (RttProbe, Option<Settled>) {
    let timeline = &flow.timeline;
    let outcome = findings::opening(flow);
    let attempts = u32::try_from(timeline.syns.len()).unwrap_or(u32::MAX);
    let (answer, answered) = answer_of(flow, outcome);
    let challenged = live.challenged && answer.is_none();
    // Whatever is behind the port answered, and it is open.
    let (outcome, answer) =
        if challenged { (Outcome::Open, Some(Answer::Open)) } else { (outcome, answer) };
    let rtt = match timeline.rtt() {
        _ if challenged => Err(CHALLENGED),
        Ok(Some(rtt)) if answer == Some(Answer::Open) && may_be_repeated(rtt.value, terms.best) => {
            Err(REPEATED)
        }
        other => other,
    };
    let first_try = match (answer, &rtt) {
        (None, _) => FirstTry::Lost,
        (Some(_), Err(_)) => FirstTry::Unknown,
        (Some(_), _) if attempts <= 1 => FirstTry::Answered,
        (Some(Answer::Open | Answer::Refused), Ok(Some(_))) => FirstTry::Lost,
        (Some(_), _) => FirstTry::Unknown,
    };
    let settled = match answer {
        Some(answer) => Some(Settled::Answered { answer, attempts, first: first_try }),
        None if terms.cut_short => None,
        None => Some(Settled::Lost),
    };
    let mut probe = RttProbe {
        id,
        target: live.target,
        index: live.index,
        flow: live.flow,
        warm_up: live.warm_up,
        from: flow.local(),
        iss: flow.connection.iss().0,
        due: live.due,
        sent: timeline.syns.first().map(|(stamp, _)| *stamp),
        answered,
        ended: terms.now,
        fate: settled.map_or(Fate::InFlight, Settled::fate),
        outcome: if settled.is_none() { Outcome::Interrupted } else { outcome },
        answer,
        first_try: settled.map(|_| first_try),
        attempts,
        duplicates: 0,
        clock: None,
        intervals: [None; Phase::ALL.len()],
        answered_by: findings::answerer(flow),
        remark: rtt.err(),
    };
    take_times(&mut probe, live, flow, (rtt.ok().flatten(), terms));
    (probe, settled)
}

/// What a flow's answer said, and when it arrived.
fn answer_of(flow: &Flow, outcome: Outcome) -> (Option<Answer>, Option<Stamp>) {
    let timeline = &flow.timeline;
    let syn_ack = timeline.syn_ack.as_ref().map(|(stamp, _)| *stamp);
    let reset = timeline.reset.as_ref().map(|(stamp, _)| *stamp);
    match outcome {
        Outcome::Open => (Some(Answer::Open), syn_ack),
        Outcome::Refused => (Some(Answer::Refused), reset),
        Outcome::Unreachable | Outcome::Prohibited => {
            (Some(Answer::Icmp), timeline.icmp.last().map(|(stamp, _)| *stamp))
        }
        _ => (None, None),
    }
}

/// Why an interval whose ends were both seen is in no figure.
pub(super) const UNSTAMPED: &str = "not timed: an end lacks a stamp of the clock asked for";
/// The same.
pub(super) const STEPPED: &str = "not timed: the wall clock was set meanwhile";

/// The probe's intervals, and what is to be said of those that are missing.
fn take_times(
    probe: &mut RttProbe,
    live: &Live,
    flow: &Flow,
    (rtt, terms): (Option<Measured>, Terms),
) {
    let timeline = &flow.timeline;
    let peer_fin = match (timeline.fins.as_slice(), timeline.peer_fin) {
        ([only], Some(fin)) if fin.at >= only.at && !timeline.answered => {
            Some((fin.at.since(only.at), only.clock.max(fin.clock)))
        }
        _ => None,
    };
    let measured = |it: Measured| (it.value, it.clock);
    let seen: [Option<(Duration, Clock)>; Phase::ALL.len()] = [
        rtt.map(measured),
        timeline.ack_of_data().map(measured),
        timeline.ack_of_fin().map(measured),
        peer_fin,
    ];
    let timed = terms.method.phases();
    for ((phase, seen), interval) in Phase::ALL.iter().zip(seen).zip(&mut probe.intervals) {
        let Some((value, clock)) = seen.filter(|_| timed.contains(phase)) else { continue };
        probe.clock = probe.clock.max(Some(clock));
        if live.stepped {
            probe.remark = Some(STEPPED);
        } else if is_as_good(clock, terms.clock) {
            *interval = Some(value);
        } else {
            probe.remark = Some(UNSTAMPED);
        }
    }
    if probe.remark.is_none() {
        probe.remark = missing(probe, live, flow, terms);
    }
}

/// Whether a stamp by `clock` is as good as one by `wanted`.
pub(super) fn is_as_good(clock: Clock, wanted: Clock) -> bool {
    clock == Clock::Virtual || clock <= wanted
}

/// What the peer has not done of what the method asks for.
fn missing(probe: &RttProbe, live: &Live, flow: &Flow, terms: Terms) -> Option<&'static str> {
    let timeline = &flow.timeline;
    if flow.interference {
        return Some("our own kernel reset this connection: see `shakedown doctor`");
    }
    let unseen = |(stamp, _): &(Stamp, Option<u32>)| !is_as_good(stamp.clock, terms.clock);
    if probe.answer.is_none() && timeline.syns.iter().all(unseen) {
        return Some("this host has not shown it leaving: it may wait for the neighbour's address");
    }
    if !flow.ending.established || terms.method == Method::Syn {
        return (flow.timeline.rejections > 0)
            .then_some(timeline.last_rejection)
            .flatten()
            .filter(|_| timeline.syn_ack.is_none() && timeline.reset.is_none());
    }
    if terms.cut_short {
        return Some("interrupted before it was closed");
    }
    if flow.ending.reset {
        return Some("the peer reset the connection");
    }
    match live.stage {
        Stage::Exchange if timeline.data_acked.is_none() => {
            Some("the data was not acknowledged in time")
        }
        _ if timeline.answered => Some("the peer closed first"),
        Stage::Closing if timeline.fin_ack.is_none() => {
            Some("the FIN was not acknowledged in time")
        }
        Stage::Closing if timeline.peer_fin.is_none() => Some("the peer did not close in time"),
        _ if terms.method == Method::Fin && timeline.fins.len() > 1 => {
            Some("the FIN was sent more than once: its times are ambiguous (Karn's algorithm)")
        }
        _ if terms.method == Method::Data && timeline.data_repeats > 0 => {
            Some("the data was sent more than once: its time is ambiguous (Karn's algorithm)")
        }
        _ => None,
    }
}
