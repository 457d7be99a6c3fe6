//! The times of whole handshakes between their segments: a table of fixed size.
//!
//! A place is found by position; the newer of two that need the same place takes it. What is lost
//! that way are times, never outcomes. At the default that is 2^16 places of 32 octets: 2 MiB.

use std::time::Duration;

use crate::time::{Instant, nanos_of};

/// Places at the default.
pub const PLACES: usize = 1 << 16;

/// What is known of one target's times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flight {
    /// From our SYN to its SYN-ACK.
    pub handshake: Option<Duration>,
    /// From our FIN to its acknowledgment.
    pub ack_of_fin: Option<Duration>,
    /// From our FIN to the peer's FIN.
    pub fin: Option<Duration>,
}

/// Times are kept in steps of 16 ns, so that four octets reach 68 s.
const STEP: u64 = 16;
/// Stands for no time.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Place {
    position: u64,
    /// When our FIN left; zero where it has not.
    fin_left: Instant,
    handshake: u32,
    ack_of_fin: u32,
    fin: u32,
    used: bool,
}

const EMPTY: Place = Place {
    position: 0,
    fin_left: Instant::ZERO,
    handshake: NONE,
    ack_of_fin: NONE,
    fin: NONE,
    used: false,
};

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Flights {
    places: Vec<Place>,
    shift: u32,
}

impl Flights {
    /// A table of so many places, made a power of two from 2.
    #[must_use]
    pub fn new(places: usize) -> Self {
        let places = places.clamp(2, 1 << 28).next_power_of_two();
        Self { places: vec![EMPTY; places], shift: 64 - places.ilog2() }
    }

    /// The SYN-ACK came, `handshake` after the SYN where that is known. A repeated SYN-ACK changes
    /// nothing.
    pub fn begin(&mut self, position: u64, handshake: Option<Duration>) {
        let place = self.place_mut(position);
        if !(place.used && place.position == position) {
            let handshake = handshake.map_or(NONE, pack);
            *place = Place { position, handshake, used: true, ..EMPTY };
        }
    }

    /// Our FIN left. A repeated one does not count: which of them is answered nobody knows, and the
    /// first one's time is no shorter than the truth.
    pub fn fin_left(&mut self, position: u64, at: Instant) {
        let place = self.place_mut(position);
        if place.used && place.position == position && place.fin_left == Instant::ZERO {
            place.fin_left = at;
        }
    }

    /// Our FIN was acknowledged.
    pub fn fin_acked(&mut self, position: u64, at: Instant) {
        let place = self.place_mut(position);
        if place.is_of(position) && place.ack_of_fin == NONE {
            place.ack_of_fin = pack(at.since(place.fin_left));
        }
    }

    /// The peer's FIN came; it acknowledges ours, too, if nothing did before, where `acks` says so.
    pub fn fin_came(&mut self, position: u64, at: Instant, acks: bool) {
        if acks {
            self.fin_acked(position, at);
        }
        let place = self.place_mut(position);
        if place.is_of(position) && place.fin == NONE {
            place.fin = pack(at.since(place.fin_left));
        }
    }

    /// The times of a target, if they are still there.
    #[must_use]
    pub fn look(&self, position: u64) -> Option<Flight> {
        let place = &self.places[self.index(position)];
        let flight = Flight {
            handshake: unpack(place.handshake),
            ack_of_fin: unpack(place.ack_of_fin),
            fin: unpack(place.fin),
        };
        (place.used && place.position == position).then_some(flight)
    }

    /// The same, and the place is free again.
    pub fn take(&mut self, position: u64) -> Option<Flight> {
        let flight = self.look(position)?;
        *self.place_mut(position) = EMPTY;
        Some(flight)
    }

    fn place_mut(&mut self, position: u64) -> &mut Place {
        let index = self.index(position);
        &mut self.places[index]
    }

    /// Positions are answered in nearly ascending order: neighbours must not meet.
    fn index(&self, position: u64) -> usize {
        let low = (1_u64 << (64 - self.shift)) - 1;
        // The high bits turn the low ones, so that a whole run has a place each.
        let turn =
            (position >> (64 - self.shift)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift;
        usize::try_from(position.wrapping_add(turn) & low).unwrap_or(0)
    }
}

impl Place {
    fn is_of(&self, position: u64) -> bool {
        self.used && self.position == position && self.fin_left != Instant::ZERO
    }
}

fn pack(time: Duration) -> u32 {
    u32::try_from(nanos_of(time) / STEP).unwrap_or(NONE - 1).min(NONE - 1)
}

fn unpack(time: u32) -> Option<Duration> {
    (time != NONE).then(|| Duration::from_nanos(u64::from(time) * STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1000)
    }

    fn micros(micros: u64) -> Option<Duration> {
        Some(Duration::from_micros(micros))
    }

    #[test]
    fn the_times_of_a_whole_exchange() {
        let mut flights = Flights::new(1024);
        flights.begin(7, micros(320));
        flights.fin_came(7, at(999), true);
        assert_eq!(flights.look(7).unwrap().fin, None, "before ours it is no answer to ours");
        flights.fin_left(7, at(1000));
        flights.begin(7, micros(1_000_000));
        flights.fin_left(7, at(5000));
        flights.fin_acked(7, at(1400));
        flights.fin_came(7, at(1800), true);
        flights.fin_came(7, at(2800), true);
        let whole = Flight { handshake: micros(320), ack_of_fin: micros(400), fin: micros(800) };
        assert_eq!(flights.look(7), Some(whole));
        assert_eq!(flights.take(7), Some(whole));
        assert_eq!(flights.take(7), None);
        // FIN and ACK in one segment.
        flights.begin(8, None);
        flights.fin_left(8, at(1000));
        flights.fin_came(8, at(1016), true);
        let flight = Flight { handshake: None, ack_of_fin: micros(16), fin: micros(16) };
        assert_eq!(flights.look(8), Some(flight));
    }

    #[test]
    fn the_newer_takes_the_place_and_nobody_gets_anothers_times() {
        let mut flights = Flights::new(64);
        for position in 0..10_000 {
            flights.begin(position, Some(Duration::from_nanos(position * 16)));
        }
        let known: Vec<_> =
            (0..10_000).filter(|position| flights.look(*position).is_some()).collect();
        assert!(known.len() <= 64 && known.len() > 32, "{}", known.len());
        for position in known {
            let handshake = flights.look(position).unwrap().handshake;
            assert_eq!(handshake, Some(Duration::from_nanos(position * 16)));
        }
        // A run as long as the table fits, wherever it begins.
        let mut flights = Flights::new(64);
        (128..192).for_each(|position| flights.begin(position, None));
        assert!((128..192).all(|position| flights.look(position).is_some()));
    }

    #[test]
    fn what_is_too_long_is_the_longest_and_not_nothing() {
        let mut flights = Flights::new(2);
        flights.begin(1, Some(Duration::from_secs(1000)));
        assert!(flights.look(1).unwrap().handshake > Some(Duration::from_secs(68)));
    }
}
