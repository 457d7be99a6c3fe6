//! When each SYN of the first pass left: a bounded log of the batches, for answers that echo no time.
//!
//! The first pass draws positions in ascending order, so that one batch is one line: its first and
//! last position, and the times between which they left. A position's time lies between those, in
//! proportion; the error stated is the distance to the farther of the two and cannot be exceeded.
//! Lines that grow old are joined, sixteen to one, and their errors grow; at last they are forgotten.
//!
//! Where limits hold SYNs back, they leave in another order than they were drawn in. Then each of the
//! last 2^16 is remembered by itself.
//!
//! At the defaults that is 2^15 lines of 32 octets, twice: 2 MiB. At a million SYNs a second in
//! batches of 16 the exact lines reach back half a second, the joined ones 8 s.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::time::Instant;

/// Lines kept as they are at the default, and again as many that are joined.
pub const LINES: usize = 1 << 15;

/// SYNs that are remembered each by itself at the default.
pub const SINGLES: usize = 1 << 16;

/// Lines that are joined to one when they grow old.
const JOINED: u32 = 16;

#[derive(Clone, Copy, Debug)]
struct Line {
    first: u64,
    last: u64,
    began: Instant,
    ended: Instant,
}

impl Line {
    fn time_of(&self, position: u64) -> (Instant, Duration) {
        let whole = self.ended.since(self.began);
        let positions = u128::from(self.last - self.first) + 1;
        // The middle of the position's share.
        let place = u128::from(position - self.first) * 2 + 1;
        let nanos = whole.as_nanos() * place / (2 * positions);
        let after = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        (self.began + after, after.max(whole.saturating_sub(after)))
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct SendLog {
    lines: usize,
    recent: VecDeque<Line>,
    old: VecDeque<Line>,
    /// Lines in the newest of the old ones.
    joined: u32,
    /// What was drawn last and is about to leave.
    drawn: Option<Line>,
    /// In place of all lines.
    singles: Option<Singles>,
}

/// When each of the last SYNs left, in whatever order.
#[derive(Clone, Debug)]
struct Singles {
    most: usize,
    /// Not before the one, nor after the other, which is known a little later.
    times: HashMap<u64, (Instant, Option<Instant>)>,
    order: VecDeque<u64>,
}

impl SendLog {
    /// A log of so many lines of each kind, from 1.
    #[must_use]
    pub fn new(lines: usize) -> Self {
        Self {
            lines: lines.max(1),
            recent: VecDeque::new(),
            old: VecDeque::new(),
            joined: JOINED,
            drawn: None,
            singles: None,
        }
    }

    /// A log of SYNs that leave in any order, of the last `most` of them.
    #[must_use]
    pub fn of_singles(most: usize) -> Self {
        let singles = Singles { most: most.max(1), times: HashMap::new(), order: VecDeque::new() };
        Self { singles: Some(singles), ..Self::new(1) }
    }

    /// The SYN to `position` leaves soon, and not before `began`; or has left, not after `ended`.
    pub fn single(&mut self, position: u64, began: Instant, ended: Option<Instant>) {
        let Some(singles) = &mut self.singles else { return };
        if singles.times.insert(position, (began, ended)).is_some() {
            return;
        }
        singles.order.push_back(position);
        if singles.order.len() > singles.most
            && let Some(oldest) = singles.order.pop_front()
        {
            singles.times.remove(&oldest);
        }
    }

    /// Positions of the first pass are about to leave, for the first time, and not before `now`: an
    /// answer may be here sooner than the note that they have left.
    pub fn expect(&mut self, first: u64, last: u64, now: Instant) {
        self.drawn = (first <= last).then_some(Line { first, last, began: now, ended: now });
    }

    /// A batch of the first pass was sent: positions from `first` to `last` in ascending order, not
    /// before `began` and not after `ended`. Positions between them that were not sent do no harm. A
    /// batch that does not lie beyond the last one is not noted: those positions were sent before.
    pub fn note(&mut self, first: u64, last: u64, began: Instant, ended: Instant) {
        let newest = self.recent.back().or(self.old.back());
        if first > last || newest.is_some_and(|newest| first <= newest.last) {
            return;
        }
        if self.recent.len() == self.lines
            && let Some(line) = self.recent.pop_front()
        {
            self.join(line);
        }
        self.recent.push_back(Line { first, last, began, ended: ended.max(began) });
    }

    fn join(&mut self, line: Line) {
        if self.joined < JOINED
            && let Some(newest) = self.old.back_mut()
        {
            newest.last = line.last;
            newest.ended = line.ended;
            self.joined += 1;
            return;
        }
        if self.old.len() == self.lines {
            self.old.pop_front();
        }
        self.old.push_back(line);
        self.joined = 1;
    }

    /// When the SYN to `position` left, whose answer came at `heard`, and by how much that may be
    /// wrong. `once` says that it left only once
    /// ([`Credit::First`](super::ledger::Credit::First)): which of several SYNs was answered nobody
    /// knows (Karn's rule), and then there is no time.
    #[must_use]
    pub fn lookup(&self, position: u64, once: bool, heard: Instant) -> Option<(Instant, Duration)> {
        if !once {
            return None;
        }
        if let Some(singles) = &self.singles {
            let &(began, ended) = singles.times.get(&position)?;
            let ended = ended.map_or(heard, |ended| ended.min(heard));
            let line = Line { first: position, last: position, began: began.min(ended), ended };
            return Some(line.time_of(position));
        }
        self.noted(position).or_else(|| self.under_way(position, heard))
    }

    /// By the line of its batch.
    fn noted(&self, position: u64) -> Option<(Instant, Duration)> {
        let is_old = self.recent.front().is_none_or(|line| position < line.first);
        let lines = if is_old { &self.old } else { &self.recent };
        let after = lines.partition_point(|line| line.first <= position);
        let line = lines.get(after.checked_sub(1)?)?;
        (position <= line.last).then(|| line.time_of(position))
    }

    /// Of a batch that has left and is not noted yet: after it was drawn, and after the batch before
    /// it, but not after its answer.
    fn under_way(&self, position: u64, heard: Instant) -> Option<(Instant, Duration)> {
        let drawn = self.drawn.filter(|drawn| (drawn.first..=drawn.last).contains(&position))?;
        let before = self.recent.back().filter(|line| line.last < position);
        let began = before.map_or(drawn.began, |line| line.ended.max(drawn.began)).min(heard);
        Some(Line { first: position, last: position, began, ended: heard }.time_of(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// After all answers.
    const END: Instant = Instant::from_nanos(u64::MAX);

    #[test]
    fn a_position_lies_within_its_batch() {
        let at = Instant::from_nanos;
        let mut log = SendLog::new(8);
        log.note(100, 109, at(1000), at(2000));
        log.note(120, 120, at(3000), at(3010));
        let nanos = Duration::from_nanos;
        assert_eq!(log.lookup(100, true, END), Some((at(1050), nanos(950))));
        assert_eq!(log.lookup(109, true, END), Some((at(1950), nanos(950))));
        assert_eq!(log.lookup(104, true, END), Some((at(1450), nanos(550))));
        assert_eq!(log.lookup(120, true, END), Some((at(3005), nanos(5))));
        assert_eq!(log.lookup(104, false, END), None, "which of its SYNs?");
        for position in [0, 99, 110, 119, 121, u64::MAX] {
            assert_eq!(log.lookup(position, true, END), None, "{position}");
        }
        // Sent again after a resume: the log keeps what it has.
        log.note(100, 109, at(9000), at(9001));
        assert_eq!(log.lookup(100, true, END), Some((at(1050), nanos(950))));
    }

    #[test]
    fn an_answer_that_is_sooner_than_the_note_has_bounds_of_its_own() {
        let (at, nanos) = (Instant::from_nanos, Duration::from_nanos);
        let mut log = SendLog::new(8);
        log.expect(100, 131, at(1000));
        assert_eq!(log.lookup(100, true, at(1400)), Some((at(1200), nanos(200))));
        log.note(100, 115, at(1000), at(2000));
        assert_eq!(
            log.lookup(116, true, at(2600)),
            Some((at(2300), nanos(300))),
            "after the batch"
        );
        assert_eq!(log.lookup(115, true, at(2600)), Some((at(1968), nanos(968))), "as noted");
        for position in [99, 132] {
            assert_eq!(log.lookup(position, true, at(2600)), None, "{position}");
        }
        assert_eq!(log.lookup(116, false, at(2600)), None, "which of its SYNs?");
        log.note(116, 131, at(2000), at(3000));
        assert_eq!(log.lookup(131, true, at(9000)), Some((at(2968), nanos(968))));
        // The clock of an arrival is another one, and may be behind.
        log.expect(132, 140, at(5000));
        assert_eq!(log.lookup(132, true, at(4990)), Some((at(4990), nanos(0))));
    }

    #[test]
    fn what_leaves_in_any_order_has_times_of_its_own() {
        let (at, nanos) = (Instant::from_nanos, Duration::from_nanos);
        let mut log = SendLog::of_singles(2);
        log.expect(1, 9, at(0));
        log.note(1, 9, at(0), at(10));
        log.single(7, at(1000), None);
        assert_eq!(log.lookup(7, true, at(1400)), Some((at(1200), nanos(200))), "answered at once");
        log.single(7, at(1000), Some(at(2000)));
        log.single(3, at(5000), Some(at(5010)));
        assert_eq!(log.lookup(7, true, at(9000)), Some((at(1500), nanos(500))));
        assert_eq!(log.lookup(3, true, at(9000)), Some((at(5005), nanos(5))));
        assert_eq!(log.lookup(4, true, at(9000)), None, "held back as yet");
        assert_eq!(log.lookup(3, false, at(9000)), None, "which of its SYNs?");
        log.single(9, at(6000), Some(at(6000)));
        assert_eq!(log.lookup(7, true, at(9000)), None, "the last two are remembered");
        assert_eq!(log.lookup(9, true, at(9000)), Some((at(6000), nanos(0))));
    }

    proptest! {
        #[test]
        fn the_error_stated_is_never_exceeded(
            lines in 1_usize..20,
            batches in prop::collection::vec((0_u64..5, 1_u64..20, 0_u64..1000, 0_u64..5000), 1..400)
        ) {
            let mut log = SendLog::new(lines);
            let (mut position, mut now) = (7, 0);
            let mut sent = Vec::new();
            for (skip, count, pause, each) in batches {
                let (first, began) = (position + skip, now + pause);
                now = began;
                for nth in 0..count {
                    now += each * (nth % 3);
                    sent.push((first + nth, now));
                }
                position = first + count;
                log.note(first, position - 1, Instant::from_nanos(began), Instant::from_nanos(now));
            }
            let mut found = 0;
            for (position, when) in &sent {
                if let Some((at, error)) = log.lookup(*position, true, END) {
                    found += 1;
                    let off = at.signed_nanos_since(Instant::from_nanos(*when)).unsigned_abs();
                    prop_assert!(u128::from(off) <= error.as_nanos());
                }
            }
            prop_assert!(log.recent.len() <= lines && log.old.len() <= lines);
            // The newest are there, and nothing is forgotten before it has to be.
            prop_assert!(log.lookup(position - 1, true, END).is_some());
            prop_assert!(found == sent.len() || log.old.len() == lines);
        }
    }
}
