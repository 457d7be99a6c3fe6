//! Counts of intervals in bins whose width grows with the value, in bounded memory.

use std::collections::BTreeMap;

/// Bins kept at most; above it neighbours are merged.
const MAX_BINS: usize = 2048;

/// Doublings of the value are divided into two to this power of bins at first.
const FINEST: u32 = 10;

/// A range of intervals and how many fell into it. Both ends in nanoseconds, both inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bin {
    /// The shortest interval that belongs to it.
    pub low_ns: u64,
    /// The longest interval that belongs to it.
    pub high_ns: u64,
    /// How many there were.
    pub count: u64,
}

impl Bin {
    /// The middle of the range: at most half a width from everything in it.
    #[must_use]
    pub const fn middle_ns(&self) -> u64 {
        self.low_ns + (self.high_ns - self.low_ns) / 2
    }
}

/// A sparse histogram: each doubling of the value is divided into `2^bits` equal bins.
///
/// Only bins with something in them take memory, and never more than [`MAX_BINS`] do: where more
/// would be needed, `bits` falls by one, which merges bins in pairs. So what is kept depends on the
/// set of the values alone, not on the order in which they or their parts came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bins {
    bits: u32,
    counts: BTreeMap<u16, u64>,
}

impl Bins {
    pub(super) const fn new() -> Self {
        Self { bits: FINEST, counts: BTreeMap::new() }
    }

    pub(super) fn record(&mut self, value: u64) {
        *self.counts.entry(index(value, self.bits)).or_insert(0) += 1;
        self.shrink();
    }

    pub(super) fn merge(&mut self, other: &Self) {
        while self.bits > other.bits {
            self.coarsen();
        }
        for (&at, count) in &other.counts {
            *self.counts.entry(index(low(at, other.bits), self.bits)).or_insert(0) += count;
        }
        self.shrink();
    }

    /// The bins with something in them, shortest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Bin> + '_ {
        self.counts.iter().map(|(&at, &count)| Bin {
            low_ns: low(at, self.bits),
            high_ns: low(at + 1, self.bits) - 1,
            count,
        })
    }

    /// By how many millionths of itself a value is wrong at most that is given as the middle of its
    /// bin.
    pub(super) fn error_ppm(&self) -> u32 {
        1_000_000_u32.div_ceil(1 << (self.bits + 1))
    }

    fn shrink(&mut self) {
        while self.counts.len() > MAX_BINS {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        let mut merged = BTreeMap::new();
        for (&at, count) in &self.counts {
            *merged.entry(index(low(at, self.bits), self.bits - 1)).or_insert(0) += count;
        }
        self.bits -= 1;
        self.counts = merged;
    }
}

/// The bin of `value`, which is below 2^48: at most 39,936, with `bits` at most 10.
///
/// Up to `2^(bits + 1)` each value has a bin of its own; each doubling above has `2^bits` bins.
fn index(value: u64, bits: u32) -> u16 {
    let shift = value.max(1).ilog2().saturating_sub(bits);
    // `value >> shift` keeps bits + 1 significant bits, the first of which the shift's term counts.
    let at = (u64::from(shift) << bits) + (value >> shift);
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// The least value of bin `at`.
fn low(at: u16, bits: u32) -> u64 {
    let at = u64::from(at);
    let shift = (at >> bits).saturating_sub(1);
    (at - (shift << bits)) << shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_value_lies_in_its_bin_and_bins_leave_no_gap(
            value in 0_u64..1 << 48, narrow in 0_u32..48, bits in 0..=FINEST
        ) {
            let value = value >> narrow;
            let at = index(value, bits);
            prop_assert!(low(at, bits) <= value && value < low(at + 1, bits));
            let width = low(at + 1, bits) - low(at, bits);
            prop_assert!(width == 1 || width << bits <= value, "{width} at {value}");
            // Merging in pairs loses nothing: a bin lies within one bin of half the resolution.
            if bits > 0 {
                prop_assert_eq!(index(low(at, bits), bits - 1), index(value, bits - 1));
            }
        }
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut bins = Bins::new();
        // Evenly over all magnitudes from 1 ns to three days.
        let mut value = 1_u64;
        let mut recorded = 0;
        while value < 1 << 48 {
            bins.record(value);
            recorded += 1;
            value += 1 + value / 700;
        }
        assert!(bins.counts.len() <= MAX_BINS);
        assert!(bins.error_ppm() <= 15_625, "{} ppm", bins.error_ppm());
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), recorded);
    }
}
