//! What happened on one connection, kept in bounded memory until it is drawn.

use std::collections::VecDeque;
use std::time::Duration;

use super::label;
use crate::event::{Event, Note, Outcome, Run, SegmentEvent, Traffic};
use crate::net::Dir;
use crate::tcp::state::{End, State, Transition};
use crate::time::{Instant, nanos_of};
use crate::wire::{Flags, IcmpError, SeqNum, TcpOption};

/// Segments from the beginning that are drawn, and from the end where there are more: a picture of
/// thousands would show nothing.
const KEPT: usize = 80;
/// Changes of state that are drawn at most. A connection has about ten.
const MOVES: usize = 200;

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) run: Run,
    beginning: Vec<Step>,
    end: VecDeque<Step>,
    segments: usize,
    moves: usize,
    omitted: u64,
    pub(super) outcome: Option<Outcome>,
    pub(super) traffic: Traffic,
    /// Half of the shortest round trip.
    pub(super) half_rtt: Option<Duration>,
    /// What is being timed: the first number behind it, and when it left.
    timed: Option<(SeqNum, Instant)>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Segment(Sent),
    Icmp {
        at: Instant,
        error: IcmpError,
        rejected: Option<&'static str>,
    },
    Move(Transition),
    /// The end is, or was, in this state: proved.
    Confirmed {
        end: End,
        state: State,
    },
    /// The end is still in this state.
    Retracted {
        end: End,
        state: State,
    },
    /// So many segments are not drawn.
    Omitted(u64),
}

/// A segment, without its payload.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) dir: Dir,
    pub(super) at: Instant,
    pub(super) flags: Flags,
    pub(super) seq: SeqNum,
    pub(super) seq_end: SeqNum,
    pub(super) ack: Option<SeqNum>,
    /// Blocks of a selective acknowledgment.
    pub(super) sacks: Vec<(SeqNum, SeqNum)>,
    pub(super) note: Option<Note>,
    /// What is written on its arrow.
    pub(super) words: label::Words,
}

impl Sent {
    fn new(event: &SegmentEvent, absolute: bool) -> Self {
        let segment = &event.packet.segment;
        let sacks = segment.options.iter().find_map(|option| match option {
            TcpOption::Sack(blocks) => Some(blocks.clone()),
            _ => None,
        });
        Self {
            dir: event.dir,
            at: event.stamp.at,
            flags: segment.flags,
            seq: segment.seq,
            seq_end: segment.seq_end(),
            ack: segment.has(Flags::ACK).then_some(segment.ack),
            sacks: sacks.unwrap_or_default(),
            note: event.note,
            words: label::Words::of(event, absolute),
        }
    }

    /// Whether it takes sequence numbers, and so wants an answer.
    pub(super) fn wants_answer(&self) -> bool {
        self.seq_end != self.seq && !self.flags.contains(Flags::RST)
    }

    /// Whether it says that everything before `end` has arrived, or that what begins at `start` has.
    pub(super) fn acknowledges(&self, start: SeqNum, end: SeqNum) -> bool {
        let all = self.ack.is_some_and(|ack| ack.is_at_or_after(end));
        let block = |(left, right): &(SeqNum, SeqNum)| {
            left.is_at_or_before(start) && right.is_at_or_after(end)
        };
        all || self.sacks.iter().any(block)
    }

    /// Whether both ends took it for what it is: it went where it was to go, and changed something.
    pub(super) const fn counts(&self) -> bool {
        !matches!(self.note, Some(Note::Rejected(_) | Note::LocalKernel | Note::Late))
    }
}

impl Story {
    pub(super) fn new(run: Run) -> Self {
        Self {
            run,
            beginning: Vec::new(),
            end: VecDeque::new(),
            segments: 0,
            moves: 0,
            omitted: 0,
            outcome: None,
            traffic: Traffic::default(),
            half_rtt: None,
            timed: None,
        }
    }

    /// Whether a segment was seen.
    pub(super) const fn has_segments(&self) -> bool {
        self.segments > 0
    }

