//! One direction of the simulated network: what it does to each packet.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Rng;
use crate::time::{Instant, nanos_of};

/// What one direction does to packets. The default delivers everything at once.
///
/// Probabilities are in `0.0..=1.0` and drawn for each packet by itself. Each packet takes the same
/// number of draws whatever the settings, so that changing one of them leaves the others' decisions
/// as they were under the same seed.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Link {
    /// From sending to arriving.
    pub delay: Duration,
    /// At most this much is added to the delay, evenly distributed. Jitter alone keeps the order of
    /// packets, as a queue does.
    pub jitter: Duration,
    /// How likely a packet vanishes.
    pub loss: f64,
    /// How likely a packet arrives twice. The copy draws its own jitter and is never corrupt.
    pub duplicate: f64,
    /// How likely a packet is held back by [`reorder_by`](Self::reorder_by), so that later ones
    /// overtake it.
    pub reorder: f64,
    /// How long a reordered packet is held back.
    pub reorder_by: Duration,
    /// How likely one bit of a packet, IP header included, arrives flipped.
    pub corrupt: f64,
}

impl Link {
    /// A link that does nothing but delay.
    #[must_use]
    pub fn delayed(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }
}

/// What happens to one chosen packet, whatever its link draws for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It vanishes.
    Drop,
    /// It arrives twice, both times after the link's delay.
    Duplicate,
    /// It arrives this much after the link's delay; others may overtake it.
    Delay(Duration),
    /// It arrives with this bit flipped: bit 0 is the highest of byte 0. Beyond the packet's end
    /// nothing is flipped.
    FlipBit(usize),
}

/// A link together with its random numbers, its script and its past.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) link: Link,
    rng: Rng,
    script: BTreeMap<u64, Fault>,
    count: u64,
    last_arrival: Instant,
}

impl Lane {
    pub(super) fn new(link: Link, rng: Rng) -> Self {
        Self { link, rng, script: BTreeMap::new(), count: 0, last_arrival: Instant::ZERO }
    }

    /// Has `fault` befall the `nth` packet, counted from 1.
    pub(super) fn script(&mut self, nth: u64, fault: Fault) {
        self.script.insert(nth, fault);
    }

    /// What becomes of a packet sent at `now`: its arrivals, none to two.
    pub(super) fn carry(&mut self, packet: &[u8], now: Instant) -> Vec<(Instant, Vec<u8>)> {
        self.count += 1;
        let (link, rng) = (self.link, &mut self.rng);
        let [lost, twice, late, corrupt] =
            [link.loss, link.duplicate, link.reorder, link.corrupt].map(|p| rng.unit() < p);
        let bit = rng.below(8 * packet.len() as u64) as usize;
        let jitter = nanos_of(link.jitter).saturating_add(1);
        let [first, second] = [rng.below(jitter), rng.below(jitter)].map(Duration::from_nanos);

        match self.script.remove(&self.count) {
            Some(Fault::Drop) => vec![],
            Some(Fault::Duplicate) => {
                let at = self.in_order(now + link.delay);
                vec![(at, packet.to_vec()), (at, packet.to_vec())]
            }
            Some(Fault::Delay(by)) => vec![(now + link.delay + by, packet.to_vec())],
            Some(Fault::FlipBit(bit)) => {
                vec![(self.in_order(now + link.delay), flipped(packet, bit))]
            }
            None if lost => vec![],
            None => {
                let content = if corrupt { flipped(packet, bit) } else { packet.to_vec() };
                let at = now + link.delay + first;
                let at = if late { at + link.reorder_by } else { self.in_order(at) };
                let mut arrivals = vec![(at, content)];
                if twice {
                    let at = self.in_order(now + link.delay + second);
                    arrivals.push((at, packet.to_vec()));
                }
                arrivals
            }
        }
    }

    /// `at`, but not before a packet that was sent earlier arrives.
    fn in_order(&mut self, at: Instant) -> Instant {
        self.last_arrival = self.last_arrival.max(at);
        self.last_arrival
    }
}

fn flipped(packet: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 0x80 >> (bit % 8);
    }
    bytes
}
