//! What the live display keeps of one target: the last probes, and roughly how bad the worst were.

use crate::event::RttProbe;
use crate::stats::{Answer, Fate, Phase};
use crate::time::nanos_of;

/// Probes that are remembered.
pub(super) const STRIP: usize = 48;

/// Ranges of intervals that are told apart for the ranking: four for each doubling, from 256 ns.
const RANGES: usize = 128;

/// What became of a probe, as the strip shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// Answered after so many units of 16 ns: 68 s at most.
    Answered(u32),
    Refused,
    Late,
    Lost,
    Icmp,
    /// Answered, and nothing to be timed.
    Untimed,
    /// Not known yet, or it never left.
    Open,
}

impl Mark {
    /// The mark of a probe whose fate is known.
    pub(super) fn of(probe: &RttProbe) -> Option<Self> {
        Some(match (probe.fate, probe.answer) {
            (Fate::InFlight, _) => return None,
            (Fate::Lost, _) => Self::Lost,
            (Fate::Late, _) => Self::Late,
            (Fate::Icmp, _) => Self::Icmp,
            (Fate::Refused, _) | (_, Some(Answer::Refused)) => Self::Refused,
            _ => probe.interval(Phase::Handshake).map_or(Self::Untimed, |interval| {
                Self::Answered(u32::try_from(nanos_of(interval) / 16).unwrap_or(u32::MAX))
            }),
        })
    }
}

/// One target's row, as far as it is not in its account.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// The mark of each of the last probes, at the remainder of its number.
    strip: [Mark; STRIP],
    /// The number after that of the last probe that was marked.
    next: u64,
    /// What was heard last.
    latest: Mark,
    /// The last interval in nanoseconds; absent where the last probe had none.
    last: Option<u64>,
    /// Intervals by range, for the ranking alone: figures that are shown come from the account.
    ranges: [u16; RANGES],
    counted: u32,
    highest: u8,
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            strip: [Mark::Open; STRIP],
            next: 0,
            latest: Mark::Open,
            last: None,
            ranges: [0; RANGES],
            counted: 0,
            highest: 0,
        }
    }
}

impl Cell {
    pub(super) fn push(&mut self, mark: Mark, probe: &RttProbe) {
        // Those that were passed over are still in flight, or never left.
        let passed = probe.index.saturating_sub(self.next).min(STRIP as u64);
        for number in probe.index - passed..probe.index {
            self.strip[place(number)] = Mark::Open;
        }
        self.next = self.next.max(probe.index.saturating_add(1));
        if self.next - probe.index <= STRIP as u64 {
            self.strip[place(probe.index)] = mark;
        }
        self.latest = mark;
        self.last = probe.interval(Phase::Handshake).map(nanos_of);
        if let Some(nanos) = self.last.filter(|_| !probe.warm_up) {
            self.rank(nanos);
        }
    }

    /// The marks of the last probes, at most so many, oldest first.
    pub(super) fn last_marks(&self, most: usize) -> impl Iterator<Item = Mark> + '_ {
        let known = self.next.min(STRIP as u64).min(most as u64);
        (self.next - known..self.next).map(|number| self.strip[place(number)])
    }

    /// What was heard last.
    pub(super) const fn latest(&self) -> Mark {
        self.latest
    }

    /// The last interval in nanoseconds.
    pub(super) const fn last(&self) -> Option<u64> {
        self.last
    }

    /// The range of the 99th percentile: for comparison.
    pub(super) fn tail(&self) -> u8 {
        let mut above = self.counted / 100;
        for range in (0..=self.highest).rev() {
            let count = u32::from(self.ranges[usize::from(range)]);
            if count > above {
                return range;
            }
            above -= count;
        }
        0
    }

    fn rank(&mut self, nanos: u64) {
        let range = range(nanos);
        let count = &mut self.ranges[usize::from(range)];
        *count += 1;
        self.counted += 1;
        self.highest = self.highest.max(range);
        if *count == u16::MAX {
            self.ranges.iter_mut().for_each(|count| *count /= 2);
            self.counted = self.ranges.iter().map(|count| u32::from(*count)).sum();
        }
    }
}

/// Where a probe's mark is: below [`STRIP`].
fn place(number: u64) -> usize {
    usize::try_from(number % STRIP as u64).unwrap_or(0)
}

/// Below [`RANGES`].
fn range(nanos: u64) -> u8 {
    let nanos = nanos.max(256);
    let octave = nanos.ilog2();
    let quarter = (nanos >> (octave - 2)) & 3;
    let range = u64::from(octave - 8) * 4 + quarter;
    u8::try_from(range.min(RANGES as u64 - 1)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_intervals_are_never_ranked_below_shorter_ones() {
        let ranges: Vec<u8> = (0..4000).map(|i| range(i * i * 997)).collect();
        assert!(ranges.is_sorted());
        assert!(ranges.iter().all(|range| usize::from(*range) < RANGES));
        assert_eq!([range(0), range(u64::MAX)], [0, 127]);
    }

    #[test]
    fn the_tail_is_that_of_one_in_a_hundred() {
        let mut cell = Cell::default();
        for i in 0..200 {
            cell.rank(if i < 2 { 1_000_000_000 } else { 1_000_000 });
        }
        assert_eq!(cell.tail(), range(1_000_000), "two of two hundred lie above it");
        cell.rank(1_000_000_000);
        assert_eq!(cell.tail(), range(1_000_000_000));
        for _ in 0..100_000 {
            cell.rank(2_000_000);
        }
        assert_eq!(cell.tail(), range(2_000_000), "counts that would overflow are halved");
    }
}
