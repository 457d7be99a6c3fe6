//! SYNs that a limit holds back, until it is their time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::plan::Draw;
use crate::time::Instant;

/// SYNs that are held back at most at the default: 1.5 MiB.
pub const ROOM: usize = 1 << 16;

/// Held-back SYNs in the order of their times, and of their parking among equal times. When it is
/// full, draw no more.
#[derive(Clone, Debug)]
pub struct Parking {
    room: usize,
    parked: BinaryHeap<Reverse<(Instant, u64, u64, u8)>>,
    count: u64,
}

impl Parking {
    /// Room for so many.
    #[must_use]
    pub const fn new(room: usize) -> Self {
        Self { room, parked: BinaryHeap::new(), count: 0 }
    }

    /// How many more may be parked: draw no more than these at a time.
    #[must_use]
    pub fn room(&self) -> usize {
        self.room.saturating_sub(self.parked.len())
    }

    /// How many are parked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parked.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    /// Holds a SYN back until `until`, even if there is no room.
    pub fn park(&mut self, draw: Draw, until: Instant) {
        self.count += 1;
        self.parked.push(Reverse((until, self.count, draw.position, draw.pass)));
    }

    /// The next SYN whose time has come.
    pub fn next(&mut self, now: Instant) -> Option<Draw> {
        self.next_at().filter(|at| *at <= now)?;
        let Reverse((_, _, position, pass)) = self.parked.pop()?;
        Some(Draw { position, pass })
    }

    /// When the next one's time comes.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.parked.peek().map(|Reverse((at, ..))| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::sweep::limits::Limits;

    #[test]
    fn they_leave_in_the_order_of_their_times() {
        let mut parking = Parking::new(3);
        for (position, at) in [(1, 30), (2, 10), (3, 10)] {
            parking.park(Draw { position, pass: 1 }, Instant::from_nanos(at));
        }
        assert_eq!((parking.room(), parking.len()), (0, 3));
        let mut next = |now| parking.next(Instant::from_nanos(now)).map(|draw| draw.position);
        assert_eq!(
            [next(9), next(10), next(10), next(10), next(40)],
            [None, Some(2), Some(3), None, Some(1)]
        );
        assert!(parking.is_empty());
    }

    /// One host, a thousand ports, a sender that comes a little late each time: the limit is held,
    /// and nearly reached.
    #[test]
    fn with_the_limits_a_host_gets_its_rate_and_no_more() {
        let host = IpAddr::from([10, 0, 0, 1]);
        let mut limits = Limits::new(Some(100), None, 1);
        let mut parking = Parking::new(1000);
        let mut now = Instant::from_nanos(1_000_000_000);
        let begin = now;
        for position in 0..1000 {
            let until = limits.line_up(host, now);
            parking.park(Draw { position, pass: 1 }, until);
        }
        let mut times = Vec::new();
        let mut asked = 0;
        while let Some(at) = parking.next_at() {
            now = now.max(at) + Duration::from_micros(300);
            while let Some(draw) = parking.next(now) {
                asked += 1;
                match limits.take(host, now) {
                    Ok(()) => times.push(now),
                    Err(earliest) => parking.park(draw, earliest),
                }
            }
        }
        assert!(times.windows(101).all(|second| second[100] - second[0] >= Duration::from_secs(1)));
        assert!(now - begin < Duration::from_millis(10_500), "{:?}", now - begin);
        assert!(asked < 100_000, "{asked}");
    }
}
