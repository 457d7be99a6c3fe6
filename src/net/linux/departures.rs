//! Joins the hardware's stamps of leaving with the packets that they belong to.
//!
//! A stamp comes back on the socket that sent the packet, some time after the packet has left, and
//! often after the capture's copy of it. So the copy waits for its stamp, and everything behind it
//! waits with it: the order of what is captured is the order in which it happened.
//!
//! Pure: no socket and no clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// How long a copy waits for its stamp. Then it goes on with the kernel's, which it bears anyway.
pub const PATIENCE: Duration = Duration::from_millis(10);
/// After so many stamps in a row that did not come, copies wait no longer, until one comes.
const MISSES: u32 = 8;
/// Packets whose copy or stamp is remembered to be missing. Those beyond have most likely never
/// left: their neighbour is silent.
const REMEMBERED: usize = 1024;

/// A stamp of leaving, as the error queue of a sending socket gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Departure {
    /// The number of the packet on its socket.
    pub key: u32,
    /// When: nanoseconds of the clock that was asked for.
    pub stamp: u64,
    /// The packet, behind its link header.
    pub bytes: Vec<u8>,
}

/// A packet that was sent.
#[derive(Debug)]
struct Sent {
    serial: u64,
    lane: usize,
    key: u32,
    /// False where the key is a guess, because a failed call may have used one up.
    sure: bool,
    mark: Mark,
    copied: bool,
    stamp: Option<u64>,
}

/// That by which a packet is known again.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mark {
    /// IPv4's identification, by which a packet differs from its repetition.
    id: Option<[u8; 2]>,
    /// What is behind the IP header, which nobody changes on the way out.
    payload: Vec<u8>,
}

impl Mark {
    fn of(packet: &[u8]) -> Option<Self> {
        let (id, header) = match packet.first()? >> 4 {
            4 => (Some([*packet.get(4)?, *packet.get(5)?]), usize::from(packet.first()? & 15) * 4),
            _ => (None, 40),
        };
        Some(Self { id, payload: packet.get(header..)?.to_vec() })
    }

    /// Whether `frame` is this packet with something before it.
    fn is_in(&self, frame: &[u8]) -> bool {
        let length = self.payload.len();
        length > 0 && frame.windows(length).any(|window| window == self.payload)
    }
}

/// A packet that the capture has seen.
#[derive(Debug)]
struct Held<T> {
    what: T,
    /// The packet whose stamp it waits for, and until when.
    waits: Option<(u64, Instant)>,
}

/// The packets under way, and the captured ones that wait.
#[derive(Debug)]
pub struct Departures<T> {
    /// For each lane the key of its next packet, and whether that is sure.
    next: Vec<(u32, bool)>,
    sent: VecDeque<Sent>,
    held: VecDeque<Held<T>>,
    serial: u64,
    misses: u32,
}

impl<T> Default for Departures<T> {
    fn default() -> Self {
        Self {
            next: Vec::new(),
            sent: VecDeque::new(),
            held: VecDeque::new(),
            serial: 0,
            misses: 0,
        }
    }
}

impl<T> Departures<T> {
    fn lane(&mut self, lane: usize) -> &mut (u32, bool) {
        if self.next.len() <= lane {
            self.next.resize(lane + 1, (0, true));
        }
        &mut self.next[lane]
    }

    /// The socket of `lane` has taken a packet.
    pub fn sent(&mut self, lane: usize, packet: &[u8]) {
        let next = self.lane(lane);
        let (key, sure) = *next;
        next.0 = key.wrapping_add(1);
        let Some(mark) = Mark::of(packet) else { return };
        self.serial += 1;
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        let (serial, copied, stamp) = (self.serial, false, None);
        self.sent.push_back(Sent { serial, lane, key, sure, mark, copied, stamp });
    }

    /// The socket of `lane` has refused a packet, before or after the kernel has numbered it.
    pub fn refused(&mut self, lane: usize) {
        self.lane(lane).1 = false;
    }

    /// A stamp has come back on the socket of `lane`. False where it belongs to no packet of ours.
    pub fn departed(&mut self, lane: usize, departure: &Departure) -> bool {
        let is_it = |sent: &Sent| {
            sent.lane == lane && sent.stamp.is_none() && sent.mark.is_in(&departure.bytes)
        };
        // By its key; or, where keys are unsure or were counted otherwise than we believe, by its
        // bytes, the oldest first.
        let by_key = |sent: &Sent| (!sent.sure || sent.key == departure.key) && is_it(sent);
        let Some(index) =
            self.sent.iter().position(by_key).or_else(|| self.sent.iter().position(is_it))
        else {
            return false;
        };
        let off = departure.key.wrapping_sub(self.sent[index].key);
        if off != 0 || !self.sent[index].sure {
            for sent in self.sent.iter_mut().skip(index).filter(|sent| sent.lane == lane) {
                (sent.key, sent.sure) = (sent.key.wrapping_add(off), true);
            }
            let next = self.lane(lane);
            *next = (next.0.wrapping_add(off), true);
        }
        self.misses = 0;
        let sent = &mut self.sent[index];
        sent.stamp = Some(departure.stamp);
        let waits = |held: &Held<T>| held.waits.is_some_and(|(serial, _)| serial == sent.serial);
        if sent.copied && !self.held.iter().any(waits) {
            // Its copy has gone on without it.
            self.sent.remove(index);
        }
        true
    }

    /// The capture has seen a packet leave: `what`, whose bytes are `packet`.
    pub fn copied(&mut self, what: T, packet: &[u8], now: Instant) {
        let mark = Mark::of(packet);
        let ours = |sent: &&mut Sent| !sent.copied && Some(&sent.mark) == mark.as_ref();
        let patience = if self.misses < MISSES { PATIENCE } else { Duration::ZERO };
        let waits = self.sent.iter_mut().find(ours).map(|sent| {
            sent.copied = true;
            (sent.serial, now + patience)
        });
        self.held.push_back(Held { what, waits });
    }

    /// The capture has seen something else.
    pub fn seen(&mut self, what: T) {
        self.held.push_back(Held { what, waits: None });
    }

    /// Until when the next of the captured packets waits at the latest; `None` where none is there.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.held.front().map(|held| held.waits.map_or(Instant::ZERO, |(_, until)| until))
    }

    /// The next captured packet, with its stamp of leaving; `None` while there is none, or it still
    /// waits at `now`.
    pub fn next(&mut self, now: Instant) -> Option<(T, Option<u64>)> {
        let mut stamp = None;
        if let Some((serial, until)) = self.held.front()?.waits {
            let index = self.sent.iter().position(|sent| sent.serial == serial);
            stamp = index.and_then(|index| self.sent[index].stamp);
            if stamp.is_none() && now < until {
                return None;
            }
            if stamp.is_none() {
                self.misses = self.misses.saturating_add(1);
            } else if let Some(index) = index {
                self.sent.remove(index);
            }
        }
        self.held.pop_front().map(|held| (held.what, stamp))
    }
}

#[cfg(test)]
#[path = "departures_tests.rs"]
mod tests;
