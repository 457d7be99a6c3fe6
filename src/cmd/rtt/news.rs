//! What arrived: to whom it is credited, however late.

use std::time::Duration;

use super::backstage::News;
use super::engine::Engine;
use super::memory::Ghost;
use super::probe::{REPEATED, UNSTAMPED, is_as_good, may_be_repeated};
use crate::event::{Answerer, FlowId, Outcome, RttEvent, RttProbe};
use crate::stats::{Answer, Fate};
use crate::time::{Clock, Stamp};
use crate::wire::{Flags, IcmpError, IcmpKind, Packet, Segment};

impl Engine {
    /// Acts on what the driver has told since the last time.
    pub(super) fn follow_up(&mut self) -> anyhow::Result<()> {
        loop {
            let news = self.parts.inbox.borrow_mut().pop_front();
            match news {
                None => return Ok(()),
                Some(News::Changed(id)) => self.advance(id)?,
                Some(News::Challenged(id)) => {
                    if let Some(live) = self.live_mut(id) {
                        live.challenged = true;
                    }
                }
                Some(News::Repeated(id, stamp)) => match self.live_mut(id) {
                    Some(live) => live.duplicates += 1,
                    // Both came before either was acted on, and the first has ended the probe.
                    None => self.repeated(id, stamp)?,
                },
                Some(News::Late(id, stamp, packet)) => self.late(id, stamp, &packet)?,
                Some(News::Icmp(id, stamp, error)) => {
                    self.advance(id)?;
                    self.late_icmp(id, stamp, &error)?;
                }
                Some(News::Notice(notice)) => self.tell(&RttEvent::Notice(&notice))?,
            }
        }
    }

    /// A segment came for a probe that is over.
    fn late(&mut self, id: FlowId, stamp: Stamp, packet: &Packet) -> anyhow::Result<()> {
        let clock = self.parts.run.clock;
        let Some(ghost) = self.memory.find(id) else { return Ok(()) };
        let Some(answer) = answer(&packet.segment) else {
            let (from, to) = (ghost.probe.from, ghost.remote);
            if packet.segment.flags == Flags::ACK && packet.segment.payload.is_empty() {
                self.challenged(from, to);
            }
            return Ok(());
        };
        let best = self.parts.ledger.best(ghost.probe.target);
        let now = self.parts.driver.now();
        let again = ghost.probe.answer.is_some();
        if again && ghost.probe.answer != Some(answer) {
            // The RST by which it takes note of ours is no answer to the SYN.
            return Ok(());
        }
        if again {
            return self.repeated(id, stamp);
        }
        ghost.probe.ended = now;
        credit(ghost, answer, (stamp, packet), (clock, best));
        let probe = ghost.probe.clone();
        self.ledger().took(&probe);
        if !probe.warm_up {
            self.ledger().late(&probe, answer);
        }
        self.tell(&RttEvent::Late(&probe))
    }

    /// The answer of a probe that is over came once more.
    fn repeated(&mut self, id: FlowId, stamp: Stamp) -> anyhow::Result<()> {
        let Some(ghost) = self.memory.find(id) else { return Ok(()) };
        ghost.probe.duplicates += 1;
        let probe = ghost.probe.clone();
        if !probe.warm_up {
            self.ledger().duplicate(&probe);
        }
        self.tell(&RttEvent::Duplicate(&probe, stamp))
    }

    /// An ICMP error came about a probe that is over.
    fn late_icmp(&mut self, id: FlowId, stamp: Stamp, error: &IcmpError) -> anyhow::Result<()> {
        let now = self.parts.driver.now();
        let Some(ghost) = self.memory.find(id) else { return Ok(()) };
        if ghost.probe.answer.is_some() {
            return Ok(());
        }
        let probe = &mut ghost.probe;
        probe.fate = Fate::Icmp;
        probe.ended = now;
        probe.remark = None;
        probe.answer = Some(Answer::Icmp);
        probe.answered = Some(stamp);
        probe.answered_by = Some(Answerer::new(error.from, error.ttl));
        probe.outcome = match error.kind {
            IcmpKind::Prohibited => Outcome::Prohibited,
            _ => Outcome::Unreachable,
        };
        let probe = probe.clone();
        if !probe.warm_up {
            self.ledger().late(&probe, Answer::Icmp);
        }
        self.tell(&RttEvent::Late(&probe))
    }
}

/// What a segment answers to a SYN, if it does.
fn answer(segment: &Segment) -> Option<Answer> {
    if segment.has(Flags::SYN | Flags::ACK) {
        Some(Answer::Open)
    } else if segment.has(Flags::RST) {
        Some(Answer::Refused)
    } else {
        None
    }
}

/// Credits the first answer to a probe that was given up.
fn credit(
    ghost: &mut Ghost,
    answer: Answer,
    (stamp, packet): (Stamp, &Packet),
    (wanted, best): (Clock, Option<Duration>),
) {
    let probe: &mut RttProbe = &mut ghost.probe;
    probe.fate = Fate::Late;
    // What was said of its silence holds no more.
    probe.remark = None;
    probe.answer = Some(answer);
    probe.answered = Some(stamp);
    probe.answered_by = Some(Answerer::new(packet.ip.src, packet.ip.ttl));
    probe.outcome = if answer == Answer::Open { Outcome::Open } else { Outcome::Refused };
    // The last SYN, where it is the only one or the echo proves that it is meant.
    let echo = packet.segment.timestamps().map(|(_, echo)| echo);
    let asked = match (probe.attempts, ghost.last_syn) {
        (1, Some((sent, _))) => Some(sent),
        (_, Some((sent, Some(value)))) if echo == Some(value) => Some(sent),
        _ => None,
    };
    let Some(asked) = asked else {
        probe.remark = Some(
            "the SYN was sent more than once, and nothing in the answer says to which of them it \
             belongs (Karn's algorithm)",
        );
        return;
    };
    if answer == Answer::Open && may_be_repeated(stamp.at.since(asked.at), best) {
        probe.remark = Some(REPEATED);
        return;
    }
    let clock = asked.clock.max(stamp.clock);
    probe.clock = Some(clock);
    if is_as_good(clock, wanted) {
        probe.intervals[0] = Some(stamp.at.since(asked.at));
    } else {
        probe.remark = Some(UNSTAMPED);
    }
}
