//! How fast SYNs leave: an open loop with a bounded burst.
//!
//! A bucket fills at the rate and holds one burst. Over any window, no more leaves than the rate
//! allows in it, and one burst. What the sender could not use because it was stalled for longer than
//! that is lost, never made up for by a flood. All arithmetic is exact: nothing drifts.

use std::time::Duration;

use crate::time::{Instant, nanos_of};

/// Parts of a packet: what one packet a second adds in a nanosecond.
const PACKET: i64 = 1_000_000_000;

/// Packets of a burst at most, so that the sums cannot overflow.
const MAX_BURST: u64 = 1 << 30;

/// See the [module](self).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Packets a second, from 1.
    rate: u64,
    /// Packets that may leave at once, from 1.
    burst: u64,
    batch: u64,
    /// In parts of a packet; below zero where more was spent than allowed.
    level: i64,
    as_of: Instant,
}

impl Pace {
    /// `rate` packets a second, from 1, beginning with one. The burst is `batch`, or what the rate
    /// allows in a millisecond where that is more: a sleep is seldom more exact.
    #[must_use]
    pub fn new(rate: u64, batch: u64, now: Instant) -> Self {
        let mut pace = Self { rate: 1, burst: 1, batch, level: PACKET, as_of: now };
        pace.set_rate(rate, now);
        pace
    }

    /// Packets a second.
    #[must_use]
    pub const fn rate(&self) -> u64 {
        self.rate
    }

    /// Packets that may leave at once after a rest.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// Another rate, from now on.
    pub fn set_rate(&mut self, rate: u64, now: Instant) {
        self.settle(now);
        self.rate = rate.max(1);
        self.burst = self.batch.max(self.rate / 1000).clamp(1, MAX_BURST);
        self.level = self.level.min(self.full());
    }

    /// Packets that may leave now.
    #[must_use]
    pub fn allowance(&mut self, now: Instant) -> usize {
        self.settle(now);
        usize::try_from(self.level / PACKET).unwrap_or(0)
    }

    /// Packets have left. More than allowed is paid back by waiting.
    pub fn spent(&mut self, packets: usize) {
        let parts = i64::try_from(packets).unwrap_or(i64::MAX).saturating_mul(PACKET);
        self.level = self.level.saturating_sub(parts);
    }

    /// When `packets` may leave at once, or a whole burst if that is less. Not before `now`.
    #[must_use]
    pub fn wait_until(&mut self, now: Instant, packets: usize) -> Instant {
        self.settle(now);
        let packets = i64::try_from(packets).unwrap_or(i64::MAX).max(1);
        let missing = packets.saturating_mul(PACKET).min(self.full()).saturating_sub(self.level);
        let missing = u64::try_from(missing).unwrap_or(0);
        now.max(self.as_of) + Duration::from_nanos(missing.div_ceil(self.rate))
    }

    /// Fills the bucket up to `now`.
    fn settle(&mut self, now: Instant) {
        let elapsed = nanos_of(now.since(self.as_of));
        self.as_of = self.as_of.max(now);
        let gained = u128::from(elapsed) * u128::from(self.rate);
        let gained = i64::try_from(gained).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(gained).min(self.full());
    }

    fn full(&self) -> i64 {
        i64::try_from(self.burst).unwrap_or(i64::MAX).saturating_mul(PACKET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn the_rate_is_exact_in_the_long_run() {
        for rate in [1, 3, 7, 997, 1_000_003, 14_880_952] {
            let mut pace = Pace::new(rate, 16, Instant::ZERO);
            let (mut sent, mut now) = (0_u64, Instant::ZERO);
            while sent < 20_000 {
                let allowed = pace.allowance(now);
                pace.spent(allowed);
                sent += allowed as u64;
                now = pace.wait_until(now, 1);
            }
            // Waking whenever one may leave: never a nanosecond too early, never one lost.
            let least = u128::from(sent - 1) * 1_000_000_000 / u128::from(rate);
            assert!(u128::from(now.as_nanos()) >= least, "{rate}");
            assert!(u128::from(now.as_nanos()) <= least + 1_000_000_000 / u128::from(rate) + 2);
        }
    }

    #[test]
    fn a_stall_is_not_made_up_for() {
        let mut pace = Pace::new(100_000, 16, Instant::ZERO);
        assert_eq!((pace.burst(), pace.allowance(at(0))), (100, 1));
        let day = 86_400_000_000_000;
        assert_eq!(pace.allowance(at(day)), 100);
        pace.spent(100);
        assert_eq!(pace.allowance(at(day)), 0);
        assert_eq!(pace.wait_until(at(day), 16), at(day + 160_000));
        assert_eq!(pace.allowance(at(day + 160_000)), 16);
        assert_eq!(pace.wait_until(at(day), 1 << 40), at(day + 1_000_000), "a burst at most");
        // Time that goes backwards changes nothing.
        assert_eq!(pace.allowance(at(5)), 16);
    }

    #[test]
    fn another_rate_holds_from_then_on() {
        let mut pace = Pace::new(1_000_000, 16, Instant::ZERO);
        assert_eq!(pace.allowance(at(1_000_000_000)), 1000);
        pace.set_rate(10, at(1_000_000_000));
        assert_eq!((pace.rate(), pace.allowance(at(1_000_000_000))), (10, 16));
        pace.spent(18);
        assert_eq!(pace.wait_until(at(1_000_000_000), 1), at(1_300_000_000), "the debt first");
    }

    proptest! {
        #[test]
        fn over_any_window_no_more_than_the_rate_and_a_burst(
            rate in 1_u64..2_000_000, batch in 1_u64..300,
            steps in prop::collection::vec((0_u64..3_000_000, 0_usize..400), 1..80)
        ) {
            let mut pace = Pace::new(rate, batch, Instant::ZERO);
            let mut now = Instant::ZERO;
            let mut sent: Vec<(u64, u64)> = Vec::new();
            for (pass, wish) in steps {
                now += Duration::from_nanos(pass);
                let packets = pace.allowance(now).min(wish);
                pace.spent(packets);
                sent.push((now.as_nanos(), packets as u64));
            }
            for from in 0..sent.len() {
                let mut sum = 0;
                for (until, packets) in &sent[from..] {
                    sum += packets;
                    let window = u128::from(until - sent[from].0);
                    let most = window * u128::from(rate) + u128::from(pace.burst()) * 1_000_000_000;
                    prop_assert!(u128::from(sum) * 1_000_000_000 <= most);
                }
            }
        }
    }
}
