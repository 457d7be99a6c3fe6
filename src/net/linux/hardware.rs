//! Brings an interface's own stamps onto the monotonic axis.
//!
//! Its clock has a scale of its own: TAI, or nanoseconds since it was switched on, and mostly at
//! a rate of its own. So its stamps are moved by one constant, and the difference of two of them is
//! exactly what the interface measured. The constant comes from a packet that the kernel stamped,
//! too, and only as good as that: it places the stamps among other events, and enters no interval.

use super::clock::ClockStep;
use crate::net::Dir;
use crate::time::{Clock, Instant};

/// How far both stamps of a packet may be apart, in nanoseconds: the packet's way between hardware
/// and kernel, and what the two clocks have drifted apart since the constant was learned.
const LIMIT: i64 = 1_000_000;

/// The clock of one interface.
#[derive(Clone, Copy, Debug, Default)]
pub struct HardwareClock {
    /// Monotonic minus hardware, once it is known.
    offset: Option<i64>,
}

/// Where a hardware stamp belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// On the monotonic axis; `None` where the stamp must not be used.
    pub at: Option<Instant>,
    /// The interface's clock was found to have been set, or to have drifted too far.
    pub step: Option<ClockStep>,
}

impl HardwareClock {
    /// Places the hardware stamp (nanoseconds of the interface's clock) of a packet, which the
    /// kernel saw at `software`, if that is known.
    ///
    /// The kernel sees a packet before the hardware sends it, and after the hardware has received it,
    /// by however long its queues are. So a packet that arrives may seem late by any time, and one
    /// that leaves early. Where that explains a disagreement, the stamp is not used, since
    /// a clock that was set would look the same; where nothing does, the clock was set, and the
    /// constant is learned anew. A step of either direction is thereby found with the next packet of
    /// that direction at the latest.
    pub fn place(&mut self, dir: Dir, hardware: u64, software: Option<Instant>) -> Placed {
        let moved = |offset: i64| hardware.checked_add_signed(offset).map(Instant::from_nanos);
        let Some(software) = software else {
            return Placed { at: self.offset.and_then(moved), step: None };
        };
        let seen = software.as_nanos().wrapping_sub(hardware).cast_signed();
        let Some(offset) = self.offset else {
            self.offset = Some(seen);
            return Placed { at: moved(seen), step: None };
        };
        let by = offset.wrapping_sub(seen);
        if (-LIMIT..=LIMIT).contains(&by) {
            return Placed { at: moved(offset), step: None };
        }
        let queued = match dir {
            Dir::Rx => by < 0,
            Dir::Tx => by > 0,
        };
        if queued {
            return Placed { at: None, step: None };
        }
        self.offset = Some(seen);
        // Each side's kernel stamp vouches for its constant, to within the limit.
        let error = 2 * LIMIT.unsigned_abs();
        let step = ClockStep { clock: Clock::Hardware, at: software, by, error };
        Placed { at: moved(seen), step: Some(step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interface's clock shows TAI; the monotonic one began with the host.
    const TAI: u64 = 1_800_000_037_000_000_000;
    const MS: u64 = 1_000_000;
    const HOUR: i64 = 3_600_000_000_000;

    /// Places the stamp of a packet that was at the wire at `mono`, and passed the kernel `way` later
    /// (arriving) or earlier (leaving), with the interface's clock set by `set`.
    fn place(clock: &mut HardwareClock, dir: Dir, mono: u64, way: u64, set: i64) -> Placed {
        let software = match dir {
            Dir::Rx => mono + way,
            Dir::Tx => mono - way,
        };
        let hardware = (TAI + mono).wrapping_add_signed(set);
        clock.place(dir, hardware, Some(Instant::from_nanos(software)))
    }

    #[test]
    fn the_difference_of_two_stamps_is_what_the_hardware_measured() {
        let mut clock = HardwareClock::default();
        let sent = place(&mut clock, Dir::Tx, 10 * MS, 3_000, 0).at.unwrap();
        let received = place(&mut clock, Dir::Rx, 10 * MS + 12_345, 70_000, 0).at.unwrap();
        assert_eq!(received.signed_nanos_since(sent), 12_345);
        // Also of a packet that the kernel did not stamp.
        let unseen = clock.place(Dir::Rx, TAI + 20 * MS, None);
        assert_eq!(unseen.at.unwrap().signed_nanos_since(sent), 10 * MS as i64);
        assert_eq!(HardwareClock::default().place(Dir::Rx, TAI, None).at, None, "not known yet");
    }

    #[test]
    fn a_clock_that_starts_from_zero_or_runs_ahead_is_as_good() {
        for origin in [0, u64::MAX / 2 - 1_000_000] {
            let mut clock = HardwareClock::default();
            let mut at = |hardware, mono| {
                clock.place(Dir::Rx, hardware, Some(Instant::from_nanos(mono))).at.unwrap()
            };
            let first = at(origin + 5, 500 * MS);
            assert_eq!(first, Instant::from_nanos(500 * MS));
            assert_eq!(at(origin + 47, 500 * MS + 900).signed_nanos_since(first), 42);
        }
    }

    #[test]
    fn a_set_clock_is_learned_anew_and_counted_once() {
        for set in [HOUR, -HOUR, 2 * MS as i64, -2 * MS as i64] {
            let mut clock = HardwareClock::default();
            place(&mut clock, Dir::Tx, 10 * MS, 2_000, 0);
            place(&mut clock, Dir::Rx, 20 * MS, 2_000, 0);
            let mut steps = Vec::new();
            for (dir, mono) in [(Dir::Tx, 30), (Dir::Rx, 40), (Dir::Tx, 50), (Dir::Rx, 60)] {
                let placed = place(&mut clock, dir, mono * MS, 2_000, set);
                steps.extend(placed.step);
                // Never a wrong time, whatever the direction that comes first.
                if let Some(at) = placed.at {
                    let wrong = at.signed_nanos_since(Instant::from_nanos(mono * MS)).abs();
                    assert!(wrong <= 4_000, "{wrong} ns after a step of {set}");
                }
            }
            let [step] = steps[..] else { panic!("{set}: {steps:?}") };
            assert_eq!(step.clock, Clock::Hardware);
            assert!((step.by - set).unsigned_abs() <= step.error, "{set}: {step:?}");
        }
    }

    #[test]
    fn a_long_queue_is_no_step_and_its_stamp_is_not_used() {
        let mut clock = HardwareClock::default();
        place(&mut clock, Dir::Tx, 10 * MS, 2_000, 0);
        for dir in [Dir::Tx, Dir::Rx] {
            let late = place(&mut clock, dir, 40 * MS, 5 * MS, 0);
            assert_eq!(late, Placed { at: None, step: None }, "{dir:?}");
            let next = place(&mut clock, dir, 50 * MS, 2_000, 0);
            assert!(next.at.is_some() && next.step.is_none(), "{dir:?}: {next:?}");
        }
    }

    #[test]
    fn drift_is_learned_anew_after_a_millisecond_of_it() {
        // 50 parts in a million, either way: a millisecond in 20 s.
        for rate in [50_000, -50_000i64] {
            let mut clock = HardwareClock::default();
            let mut steps = 0;
            for second in 1..=100u64 {
                for dir in [Dir::Tx, Dir::Rx] {
                    let drifted = rate * second as i64;
                    let placed = place(&mut clock, dir, second * 1_000 * MS, 2_000, drifted);
                    steps += usize::from(placed.step.is_some());
                }
            }
            assert!((4..=5).contains(&steps), "{steps} steps at {rate} ns a second");
        }
    }
}
