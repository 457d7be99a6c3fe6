//! By how much an interval may be wrong, and why.

use std::time::Duration;

use crate::time::{Clock, nanos_of};

/// The kernel slews its wall clock by at most so many parts per million (`adjtime`, NTP).
const MAX_SLEW_PPM: u64 = 500;

/// How an interval was measured: the stamps at its two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measurement {
    /// What stamped the departure.
    pub transmit: Clock,
    /// What stamped the arrival.
    pub receive: Clock,
    /// The step in which the stamps count: 1 ns for `SO_TIMESTAMPING`.
    pub resolution: Duration,
    /// Where the two stamps come from different clocks: by how much the conversion of one to the
    /// other may be off. Absent where it is not known. Without meaning for one and the same clock.
    pub conversion: Option<Duration>,
}

/// How wrong an interval may be at most, by contribution, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound {
    /// Both stamps are rounded to the step in which they count.
    pub resolution_ns: u64,
    /// The clock runs too fast or too slow over the interval.
    pub rate_ns: u64,
    /// The two stamps come from different clocks; absent where that error is not known.
    pub conversion_ns: Option<u64>,
    /// A stamp was taken by this process: it may be late by any scheduling delay. The interval is
    /// then wrong by an amount that has no bound.
    pub scheduling: bool,
}

impl Bound {
    /// The sum of all contributions; absent where one of them has no bound.
    #[must_use]
    pub fn total_ns(&self) -> Option<u64> {
        let known = self.resolution_ns.saturating_add(self.rate_ns);
        self.conversion_ns.filter(|_| !self.scheduling).map(|nanos| known.saturating_add(nanos))
    }
}

impl Measurement {
    /// The bound for an interval as long as `interval`: that of the longest one holds for all.
    #[must_use]
    pub fn bound(&self, interval: Duration) -> Bound {
        let exact = self.transmit == Clock::Virtual && self.receive == Clock::Virtual;
        let parts = |nanos: u64| nanos.saturating_mul(MAX_SLEW_PPM).div_ceil(1_000_000);
        Bound {
            resolution_ns: if exact { 0 } else { nanos_of(self.resolution).saturating_mul(2) },
            rate_ns: if exact { 0 } else { parts(nanos_of(interval)) },
            conversion_ns: if self.is_one_clock() {
                Some(0)
            } else {
                self.conversion.map(nanos_of)
            },
            scheduling: [self.transmit, self.receive].contains(&Clock::User),
        }
    }

    /// Where the stamps were taken, and so what the interval includes beside the network, in a
    /// sentence. This is no error of the clock, and no part of the bound.
    #[must_use]
    pub const fn included(&self) -> &'static str {
        match (self.transmit, self.receive) {
            (Clock::Virtual, Clock::Virtual) => "simulated: nothing beside the network",
            (Clock::Hardware, Clock::Hardware) => {
                "stamped by the interface: nothing of this host beside the interface"
            }
            (Clock::User, _) | (_, Clock::User) => {
                "stamped by this process: includes system calls and scheduling delays"
            }
            _ => {
                "stamped at the kernel's packet tap, as in a capture: includes this host's queue, \
                 driver and receive interrupt"
            }
        }
    }

    /// Whether both stamps are of one clock, so that no conversion comes in.
    fn is_one_clock(&self) -> bool {
        self.transmit == self.receive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(transmit: Clock, receive: Clock, conversion: Option<u64>) -> Bound {
        let resolution = Duration::from_nanos(1);
        let conversion = conversion.map(Duration::from_nanos);
        Measurement { transmit, receive, resolution, conversion }.bound(Duration::from_millis(10))
    }

    #[test]
    fn kernel_stamps_are_bounded_by_resolution_and_slew() {
        let bound = by(Clock::Kernel, Clock::Kernel, None);
        // 2 ns of rounding and 500 ppm of 10 ms.
        assert_eq!(bound.total_ns(), Some(2 + 5_000));
    }

    #[test]
    fn a_stamp_of_this_process_has_no_bound() {
        assert_eq!(by(Clock::User, Clock::User, None).total_ns(), None);
        assert_eq!(by(Clock::Kernel, Clock::User, Some(0)).total_ns(), None);
    }

    #[test]
    fn two_clocks_need_a_known_conversion() {
        assert_eq!(by(Clock::Hardware, Clock::Kernel, None).total_ns(), None);
        assert_eq!(by(Clock::Hardware, Clock::Kernel, Some(70)).total_ns(), Some(5_072));
    }

    #[test]
    fn virtual_time_is_exact() {
        assert_eq!(by(Clock::Virtual, Clock::Virtual, None).total_ns(), Some(0));
    }
}
