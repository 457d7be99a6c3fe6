//! Brings the kernel's wall-clock stamps onto the monotonic axis, across steps of the wall clock.
//!
//! `CLOCK_REALTIME` and `CLOCK_MONOTONIC` are disciplined alike, so their difference is constant to
//! the nanosecond until somebody sets the wall clock. One offset, kept until then, therefore keeps
//! the differences between kernel stamps exact.
//!
//! A host that sleeps looks the same from here: the monotonic clock stands still meanwhile, and the
//! wall clock is put forward by the time slept. An interval during which it slept is too short by
//! that time on the monotonic axis, and the step tells.

use std::collections::VecDeque;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::time::{Clock, Instant};

/// A disagreement below this is reading error, not a step. In nanoseconds. A step that is smaller
/// goes unnoticed, and makes an interval wrong by no more.
const SLACK: i64 = 1_000;
/// Readings, of which [`Sample::careful`] takes the best.
const READINGS: usize = 8;
/// Steps that are remembered, for the stamps from before them that are still in a queue.
const REMEMBERED: usize = 4;
/// How much older than the map a stamp may be: the packet may have been stamped before it came to
/// the capture.
const HEAD_START: Duration = Duration::from_secs(1);

/// A clock that stamps packets was set during the run, or this host slept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockStep {
    /// Which clock's stamps it concerns: [`Clock::Kernel`] for the wall clock, which the kernel's
    /// stamps are taken from; [`Clock::Hardware`] for an interface's own.
    pub clock: Clock,
    /// When it was noticed.
    pub at: Instant,
    /// By how many nanoseconds the clock was put forward against the monotonic clock; negative is
    /// back.
    pub by: i64,
    /// An interval with one stamp from before and one from after the step is uncertain by this many
    /// nanoseconds either way. An interval on one side of it is as exact as ever.
    pub error: u64,
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

    /// Reads both clocks several times, and keeps the reading that took the least time: the
    /// scheduler can draw one out by milliseconds, and an offset from it is off by half of that.
    #[must_use]
    pub fn careful() -> Self {
        let first = Self::take();
        (1..READINGS)
            .map(|_| Self::take())
            .fold(first, |best, next| if next.duration() < best.duration() { next } else { best })
    }

    const fn duration(self) -> u64 {
        self.after.saturating_sub(self.before)
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

/// The time between two steps of the wall clock.
#[derive(Clone, Copy, Debug)]
struct Era {
    /// Wall minus monotonic, for conversion.
    offset: i64,
    /// No stamp of it is older.
    begins: Instant,
}

/// An era that is over.
#[derive(Clone, Copy, Debug)]
struct Past {
    era: Era,
    /// When the step that ended it was noticed: no stamp of it is younger.
    ended: Instant,
}

/// The relation between the two clocks, and the history of its steps.
#[derive(Clone, Debug)]
pub struct ClockMap {
    era: Era,
    /// The last eras before, the newest last.
    past: VecDeque<Past>,
    /// All samples since the last step agree that the true offset lies in here.
    bounds: (i64, i64),
    /// How far the offset may be from the true one, in nanoseconds: the reading error of the
    /// samples that it comes from. The same for all stamps of an era, so no interval has it.
    error: i64,
    /// The offset was still the true one at this time.
    agreed: Instant,
}

impl ClockMap {
    /// Starts from one sample, which should be [careful](Sample::careful). Stamps from more than
    /// a second before it are not believed.
    #[must_use]
    pub fn new(sample: Sample) -> Self {
        let bounds = sample.bounds();
        let agreed = Instant::from_nanos(sample.before);
        let era = Era { offset: midpoint(bounds), begins: agreed.saturating_sub(HEAD_START) };
        Self { era, past: VecDeque::new(), bounds, error: half(bounds), agreed }
    }

    /// Whether a sample shows the wall clock where it is expected.
    #[must_use]
    pub fn agrees(&self, sample: Sample) -> bool {
        let (low, high) = sample.bounds();
        low <= self.bounds.1.saturating_add(SLACK) && high >= self.bounds.0.saturating_sub(SLACK)
    }

    /// Compares the clocks again; says so when the wall clock has been set since the last time.
    /// Where a sample does not [agree](Self::agrees), a [careful](Sample::careful) one in its place
    /// makes the step's error smaller.
    ///
    /// To be called after a stamp was fetched and before it is converted: then no stamp taken
    /// after a step is converted with the offset from before. The more often, the surer are small
    /// steps told from waiting in a queue.
    pub fn check(&mut self, sample: Sample) -> Option<ClockStep> {
        let seen = sample.bounds();
        if self.agrees(sample) {
            let narrowed = (seen.0.max(self.bounds.0), seen.1.min(self.bounds.1));
            if narrowed.0 <= narrowed.1 {
                self.bounds = narrowed;
            }
            // A reading that took long agrees with a step of that length, too.
            if sample.duration() <= SLACK.unsigned_abs() {
                self.agreed = Instant::from_nanos(sample.before);
            }
            return None;
        }
        // The step itself, from the best knowledge of both sides. Added to the offset, not put in
        // its place, so that the error of the first offset stays out of intervals across the step.
        let by = midpoint(seen).wrapping_sub(midpoint(self.bounds));
        let error = half(seen).saturating_add(half(self.bounds));
        let at = Instant::from_nanos(sample.after);
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(Past { era: self.era, ended: at });
        self.era = Era { offset: self.era.offset.wrapping_add(by), begins: self.agreed };
        self.bounds = seen;
        self.error = self.error.saturating_add(error);
        self.agreed = Instant::from_nanos(sample.before);
        Some(ClockStep { clock: Clock::Kernel, at, by, error: error.unsigned_abs() })
    }

    /// A wall-clock stamp, nanoseconds since 1970, on the monotonic axis; `now` is a time at which
    /// it had been taken. `None` for a stamp that no known offset brings to where it can have been
    /// taken: the wall clock was set to and fro without being seen in between.
    ///
    /// A stamp from before a step, still in a queue, is told from those after it: it cannot come
    /// from the future, nor be younger than the news of the step, nor one from after the step older
    /// than the last look that found no step. What still fits both was waiting for less time. That
    /// errs, by the step, where the step is smaller than the time in the queue.
    #[must_use]
    pub fn instant(&self, wall: u64, now: Instant) -> Option<Instant> {
        let error = self.error.saturating_add(SLACK);
        let is_before = |a: Instant, b: Instant| a.signed_nanos_since(b) <= error;
        let placed = |era: &Era, until: Instant| {
            let at = shifted(wall, era.offset)?;
            (is_before(at, until) && is_before(at, now) && is_before(era.begins, at)).then_some(at)
        };
        let past = self.past.iter().filter_map(|past| placed(&past.era, past.ended));
        // On a tie the newer era.
        past.chain(placed(&self.era, now)).max()
    }

    /// The wall-clock time of a point on the monotonic axis, nanoseconds since 1970.
    #[must_use]
    pub const fn unix_ns(&self, at: Instant) -> u64 {
        at.as_nanos().wrapping_add_signed(self.era.offset)
    }
}

const fn midpoint((low, high): (i64, i64)) -> i64 {
    low + (high - low) / 2
}

/// How far the midpoint can be from the truth.
const fn half((low, high): (i64, i64)) -> i64 {
    (high - low + 1) / 2
}

/// `None` for what would lie before the origin of the monotonic clock.
fn shifted(wall: u64, offset: i64) -> Option<Instant> {
    wall.checked_add_signed(offset.checked_neg()?).map(Instant::from_nanos)
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
