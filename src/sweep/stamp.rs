//! The send time that travels in the timestamp option and comes back (RFC 7323 §3.2).

use std::time::Duration;

use crate::time::Instant;

/// Nanoseconds of a tick: one microsecond. A TSval comes round after 71 minutes, and is told from the
/// one before for half of that, far longer than any answer is late.
const TICK: u64 = 1_000;

/// Turns points in time into TSvals, and back.
#[derive(Clone, Copy, Debug)]
pub struct StampClock {
    /// Added to every TSval, so that it tells nobody how long this host is up.
    offset: u32,
    /// Nothing was sent before.
    start: Instant,
}

impl StampClock {
    /// A clock for a sweep that begins at `start`, with an unpredictable `offset`.
    #[must_use]
    pub const fn new(start: Instant, offset: u32) -> Self {
        Self { offset, start }
    }

    /// TSval of a segment that leaves at `at`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // modulo 2^32 is what a TSval is
    pub const fn value(&self, at: Instant) -> u32 {
        ((at.as_nanos() / TICK) as u32).wrapping_add(self.offset)
    }

    /// When the segment left whose TSval came back in a TSecr that arrived at `arrived`; `None` where
    /// it cannot be one of ours: from before the sweep, or from after its own echo.
    ///
    /// A tick and [`SLACK`](Self::SLACK) of the future are allowed, since the stamp is a forecast of
    /// the moment at which the segment will leave.
    #[must_use]
    pub fn sent_at(&self, echo: u32, arrived: Instant) -> Option<Instant> {
        let age = self.value(arrived).wrapping_sub(echo).cast_signed();
        let slack = i32::try_from(Self::SLACK.as_micros()).unwrap_or(i32::MAX);
        if age < -slack {
            return None;
        }
        let age = Duration::from_micros(u64::try_from(age).unwrap_or(0));
        (arrived.since(self.start) + Self::SLACK >= age).then(|| arrived.saturating_sub(age))
    }

    /// By how much a forecast may lie behind the moment itself.
    pub const SLACK: Duration = Duration::from_millis(10);
    /// By how much a time that came back is rounded at most.
    pub const RESOLUTION: Duration = Duration::from_nanos(TICK);
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(5_000_000_000_000);

    fn clock() -> StampClock {
        StampClock::new(START, 0xffff_ff00)
    }

    #[test]
    fn a_time_comes_back_to_the_microsecond_across_the_wrap() {
        for after in [0, 1, 999, 1_000, 255_999, 256_000, 300_000, 60_000_000_000] {
            let sent = START + Duration::from_nanos(after);
            for travel in [Duration::ZERO, Duration::from_micros(80), Duration::from_secs(200)] {
                let arrived = sent + travel;
                let found = clock().sent_at(clock().value(sent), arrived).unwrap();
                assert!(found.signed_nanos_since(sent).abs() < 1_000, "{after} {travel:?}");
            }
        }
    }

    #[test]
    fn an_echo_of_what_was_never_sent_is_no_time() {
        let clock = clock();
        let arrived = START + Duration::from_secs(1);
        let echo = |at| clock.value(at);
        assert_eq!(
            clock.sent_at(echo(START.saturating_sub(Duration::from_secs(1))), arrived),
            None
        );
        assert_eq!(clock.sent_at(echo(arrived + Duration::from_millis(20)), arrived), None);
        // The forecast was a little late: the time is none at all, not a negative one.
        let early = clock.sent_at(echo(arrived + Duration::from_micros(3)), arrived).unwrap();
        assert_eq!(early, arrived);
        assert_eq!(clock.sent_at(0x1234_5678, arrived), None);
    }
}
