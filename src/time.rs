//! Time as the engine sees it: points on one monotonic axis, in nanoseconds.
//!
//! Nothing outside [`crate::net`] reads a clock. Every function of the engine that needs the time
//! takes it as an argument, so that the same code runs against the kernel and in virtual time.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point in time: nanoseconds on a monotonic axis whose origin is arbitrary.
///
/// The Linux backend uses `CLOCK_MONOTONIC` and brings the kernel's wall-clock stamps onto the same
/// axis; the simulator starts at zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the axis.
    pub const ZERO: Self = Self(0);

    /// The point `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time elapsed since `earlier`; zero where `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Signed nanoseconds from `other` to `self`, saturating at the ends of `i64`.
    ///
    /// Stamps of two clocks may be out of order by a little; this is the difference that does not
    /// hide it.
    #[must_use]
    pub fn signed_nanos_since(self, other: Self) -> i64 {
        let magnitude = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
        if self.0 >= other.0 { magnitude(self.0 - other.0) } else { -magnitude(other.0 - self.0) }
    }

    /// `self` moved back by `by`, but not beyond the origin.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos_of(by)))
    }
}

/// Whole nanoseconds of a duration, saturating at `u64::MAX` (584 years).
#[must_use]
pub fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(nanos_of(rhs)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        self.since(rhs)
    }
}

/// Which clock put a stamp on a packet, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Clock {
    /// The network interface's own clock, at the wire.
    Hardware,
    /// The kernel, at the packet tap: the very stamp that a capture shows.
    Kernel,
    /// This process, after the system call returned: late by a scheduling delay.
    User,
    /// The simulator's virtual time: exact.
    Virtual,
}

impl Clock {
    /// The clock's name in the JSON stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Kernel => "kernel",
            Self::User => "user",
            Self::Virtual => "virtual",
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A time together with the clock that took it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// When.
    pub at: Instant,
    /// By which clock.
    pub clock: Clock,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_saturate_instead_of_wrapping() {
        let early = Instant::from_nanos(5);
        let late = Instant::from_nanos(9);
        assert_eq!(late.since(early), Duration::from_nanos(4));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.signed_nanos_since(late), -4);
        assert_eq!(
            Instant::from_nanos(u64::MAX) + Duration::from_secs(1),
            Instant::from_nanos(u64::MAX)
        );
        assert_eq!(early.saturating_sub(Duration::from_secs(1)), Instant::ZERO);
    }
}
