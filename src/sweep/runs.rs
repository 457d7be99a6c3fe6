//! Sets of numbers as sorted runs: what IPv4 and IPv6 addresses have in common.

use std::iter::Peekable;

/// The number behind an address.
pub(super) trait Number: Copy + Ord + std::fmt::Debug {
    /// The number after this one, or this one at the end.
    fn up(self) -> Self;
    /// The number before this one, or this one at 0.
    fn down(self) -> Self;
    /// How far this number lies above `below`, which must not be larger.
    fn above(self, below: Self) -> u128;
    /// The number `steps` above this one; the caller knows that there is one.
    fn ahead(self, steps: u64) -> Self;
}

impl Number for u32 {
    fn up(self) -> Self {
        self.saturating_add(1)
    }
    fn down(self) -> Self {
        self.saturating_sub(1)
    }
    fn above(self, below: Self) -> u128 {
        u128::from(self.wrapping_sub(below))
    }
    fn ahead(self, steps: u64) -> Self {
        // The low half: a run of addresses of four bytes is no longer than that.
        self.wrapping_add(steps as Self)
    }
}

impl Number for u128 {
    fn up(self) -> Self {
        self.saturating_add(1)
    }
    fn down(self) -> Self {
        self.saturating_sub(1)
    }
    fn above(self, below: Self) -> u128 {
        self.wrapping_sub(below)
    }
    fn ahead(self, steps: u64) -> Self {
        self.wrapping_add(Self::from(steps))
    }
}

/// A set of numbers: disjoint runs that do not even touch, in ascending order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Runs<T> {
    /// First and last number of each run.
    runs: Vec<(T, T)>,
    /// How many numbers lie in the runs before each, or [`u64::MAX`] where that is no u64.
    before: Vec<u64>,
    count: u128,
    directory: Directory,
}

/// Where to look for a place among many runs: a plain binary search over a million of them takes a
/// microsecond, most of it waiting for memory.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Directory {
    /// Places that agree in all but so many low bits share an entry.
    shift: u32,
    /// For each entry how many runs begin at its first place or before, and at the end all of them;
    /// empty where the search is short without it.
    until: Vec<usize>,
}

/// Runs from which a directory pays.
const MANY: usize = 64;

impl Directory {
    /// The directory of runs that have so many numbers `before` each, one entry for two runs at most.
    fn new(before: &[u64], count: u128) -> Self {
        let last = match u64::try_from(count) {
            Ok(count) if before.len() >= MANY => count - 1,
            _ => return Self::default(),
        };
        let most = before.len() as u64 / 2;
        let shift = (0..u64::BITS).find(|shift| last >> shift < most).unwrap_or(0);
        let mut runs = before.iter().copied().peekable();
        let mut begun = 0;
        let entry = |entry: u64| {
            while runs.next_if(|before| *before <= entry << shift).is_some() {
                begun += 1;
            }
            begun
        };
        let mut until: Vec<_> = (0..=last >> shift).map(entry).collect();
        until.push(before.len());
        Self { shift, until }
    }

    /// Between which runs the one with `place` lies.
    fn around(&self, place: u64, runs: usize) -> (usize, usize) {
        let entry = (place >> self.shift) as usize;
        match (self.until.get(entry), self.until.get(entry.wrapping_add(1))) {
            (Some(from), Some(to)) => (from - 1, *to),
            _ => (0, runs),
        }
    }
}

impl<T: Number> Runs<T> {
    /// The union of `runs`, which may overlap and be in any order.
    pub(super) fn union(mut runs: Vec<(T, T)>) -> Self {
        runs.sort_unstable();
        // Merged in place: a list of millions is not held twice.
        runs.dedup_by(|next, kept| {
            let touches = next.0 <= kept.1 || next.0 == kept.1.up();
            if touches {
                kept.1 = kept.1.max(next.1);
            }
            touches
        });
        runs.shrink_to_fit();
        Self::numbered(runs)
    }

    fn numbered(runs: Vec<(T, T)>) -> Self {
        let mut count = 0_u128;
        let mut before = Vec::with_capacity(runs.len());
        for (first, last) in &runs {
            before.push(u64::try_from(count).unwrap_or(u64::MAX));
            // All 2^128 IPv6 addresses are one more than a u128 holds.
            count = count.saturating_add(last.above(*first)).saturating_add(1);
        }
        let directory = Directory::new(&before, count);
        Self { runs, before, count, directory }
    }

    /// This set without the numbers of `other`.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut left = Vec::with_capacity(self.runs.len());
        let mut holes = other.runs.iter().copied().peekable();
        for run in &self.runs {
            cut(*run, &mut holes, &mut left);
        }
        left.shrink_to_fit();
        Self::numbered(left)
    }

    /// How many numbers from `first` to `last` belong to the set.
    pub(super) fn count_within(&self, first: T, last: T) -> u128 {
        let from = self.runs.partition_point(|run| run.1 < first);
        let inside = self.runs[from..].iter().take_while(|run| run.0 <= last);
        inside.fold(0_u128, |sum, run| {
            let length = run.1.min(last).above(run.0.max(first)).saturating_add(1);
            sum.saturating_add(length)
        })
    }

    /// How many numbers belong to the set; [`u128::MAX`] also for one more than that.
    pub(super) const fn count(&self) -> u128 {
        self.count
    }

    /// The number at `index` in ascending order, which [`u64::MAX`] is not.
    pub(super) fn nth(&self, index: u64) -> Option<T> {
        if u128::from(index) >= self.count || index == u64::MAX {
            return None;
        }
        let (from, to) = self.directory.around(index, self.before.len());
        let begun = self.before[from..to].partition_point(|before| *before <= index);
        let at = (from + begun).checked_sub(1)?;
        Some(self.runs[at].0.ahead(index - self.before[at]))
    }

    /// Where `number` stands in ascending order; absent where it does not belong to the set, or
    /// where its place is [`u64::MAX`] or higher.
    pub(super) fn index_of(&self, number: T) -> Option<u64> {
        let at = self.runs.partition_point(|run| run.0 <= number).checked_sub(1)?;
        let (first, last) = self.runs[at];
        let offset = u64::try_from(number.above(first)).ok()?;
        (number <= last).then_some(())?;
        self.before[at].checked_add(offset).filter(|place| *place != u64::MAX)
    }

    /// First and last number of each run, ascending.
    pub(super) fn as_slice(&self) -> &[(T, T)] {
        &self.runs
    }
}

