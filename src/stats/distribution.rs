//! Intervals in, figures out.

use std::time::Duration;

use super::bins::{Bin, Bins};
use super::jitter::Jitter;
use crate::time::nanos_of;

/// Up to so many intervals each is kept as it is, and percentiles are exact.
pub const EXACT_SAMPLES: usize = 1024;

/// The longest interval that is told apart from longer ones: 78 hours.
///
/// Longer ones count as this one; the bound keeps 2^32 squares of intervals within 128 bits.
pub const MAX_INTERVAL_NS: u64 = (1 << 48) - 1;

/// A collection of intervals in bounded memory.
///
/// Count, minimum, maximum, average, deviation and jitter are always computed from every interval,
/// in integers. Percentiles are exact up to [`EXACT_SAMPLES`] intervals; above, they come from a
/// histogram, are wrong by at most [`Figures::percentile_error_ppm`], and never lie outside of the
/// minimum and the maximum. Memory is at most 8 KiB while exact, above it typically less, and never
/// more than 2048 bins (about 50 KiB): the histogram then halves its resolution, which the stated
/// error shows. At full resolution the error is one part in 2048 (0.05 %).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    squares: u128,
    jitter: Jitter,
    /// Every interval, as long as there is no histogram.
    exact: Vec<u64>,
    /// The histogram, once there are too many.
    bins: Option<Bins>,
}

/// What a [`Distribution`] amounts to. Times in nanoseconds; every one absent without intervals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Intervals.
    pub count: u64,
    /// The shortest.
    pub min_ns: Option<u64>,
    /// The arithmetic mean, rounded down.
    pub avg_ns: Option<u64>,
    /// The longest.
    pub max_ns: Option<u64>,
    /// ping's `mdev`: the population's standard deviation, the root of the mean of the squares less
    /// the square of the mean, rounded down.
    pub mdev_ns: Option<u64>,
    /// The median.
    pub p50_ns: Option<u64>,
    /// The 90th percentile; like all of them by nearest rank, see [`Distribution::percentile_ns`].
    pub p90_ns: Option<u64>,
    /// The 95th percentile.
    pub p95_ns: Option<u64>,
    /// The 99th percentile.
    pub p99_ns: Option<u64>,
    /// The 99.9th percentile: the maximum, below 1001 intervals.
    pub p999_ns: Option<u64>,
    /// RFC 3550 §6.4.1 over successive intervals; absent below two.
    pub jitter_ns: Option<u64>,
    /// By how many millionths of itself each percentile may be wrong at most; 0 where exact.
    pub percentile_error_ppm: Option<u32>,
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

impl Distribution {
    /// A distribution of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: 0,
            min: u64::MAX,
            max: 0,
            sum: 0,
            squares: 0,
            jitter: Jitter::new(),
            exact: Vec::new(),
            bins: None,
        }
    }

    /// Takes one interval in; the order matters to the jitter alone. See [`MAX_INTERVAL_NS`].
    pub fn record(&mut self, interval: Duration) {
        let nanos = nanos_of(interval).min(MAX_INTERVAL_NS);
        self.count += 1;
        self.min = self.min.min(nanos);
        self.max = self.max.max(nanos);
        self.sum = self.sum.saturating_add(u128::from(nanos));
        self.squares = self.squares.saturating_add(u128::from(nanos) * u128::from(nanos));
        self.jitter.record(nanos);
        if self.bins.is_none() && self.exact.len() < EXACT_SAMPLES {
            if self.exact.is_empty() {
                self.exact.reserve_exact(1);
            }
            self.exact.push(nanos);
        } else {
            self.binned().record(nanos);
        }
    }

    /// Takes all of another distribution in, as if its intervals had been recorded here, except that
    /// the jitter becomes the mean of both, weighted: their intervals do not follow each other. The
    /// order of merging changes no figure.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
        self.jitter.merge(&other.jitter);
        let fits = self.exact.len() + other.exact.len() <= EXACT_SAMPLES;
        match &other.bins {
            Some(more) => self.binned().merge(more),
            None if self.bins.is_none() && fits => self.exact.extend_from_slice(&other.exact),
            None => {
                let bins = self.binned();
                other.exact.iter().for_each(|&nanos| bins.record(nanos));
            }
        }
    }

    /// The histogram; what was kept exactly goes into it.
    fn binned(&mut self) -> &mut Bins {
        let exact = std::mem::take(&mut self.exact);
        let bins = self.bins.get_or_insert_with(Bins::new);
        exact.iter().for_each(|&nanos| bins.record(nanos));
        bins
    }

    /// How many intervals were recorded.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Every figure at once.
    #[must_use]
    pub fn figures(&self) -> Figures {
        if self.count == 0 {
            return Figures::default();
        }
        let bins = self.to_bins();
        let percentile = |thousandths| self.nearest_rank(&bins, thousandths);
        Figures {
            count: self.count,
            min_ns: Some(self.min),
            avg_ns: self.avg_ns(),
            max_ns: Some(self.max),
            mdev_ns: self.mdev_ns(),
            p50_ns: percentile(500),
            p90_ns: percentile(900),
            p95_ns: percentile(950),
            p99_ns: percentile(990),
            p999_ns: percentile(999),
            jitter_ns: self.jitter.nanos(),
            percentile_error_ppm: Some(self.bins.as_ref().map_or(0, Bins::error_ppm)),
        }
    }

    /// A percentile by nearest rank: the least interval such that at least `thousandths` of 1000 of
    /// all are not longer. It is always an interval that was measured, never one in between; 0 means
    /// the least, 1000 and above the longest. Absent without intervals.
    #[must_use]
    pub fn percentile_ns(&self, thousandths: u32) -> Option<u64> {
        self.nearest_rank(&self.to_bins(), thousandths)
    }

    /// Ranges of intervals and how many fell into them, shortest first. While exact, each distinct
    /// interval has its own.
    #[must_use]
    pub fn to_bins(&self) -> Vec<Bin> {
        if let Some(bins) = &self.bins {
            return bins.iter().collect();
        }
        let mut exact = self.exact.clone();
        exact.sort_unstable();
        let alike = exact.chunk_by(|left, right| left == right);
        let bin =
            |same: &[u64]| Bin { low_ns: same[0], high_ns: same[0], count: same.len() as u64 };
        alike.map(bin).collect()
    }

    fn nearest_rank(&self, bins: &[Bin], thousandths: u32) -> Option<u64> {
        let portion = u128::from(self.count) * u128::from(thousandths.min(1000));
        let rank = portion.div_ceil(1000).max(1);
        let mut below = 0_u128;
        let bin = bins.iter().find(|bin| {
            below += u128::from(bin.count);
            below >= rank
        })?;
        // The ends are known exactly, also where only a bin is known of them.
        Some(bin.middle_ns().clamp(self.min, self.max))
    }

    fn avg_ns(&self) -> Option<u64> {
        let mean = self.sum.checked_div(u128::from(self.count))?;
        u64::try_from(mean).ok()
    }

    fn mdev_ns(&self) -> Option<u64> {
        let count = u128::from(self.count);
        let (mean, rest) = (self.sum.checked_div(count)?, self.sum.checked_rem(count)?);
        // The sum is mean * count + rest. Its square by the count, without ever squaring it: a
        // subtraction of rounded means would lose all of a small deviation of large intervals.
        let even = (count * mean).saturating_mul(mean).saturating_add(2 * mean * rest);
        let spread =
            self.squares.saturating_sub(even).saturating_sub((rest * rest).div_ceil(count));
        u64::try_from((spread / count).isqrt()).ok()
    }
}
