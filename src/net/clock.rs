//! One axis for all stamps: the kernel's wall-clock stamps are brought onto the monotonic clock.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::time::Instant;

/// A change of the offset between the clocks below this is the noise of reading them.
const STEP: i64 = 1_000_000;

/// A step of the wall clock, seen against the monotonic one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockStep {
    /// When it was noticed.
    pub at: Instant,
    /// By how many nanoseconds the wall clock moved; negative for backwards.
    pub by: i64,
}

/// One look at both clocks: the wall clock, between two readings of the monotonic one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sample {
    pub(crate) before: u64,
    pub(crate) wall: i64,
    pub(crate) after: u64,
}

impl Sample {
    /// Reads both clocks.
    pub(crate) fn take() -> Self {
        Self {
            before: nanos(ClockId::CLOCK_MONOTONIC).unsigned_abs(),
            wall: nanos(ClockId::CLOCK_REALTIME),
            after: nanos(ClockId::CLOCK_MONOTONIC).unsigned_abs(),
        }
    }

    /// Wall-clock nanoseconds at the monotonic clock's zero.
    fn offset(&self) -> i64 {
        let middle = self.before + (self.after - self.before) / 2;
        self.wall.saturating_sub(i64::try_from(middle).unwrap_or(i64::MAX))
    }
}

/// The time now, on the monotonic axis.
#[must_use]
pub fn now() -> Instant {
    Instant::from_nanos(nanos(ClockId::CLOCK_MONOTONIC).unsigned_abs())
}

/// Nanoseconds of a clock; the two that are read here cannot fail on Linux.
fn nanos(clock: ClockId) -> i64 {
    clock_gettime(clock)
        .map_or(0, |time| time.tv_sec().saturating_mul(1_000_000_000) + time.tv_nsec())
}

/// Brings wall-clock stamps onto the monotonic axis.
///
/// The offset stays exactly the same until the wall clock is stepped, so that the difference of two
/// of the kernel's stamps stays exactly what it was. Slewing moves both clocks alike and is no step.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    offset: i64,
    /// The offset before the last step, for stamps that were taken before it and read after.
    previous: Option<i64>,
}

impl Axis {
    pub(crate) fn new(sample: Sample) -> Self {
        Self { offset: sample.offset(), previous: None }
    }

    /// Compares the clocks again; a step moves the axis' offset.
    pub(crate) fn check(&mut self, sample: Sample) -> Option<ClockStep> {
        let by = sample.offset().saturating_sub(self.offset);
        let uncertain = i64::try_from(sample.after - sample.before).unwrap_or(i64::MAX);
        if by.abs() <= STEP.saturating_add(uncertain) {
            return None;
        }
        self.previous = Some(self.offset);
        self.offset = sample.offset();
        Some(ClockStep { at: Instant::from_nanos(sample.after), by })
    }

    /// A wall-clock stamp, as read at the monotonic time `read_at`. A stamp of before a step and
    /// read after it would lie in the future, or far in the past: then the older offset is right.
    pub(crate) fn place(&self, wall: i64, read_at: Instant) -> Instant {
        let by = |offset: i64| {
            Instant::from_nanos(u64::try_from(wall.saturating_sub(offset)).unwrap_or_default())
        };
        let placed = by(self.offset);
        let Some(previous) = self.previous else { return placed };
        let distance = |at: Instant| at.signed_nanos_since(read_at).unsigned_abs();
        let older = by(previous);
        if distance(older) < distance(placed) { older } else { placed }
    }

    /// The wall-clock nanoseconds since the Unix epoch at `at`.
    pub(crate) fn wall(&self, at: Instant) -> i64 {
        i64::try_from(at.as_nanos()).unwrap_or(i64::MAX).saturating_add(self.offset)
    }
}

/// Time left until `until`; zero where it has come.
pub(crate) fn left(until: Instant) -> Duration {
    until.since(now())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn sample(mono: u64, wall: i64) -> Sample {
        Sample { before: mono, wall, after: mono }
    }

    #[test]
    fn differences_of_stamps_survive_the_noise_of_the_clocks() {
        let mut axis = Axis::new(sample(1_000, 50 * SECOND));
        let read_at = Instant::from_nanos(2 * SECOND.unsigned_abs());
        let first = axis.place(51 * SECOND, read_at);
        // Another reading finds another offset by half a millisecond: not a step, not a change.
        assert_eq!(axis.check(sample(2_000, 50 * SECOND + 500_000)), None);
        let second = axis.place(51 * SECOND + 7, read_at);
        assert_eq!(second.since(first), Duration::from_nanos(7));
    }

    #[test]
    fn an_hours_step_is_noticed_and_stamps_keep_their_place() {
        let hour = 3600 * SECOND;
        for by in [hour, -hour] {
            let mut axis = Axis::new(sample(0, 100 * hour));
            let mono = 5 * SECOND.unsigned_abs();
            let step = axis.check(sample(mono, 100 * hour + 5 * SECOND + by));
            assert_eq!(step, Some(ClockStep { at: Instant::from_nanos(mono), by }));
            let read_at = Instant::from_nanos(mono + 10);
            let after = axis.place(100 * hour + 5 * SECOND + by + 4, read_at);
            assert_eq!(after, Instant::from_nanos(mono + 4));
            let before = axis.place(100 * hour + 5 * SECOND - 4, read_at);
            assert_eq!(before, Instant::from_nanos(mono - 4), "stamped before, read after");
            assert_eq!(axis.check(sample(mono + 9, 100 * hour + 5 * SECOND + by + 9)), None);
        }
    }
}
