//! The interarrival jitter of RFC 3550.

/// RFC 3550 §6.4.1, with the integer estimator of its appendix A.8, over round trips.
///
/// `D(i-1,i)` is the difference of two successive intervals, in the order in which their answers
/// came: `J += (|D| - J) / 16`. The RFC's `D` is a difference of one-way transit times; over round
/// trips both directions contribute. Absent before the second interval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Jitter {
    last: Option<u64>,
    /// The estimate times 16, so that the division by 16 loses nothing.
    scaled: u64,
    /// Differences that went into `scaled`.
    differences: u64,
    /// Of other series that were merged in: the sum of their scaled estimates, each weighted by its
    /// number of differences, and the sum of the weights.
    merged: (u128, u64),
}

impl Jitter {
    pub(super) const fn new() -> Self {
        Self { last: None, scaled: 0, differences: 0, merged: (0, 0) }
    }

    pub(super) fn record(&mut self, interval: u64) {
        if let Some(last) = self.last.replace(interval) {
            let difference = interval.abs_diff(last);
            // A.8: s->jitter += d - ((s->jitter + 8) >> 4).
            self.scaled = self.scaled + difference - ((self.scaled + 8) >> 4);
            self.differences += 1;
        }
    }

    /// Takes another series in: their intervals do not follow each other, so that no difference
    /// between them counts.
    pub(super) fn merge(&mut self, other: &Self) {
        let (sum, weight) = other.weighted();
        self.merged.0 = self.merged.0.saturating_add(sum);
        self.merged.1 += weight;
    }

    /// The estimate in nanoseconds; over several series the mean, weighted by their differences.
    pub(super) fn nanos(&self) -> Option<u64> {
        let (sum, weight) = self.weighted();
        let scaled = sum.checked_div(u128::from(weight))?;
        u64::try_from(scaled >> 4).ok()
    }

    fn weighted(&self) -> (u128, u64) {
        let own = u128::from(self.scaled) * u128::from(self.differences);
        (self.merged.0.saturating_add(own), self.merged.1 + self.differences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(intervals: &[u64]) -> Jitter {
        let mut jitter = Jitter::new();
        intervals.iter().for_each(|&interval| jitter.record(interval));
        jitter
    }

    #[test]
    fn follows_the_estimator_of_the_rfc() {
        assert_eq!(of(&[]).nanos(), None);
        assert_eq!(of(&[7]).nanos(), None, "one interval has no difference");
        assert_eq!(of(&[7, 7]).nanos(), Some(0));
        // By hand: 16000 -> 1000; then 16000 + 0 - (16008 >> 4) = 15000 -> 937.
        assert_eq!(of(&[0, 16_000]).nanos(), Some(1000));
        assert_eq!(of(&[0, 16_000, 16_000]).nanos(), Some(937));
        // A steady difference is what it converges to.
        let swinging: Vec<u64> = (0..2000).map(|i| 50_000 + 1_000 * (i % 2)).collect();
        assert!(of(&swinging).nanos().is_some_and(|nanos| nanos.abs_diff(1_000) <= 1));
    }

    #[test]
    fn series_merged_in_any_order_agree_and_add_no_difference_of_their_own() {
        let parts = [of(&[10, 20, 15]), of(&[9_000, 9_100]), of(&[5])];
        let merged = |order: [usize; 3]| {
            let mut sum = Jitter::new();
            order.iter().for_each(|&part| sum.merge(&parts[part]));
            sum.nanos()
        };
        assert_eq!(merged([0, 1, 2]), merged([2, 1, 0]));
        assert!(merged([0, 1, 2]) < Some(100), "the step from 15 to 9000 is no jitter");
        let mut own = parts[1].clone();
        own.merge(&parts[0]);
        assert_eq!(own.nanos(), merged([0, 1, 2]));
    }
}