/// Adds to `left` what remains of `run` between the ascending `holes`.
fn cut<T: Number>(
    (mut first, last): (T, T),
    holes: &mut Peekable<impl Iterator<Item = (T, T)>>,
    left: &mut Vec<(T, T)>,
) {
    while holes.next_if(|hole| hole.1 < first).is_some() {}
    while let Some(&hole) = holes.peek().filter(|hole| hole.0 <= last) {
        if first < hole.0 {
            left.push((first, hole.0.down()));
        }
        if hole.1 >= last {
            // It may reach into the next run as well.
            return;
        }
        first = hole.1.up();
        holes.next();
    }
    left.push((first, last));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Runs near 0, or near the end, where a step too far would overflow.
    fn drawn() -> impl Strategy<Value = Vec<(u32, u32)>> {
        let run =
            (0_u32..200, 0_u32..30).prop_map(|(first, more)| (first, (first + more).min(209)));
        prop::collection::vec(run, 0..12)
    }

    fn flipped(runs: &[(u32, u32)], flip: bool) -> Vec<(u32, u32)> {
        let turn = |run: &(u32, u32)| if flip { (!run.1, !run.0) } else { *run };
        runs.iter().map(turn).collect()
    }

    fn model(runs: &[(u32, u32)]) -> BTreeSet<u32> {
        runs.iter().flat_map(|(first, last)| *first..=*last).collect()
    }

    fn members(runs: &Runs<u32>) -> Vec<u32> {
        runs.as_slice().iter().flat_map(|(first, last)| *first..=*last).collect()
    }

    proptest! {
        #[test]
        fn union_and_difference_are_those_of_sets(
            some in drawn(), other in drawn(), flip: bool, window in (0_u32..210, 0_u32..210),
        ) {
            let (some, other) = (flipped(&some, flip), flipped(&other, flip));
            let (a, b) = (model(&some), model(&other));
            let (runs, holes) = (Runs::union(some), Runs::union(other));
            prop_assert_eq!(members(&runs), a.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(runs.count(), a.len() as u128);
            for pair in runs.as_slice().windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0, "runs touch: {pair:?}");
            }
            let left = runs.without(&holes);
            let expected: Vec<_> = a.difference(&b).copied().collect();
            prop_assert_eq!(members(&left), expected.clone());
            for (index, number) in expected.iter().enumerate() {
                prop_assert_eq!(left.nth(index as u64), Some(*number));
                prop_assert_eq!(left.index_of(*number), Some(index as u64));
            }
            prop_assert_eq!(left.nth(expected.len() as u64), None);
            for gone in a.intersection(&b) {
                prop_assert_eq!(left.index_of(*gone), None);
            }
            let (first, last) = (window.0.min(window.1), window.0.max(window.1));
            let (first, last) = if flip { (!last, !first) } else { (first, last) };
            prop_assert_eq!(runs.count_within(first, last), a.range(first..=last).count() as u128);
        }
    }

    proptest! {
        #[test]
        fn many_runs_of_uneven_length_are_found(
            steps in prop::collection::vec((1_u32..30, 2_u32..9), 60..400), long in 0_u32..1_000_000,
        ) {
            let mut next = 0;
            let runs = steps.iter().enumerate().map(|(at, (length, gap))| {
                let first = next;
                let last = first + length + if at == 30 { long } else { 0 };
                next = last + gap;
                (first, last)
            });
            let runs = Runs::union(runs.collect());
            let mut place = 0;
            for (first, last) in runs.as_slice() {
                for number in [*first, first + 1, *last] {
                    let at = place + u64::from(number - first);
                    prop_assert_eq!((runs.nth(at), runs.index_of(number)), (Some(number), Some(at)));
                }
                place += u64::from(last - first) + 1;
            }
            prop_assert_eq!(runs.nth(place), None);
        }
    }

    #[test]
    fn the_largest_sets_do_not_overflow() {
        let all = Runs::union(vec![(0_u128, u128::MAX)]);
        assert_eq!(all.count(), u128::MAX);
        assert_eq!(all.nth(u64::MAX - 1), Some(u128::from(u64::MAX - 1)));
        assert_eq!(all.index_of(u128::MAX), None);
        let halves = all.without(&Runs::union(vec![(1 << 100, 1 << 100)]));
        assert_eq!(halves.as_slice().len(), 2);
        assert_eq!(halves.count(), u128::MAX);
        assert_eq!(halves.index_of((1 << 100) + 1), None, "its place is no u64");
        assert_eq!(halves.nth(u64::MAX), None);
        assert_eq!(all.without(&all).count(), 0);
        let all = Runs::union(vec![(0_u32, u32::MAX)]);
        assert_eq!(all.count(), 1 << 32);
        assert_eq!(all.nth((1 << 32) - 1), Some(u32::MAX));
    }
}
