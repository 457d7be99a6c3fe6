//! Brings the kernel's wall-clock stamps onto the monotonic axis, across steps of the wall clock.
//!
//! `CLOCK_REALTIME` and `CLOCK_MONOTONIC` are disciplined alike, so their difference is constant to
//! the nanosecond until somebody sets the wall clock. One offset, kept until then, therefore keeps
//! the differences between kernel stamps exact.

use nix::time::{ClockId, clock_gettime};

use crate::time::Instant;

/// A disagreement below this is reading error, not a step. In nanoseconds.
const SLACK: i64 = 1_000;

/// The wall clock was set during the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockStep {
    /// When it was noticed.
    pub at: Instant,
    /// By how many nanoseconds the wall clock was put forward; negative is back.
    pub by: i64,
}

/// Both clocks, read together: the wall clock between two readings of the monotonic one, all in
/// nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The monotonic clock before.
    pub before: u64,
    /// The wall clock.
    pub wall: u64,
    /// The monotonic clock after.
    pub after: u64,
}

impl Sample {
    /// Reads both clocks.
    #[must_use]
    pub fn take() -> Self {
        let before = read(ClockId::CLOCK_MONOTONIC);
        let wall = read(ClockId::CLOCK_REALTIME);
        Self { before, wall, after: read(ClockId::CLOCK_MONOTONIC) }
    }

    /// The range in which wall minus monotonic must lie.
    const fn bounds(self) -> (i64, i64) {
        (
            self.wall.wrapping_sub(self.after).cast_signed(),
            self.wall.wrapping_sub(self.before).cast_signed(),
        )
    }
}

/// The monotonic clock, now.
#[must_use]
pub fn now() -> Instant {
    Instant::from_nanos(read(ClockId::CLOCK_MONOTONIC))
}

fn read(clock: ClockId) -> u64 {
    // Both clocks always exist: the call cannot fail.
    clock_gettime(clock).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        seconds * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0)
    })
}

/// The relation between the two clocks, and its history of one step.
#[derive(Clone, Debug)]
pub struct ClockMap {
    /// Wall minus monotonic, for conversion: constant between steps.
    offset: i64,
    /// The offset before the last step.
    previous: Option<i64>,
    /// All samples since the last step agree that the true offset lies in here.
    bounds: (i64, i64),
}

impl ClockMap {
    /// Starts from one sample.
    #[must_use]
    pub const fn new(sample: Sample) -> Self {
        let bounds = sample.bounds();
        Self { offset: midpoint(bounds), previous: None, bounds }
    }

    /// Compares the clocks again; says so when the wall clock has been set since the last time.
    ///
    /// To be called after a stamp was fetched and before it is converted: then no stamp taken
    /// after a step is converted with the offset from before.
    pub fn check(&mut self, sample: Sample) -> Option<ClockStep> {
        let (low, high) = sample.bounds();
        if low <= self.bounds.1.saturating_add(SLACK) && high >= self.bounds.0.saturating_sub(SLACK)
        {
            let narrowed = (low.max(self.bounds.0), high.min(self.bounds.1));
            if narrowed.0 <= narrowed.1 {
                self.bounds = narrowed;
            }
            return None;
        }
        let offset = midpoint((low, high));
        let by = offset.wrapping_sub(self.offset);
        self.previous = Some(self.offset);
        (self.offset, self.bounds) = (offset, (low, high));
        Some(ClockStep { at: Instant::from_nanos(sample.after), by })
    }

    /// A wall-clock stamp, nanoseconds since 1970, on the monotonic axis.
    ///
    /// `now` tells the stamps from before the last step, still in a queue, from those after it: a
    /// stamp cannot come from the future, and comes from the nearer past.
    #[must_use]
    pub fn instant(&self, wall: u64, now: Instant) -> Instant {
        let current = shifted(wall, self.offset);
        let Some(previous) = self.previous.map(|offset| shifted(wall, offset)) else {
            return current;
        };
        // How implausible a conversion is: its age, where it lies in the past.
        let age = |at: Instant| match now.signed_nanos_since(at) {
            age if age >= -SLACK => age.unsigned_abs(),
            _ => u64::MAX,
        };
        if age(previous) < age(current) { previous } else { current }
    }

    /// The wall-clock time of a point on the monotonic axis, nanoseconds since 1970.
    #[must_use]
    pub const fn unix_ns(&self, at: Instant) -> u64 {
        at.as_nanos().wrapping_add_signed(self.offset)
    }
}

const fn midpoint((low, high): (i64, i64)) -> i64 {
    low + (high - low) / 2
}

fn shifted(wall: u64, offset: i64) -> Instant {
    Instant::from_nanos(wall.saturating_add_signed(offset.saturating_neg()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: u64 = 1_700_000_000_000_000_000;
    const HOUR: i64 = 3_600_000_000_000;

    /// Both clocks at `mono`, with the wall clock set `step` away from where it began; the reading
    /// takes 40 ns.
    fn sample(mono: u64, step: i64) -> Sample {
        Sample { before: mono - 20, wall: wall(mono, step), after: mono + 20 }
    }

    fn wall(mono: u64, step: i64) -> u64 {
        (BOOT + mono).wrapping_add_signed(step)
    }

    #[test]
    fn differences_of_stamps_survive_unchanged() {
        let mut map = ClockMap::new(sample(1_000, 0));
        let first = map.instant(wall(5_000, 0), Instant::from_nanos(9_000));
        // A reading that the scheduler drew out over 3 ms is no step and moves nothing.
        let slow = Sample { before: 10_000, wall: wall(2_000_000, 0), after: 3_000_000 };
        assert_eq!(map.check(slow), None);
        let second = map.instant(wall(5_017, 0), Instant::from_nanos(4_000_000));
        assert_eq!(second.signed_nanos_since(first), 17);
        assert_eq!(first, Instant::from_nanos(5_000));
    }

    #[test]
    fn a_step_of_an_hour_is_reported_once_and_moves_no_stamp() {
        for step in [HOUR, -HOUR] {
            let mut map = ClockMap::new(sample(1_000, 0));
            assert_eq!(map.check(sample(50_000, 0)), None);
            let reported = map.check(sample(100_000, step)).unwrap();
            assert_eq!((reported.by, reported.at), (step, Instant::from_nanos(100_020)));
            assert_eq!(map.check(sample(150_000, step)), None);
            let now = Instant::from_nanos(150_000);
            let before = map.instant(wall(90_000, 0), now);
            let after = map.instant(wall(110_000, step), now);
            assert_eq!(before, Instant::from_nanos(90_000), "queued before the step of {step}");
            assert_eq!(after, Instant::from_nanos(110_000), "taken after the step of {step}");
            assert_eq!(map.unix_ns(after), wall(110_000, step));
        }
    }

    #[test]
    fn the_real_clocks_agree_with_themselves() {
        let mut map = ClockMap::new(Sample::take());
        let sample = Sample::take();
        assert_eq!(map.check(sample), None);
        let instant = map.instant(sample.wall, Instant::from_nanos(sample.after));
        assert!(instant.as_nanos() + 1_000_000_000 > sample.before, "{instant:?}");
    }
}