    /// Takes note of what belongs into the picture.
    pub(super) fn hear(&mut self, event: &Event, absolute: bool) {
        match event {
            Event::Segment(event) => {
                let sent = Sent::new(event, absolute);
                self.count(&sent);
                self.measure(&sent);
                self.segments += 1;
                self.keep(Step::Segment(sent));
            }
            Event::Icmp { at, error, rejected, .. } => {
                self.segments += 1;
                self.keep(Step::Icmp { at: at.at, error: *error, rejected: *rejected });
            }
            Event::Transition(transition) => self.keep_move(Step::Move(*transition)),
            Event::Confirmed { end, state, .. } => {
                self.keep_move(Step::Confirmed { end: *end, state: *state });
            }
            Event::Retracted { end, state, .. } => {
                self.keep_move(Step::Retracted { end: *end, state: *state });
            }
            Event::Client(report) => self.outcome = Some(report.outcome),
            Event::Probe(result) => self.outcome = Some(result.outcome),
            Event::Summary(summary) => self.outcome = self.outcome.or(Some(summary.outcome)),
            _ => {}
        }
    }

    fn count(&mut self, sent: &Sent) {
        let traffic = &mut self.traffic;
        match (sent.dir, sent.note) {
            (_, Some(Note::LocalKernel)) => {}
            (Dir::Tx, Some(Note::Held)) => {}
            (Dir::Tx, _) => traffic.sent += 1,
            (Dir::Rx, _) => traffic.received += 1,
        }
        traffic.retransmitted += u64::from(matches!(sent.note, Some(Note::Retransmission(_))));
        traffic.rejected += u64::from(matches!(sent.note, Some(Note::Rejected(_))));
    }

    /// What was sent twice is not timed (Karn's algorithm).
    fn measure(&mut self, sent: &Sent) {
        match sent.dir {
            Dir::Tx if matches!(sent.note, Some(Note::Retransmission(_))) => self.timed = None,
            Dir::Tx if sent.wants_answer() && sent.counts() && sent.note != Some(Note::Held) => {
                self.timed.get_or_insert((sent.seq_end, sent.at));
            }
            Dir::Rx if sent.counts() => {
                let Some((end, at)) = self.timed else { return };
                if sent.ack.is_some_and(|ack| ack.is_at_or_after(end)) {
                    self.timed = None;
                    let half = sent.at.since(at) / 2;
                    self.half_rtt = Some(self.half_rtt.map_or(half, |known| known.min(half)));
                }
            }
            _ => {}
        }
    }

    fn keep_move(&mut self, step: Step) {
        if self.moves < MOVES {
            self.moves += 1;
            self.keep(step);
        }
    }

    fn keep(&mut self, step: Step) {
        if self.segments <= KEPT {
            return self.beginning.push(step);
        }
        self.end.push_back(step);
        if self.end.len() > KEPT + MOVES
            && let Some(oldest) = self.end.pop_front()
        {
            match oldest {
                Step::Segment(_) | Step::Icmp { .. } => self.omitted += 1,
                other => self.beginning.push(other),
            }
        }
    }

    /// All that is to be drawn, in order.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = self.beginning.clone();
        let is_segment = |step: &&Step| matches!(step, Step::Segment(_) | Step::Icmp { .. });
        // The bound of what is kept counts changes of state too, so there may be more than wanted.
        let beyond = self.end.iter().filter(is_segment).count().saturating_sub(KEPT);
        let mut left_out = 0;
        let mut last = Vec::new();
        for step in &self.end {
            if is_segment(&step) && left_out < beyond {
                left_out += 1;
            } else if left_out < beyond {
                steps.push(step.clone());
            } else {
                last.push(step.clone());
            }
        }
        let omitted = self.omitted + left_out as u64;
        if omitted > 0 {
            steps.push(Step::Omitted(omitted));
        }
        steps.extend(last);
        steps
    }

    /// Nanoseconds of half the shortest round trip; 0 where none was measured.
    pub(super) fn half_ns(&self) -> i64 {
        self.half_rtt.map_or(0, |half| i64::try_from(nanos_of(half)).unwrap_or(i64::MAX / 4))
    }

    /// Nanoseconds since the start of the run.
    pub(super) fn since(&self, at: Instant) -> i64 {
        at.signed_nanos_since(self.run.at)
    }
}
