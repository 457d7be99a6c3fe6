//! Connections under way: what a whole handshake has come to so far, until it can be told.
//!
//! Every answer that we send follows from the segment that asks for it, so that losing this table would
//! lose no connection; it holds what the *report* needs, and what only waiting can tell: that a server
//! does not speak, or does not close. It is bounded: whoever fills it waits with further SYNs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::event::Found;
use crate::sweep::conversation::Peer;
use crate::sweep::space::Target;
use crate::time::Instant;
use crate::wire::SeqNum;

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Awaited {
    /// The server's first bytes.
    Banner,
    /// The acknowledgment of our FIN, or theirs.
    Close,
}

/// A connection that a SYN-ACK has opened.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    /// Its far end.
    pub(super) target: Target,
    /// Our port.
    pub(super) source_port: u16,
    /// What will be told of it.
    pub(super) found: Found,
    /// What it waits for.
    pub(super) awaits: Awaited,
    /// Whether our FIN was acknowledged.
    pub(super) fin_acked: bool,
    /// When our FIN was handed to the sender, where there is no better time of it.
    pub(super) fin_sent: Option<Instant>,
    /// Our initial sequence number.
    pub(super) isn: SeqNum,
    /// Their numbers.
    pub(super) peer: Option<Peer>,
    /// Their last TSval, where timestamps were agreed on.
    pub(super) ts_recent: Option<u32>,
    /// When their FIN came, while ours is not acknowledged yet.
    pub(super) peer_closed: Option<Instant>,
    /// Which of its deadlines counts.
    epoch: u32,
}

impl Flight {
    /// A connection that was opened just now.
    pub(super) const fn new(target: Target, source_port: u16, isn: SeqNum, found: Found) -> Self {
        Self {
            target,
            source_port,
            found,
            awaits: Awaited::Close,
            fin_acked: false,
            fin_sent: None,
            isn,
            peer: None,
            ts_recent: None,
            peer_closed: None,
            epoch: 0,
        }
    }
}

/// The connections under way, by their positions, each with a deadline.
#[derive(Debug)]
pub(super) struct Flights {
    under_way: HashMap<u64, Flight>,
    /// Positions with their deadlines, earliest first, since all waits are of one length; stale ones
    /// are passed over.
    deadlines: VecDeque<(Instant, u64, u32)>,
    /// Bytes of all banners.
    banner_bytes: usize,
    patience: Duration,
}

/// Connections under way at most: some 60 MB with their deadlines.
const MOST: usize = 1 << 17;
/// Bytes of all banners at most.
const MOST_BYTES: usize = 8 << 20;

impl Flights {
    /// No connection yet; each step of one is waited for so long.
    pub(super) fn new(patience: Duration) -> Self {
        Self { under_way: HashMap::new(), deadlines: VecDeque::new(), banner_bytes: 0, patience }
    }

    /// Whether no more should be opened for now.
    pub(super) fn is_full(&self) -> bool {
        // What is on its way to us while the sender stops still finds room.
        self.under_way.len() >= MOST || self.banner_bytes >= MOST_BYTES
    }

    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Takes up a connection that waits from `now` on.
    pub(super) fn open(&mut self, position: u64, flight: Flight, now: Instant) {
        self.under_way.insert(position, flight);
        self.wait(position, now);
    }

    /// Gives the next step of a connection its full time again.
    pub(super) fn wait(&mut self, position: u64, now: Instant) {
        if let Some(flight) = self.under_way.get_mut(&position) {
            flight.epoch += 1;
            self.deadlines.push_back((now + self.patience, position, flight.epoch));
        }
    }

    /// The connection at `position`.
    pub(super) fn get_mut(&mut self, position: u64) -> Option<&mut Flight> {
        self.under_way.get_mut(&position)
    }

    /// Keeps the first bytes of a connection; later ones are no banner.
    pub(super) fn keep_banner(&mut self, position: u64, bytes: &[u8]) {
        if let Some(flight) = self.under_way.get_mut(&position)
            && flight.found.banner.is_none()
        {
            self.banner_bytes += bytes.len();
            flight.found.banner = Some(bytes.into());
        }
    }

    /// Ends a connection.
    pub(super) fn take(&mut self, position: u64) -> Option<Flight> {
        let flight = self.under_way.remove(&position)?;
        self.banner_bytes -= flight.found.banner.as_ref().map_or(0, |banner| banner.len());
        Some(flight)
    }

    /// The next connection that has waited too long at `now`. It stays until it is taken, and waits
    /// for nothing any more unless it is told to.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<u64> {
        while let Some(&(at, position, epoch)) = self.deadlines.front() {
            let counts = self.under_way.get(&position).is_some_and(|flight| flight.epoch == epoch);
            if counts && now < at {
                return None;
            }
            self.deadlines.pop_front();
            if counts {
                return Some(position);
            }
        }
        None
    }

    /// Every connection still under way, to be ended.
    pub(super) fn drain(&mut self) -> Vec<(u64, Flight)> {
        self.deadlines.clear();
        self.banner_bytes = 0;
        self.under_way.drain().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SweepOutcome;

    fn flight() -> Flight {
        let addr = "192.0.2.1".parse().unwrap();
        let found = Found::new(addr, 80, SweepOutcome::Open);
        Flight::new(Target { addr, port: 80 }, 40_000, SeqNum(7), found)
    }

    #[test]
    fn only_who_waits_too_long_for_a_step_is_overdue_and_once() {
        let second = Duration::from_secs(1);
        let mut flights = Flights::new(second);
        let at = |tenths: u64| Instant::ZERO + Duration::from_millis(100 * tenths);
        flights.open(1, flight(), at(0));
        flights.open(2, flight(), at(1));
        flights.wait(1, at(5));
        assert_eq!(flights.overdue(at(10)), None);
        assert_eq!(flights.overdue(at(11)), Some(2));
        assert_eq!(flights.overdue(at(11)), None, "told once");
        assert_eq!(flights.overdue(at(15)), Some(1));
        assert!(flights.take(1).is_some() && flights.take(2).is_some() && flights.is_empty());
        assert_eq!(flights.overdue(at(99)), None);
    }

    #[test]
    fn banners_fill_it_and_leave_it_again() {
        let mut flights = Flights::new(Duration::from_secs(1));
        let half = vec![0; MOST_BYTES / 2];
        for position in 0..2 {
            flights.open(position, flight(), Instant::ZERO);
            assert!(!flights.is_full());
            flights.keep_banner(position, &half);
            flights.keep_banner(position, b"more that is no banner");
        }
        assert!(flights.is_full());
        assert_eq!(flights.take(0).unwrap().found.banner.unwrap().len(), half.len());
        assert!(!flights.is_full());
        assert_eq!(flights.drain().len(), 1);
        assert_eq!(flights.banner_bytes, 0);
    }
}
