//! A simulated network in virtual time: a [`Wire`] to one peer that behaves the same for the same
//! seed.
//!
//! Time stands still while our side works and moves only in [`Wire::receive`], to the next thing
//! that happens. Everything is carried in order of time, and in order of sending where two things
//! happen at once, so that a run depends on nothing but its seed, its links and what the two ends do.

mod capture;
mod link;
mod rng;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;

pub use capture::Capturing;
use link::Lane;
pub use link::{Fault, Link};
pub use rng::Rng;

use super::{ChecksumTrust, Dir, Facts, Frame, GuardKind, Received, Wire};
use crate::time::{Clock, Instant, Stamp};

/// The host at the far end of a [`SimWire`]: another TCP, or a script.
///
/// After each [`handle`](Self::handle) and [`handle_timeout`](Self::handle_timeout) the wire asks
/// for packets until there are none.
pub trait Endpoint {
    /// An IP packet arrived, maybe a broken one.
    fn handle(&mut self, packet: &[u8], now: Instant);

    /// The next IP packet to send now, if there is one.
    fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>>;

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing arrives before.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    fn handle_timeout(&mut self, now: Instant);
}

/// A host that never answers: what a firewall that drops looks like from here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Endpoint for Silent {
    fn handle(&mut self, _packet: &[u8], _now: Instant) {}

    fn poll_transmit(&mut self, _now: Instant) -> Option<Vec<u8>> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _now: Instant) {}
}

/// Something that will happen on the network.
#[derive(Debug)]
enum Happening {
    ReachesPeer(Vec<u8>),
    ReachesUs(Vec<u8>),
    Interrupt,
    StatusRequest,
}

/// Rounds of the peer's activity at one instant after which it is taken to be stuck. A real burst is
/// a window of segments, some hundreds.
const PEER_PATIENCE: u32 = 100_000;

/// A [`Wire`] to one [`Endpoint`] over two [`Link`]s.
///
/// Our own packets come back from [`receive`](Wire::receive) as [`Dir::Tx`] with the time of
/// sending, also those that the link then loses, as a capture on our host would show them.
#[derive(Debug)]
pub struct SimWire<E> {
    now: Instant,
    facts: Facts,
    to_peer: Lane,
    from_peer: Lane,
    peer: E,
    /// Copies of what we sent, not yet received.
    sent: VecDeque<Frame>,
    /// By time, then by the order in which they were brought about.
    future: BTreeMap<(Instant, u64), Happening>,
    happenings: u64,
}

impl<E: Endpoint> SimWire<E> {
    /// A network at time zero. Each direction draws from its own stream of `seed`, so that what one
    /// end sends does not change what befalls the other's packets.
    #[must_use]
    pub fn new(seed: u64, to_peer: Link, from_peer: Link, peer: E) -> Self {
        let mut seeds = Rng::new(seed);
        let facts = Facts {
            interface: "sim0".to_owned(),
            mtu: 1500,
            clock: Clock::Virtual,
            guard: GuardKind::Unneeded,
        };
        Self {
            now: Instant::ZERO,
            facts,
            to_peer: Lane::new(to_peer, Rng::new(seeds.bits())),
            from_peer: Lane::new(from_peer, Rng::new(seeds.bits())),
            peer,
            sent: VecDeque::new(),
            future: BTreeMap::new(),
            happenings: 0,
        }
    }

    /// The far end.
    pub const fn peer(&self) -> &E {
        &self.peer
    }

    /// The far end, to give it something to do. What it then wants to send leaves at the next
    /// [`receive`](Wire::receive).
    pub const fn peer_mut(&mut self) -> &mut E {
        &mut self.peer
    }

    /// The link in one direction, to change it during a run: a path that dies has a loss of 1.
    pub const fn link_mut(&mut self, dir: Dir) -> &mut Link {
        &mut self.lane(dir).link
    }

    /// Has `fault` befall the `nth` packet of one direction, counted from 1, instead of what its
    /// link would draw.
    pub fn fault_nth(&mut self, dir: Dir, nth: u64, fault: Fault) {
        self.lane(dir).script(nth, fault);
    }

    /// Loses the `nth` packet of one direction, counted from 1.
    pub fn drop_nth(&mut self, dir: Dir, nth: u64) {
        self.fault_nth(dir, nth, Fault::Drop);
    }

    /// At `at`, a signal asks to come to an end.
    pub fn interrupt_at(&mut self, at: Instant) {
        self.schedule(at, Happening::Interrupt);
    }

    /// At `at`, a signal asks for interim statistics.
    pub fn request_status_at(&mut self, at: Instant) {
        self.schedule(at, Happening::StatusRequest);
    }

    const fn lane(&mut self, dir: Dir) -> &mut Lane {
        match dir {
            Dir::Tx => &mut self.to_peer,
            Dir::Rx => &mut self.from_peer,
        }
    }

    fn schedule(&mut self, at: Instant, what: Happening) {
        self.happenings += 1;
        self.future.insert((at, self.happenings), what);
    }

    fn frame(&self, dir: Dir, bytes: Vec<u8>) -> Frame {
        let stamp = Stamp { at: self.now, clock: Clock::Virtual };
        Frame { dir, stamp, bytes, checksum: ChecksumTrust::Verify }
    }

    /// Lets the peer send all that it wants to send now, and run its timers that are due.
    fn serve_peer(&mut self) -> io::Result<()> {
        for _ in 0..PEER_PATIENCE {
            if let Some(packet) = self.peer.poll_transmit(self.now) {
                for (at, bytes) in self.from_peer.carry(&packet, self.now) {
                    self.schedule(at, Happening::ReachesUs(bytes));
                }
            } else if self.peer.poll_timeout().is_some_and(|at| at <= self.now) {
                self.peer.handle_timeout(self.now);
            } else {
                return Ok(());
            }
        }
        // An endpoint whose timer stays in the past would otherwise hang the test that uses it.
        Err(io::Error::other(format!("the simulated peer is stuck at {} ns", self.now.as_nanos())))
    }

    /// Moves time to the next thing that happens, not beyond `until`, and takes it out where it is
    /// not merely the peer's timer. `None` where `until` comes first.
    fn advance(&mut self, until: Instant) -> Option<Option<Happening>> {
        let happening = self.future.keys().next().copied();
        let timer = self.peer.poll_timeout();
        let next = [happening.map(|(at, _)| at), timer].into_iter().flatten().min();
        // A deadline in the past still lets in what is due by now.
        let Some(next) = next.filter(|next| *next <= until.max(self.now)) else {
            self.now = self.now.max(until);
            return None;
        };
        self.now = self.now.max(next);
        Some(happening.filter(|(at, _)| *at == next).and_then(|key| self.future.remove(&key)))
    }
}

impl<E: Endpoint> Wire for SimWire<E> {
    fn now(&self) -> Instant {
        self.now
    }

    /// # Errors
    /// `EMSGSIZE` where the packet is larger than the MTU, as a raw socket answers.
    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        if packet.len() > self.facts.mtu as usize {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let copy = self.frame(Dir::Tx, packet.to_vec());
        self.sent.push_back(copy);
        for (at, bytes) in self.to_peer.carry(packet, self.now) {
            self.schedule(at, Happening::ReachesPeer(bytes));
        }
        Ok(())
    }

    /// What happens exactly at `until` comes before the timeout.
    ///
    /// # Errors
    /// The peer is stuck: it goes on sending, or its timer stays due, without time moving.
    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        loop {
            if let Some(copy) = self.sent.pop_front() {
                return Ok(Received::Frame(copy));
            }
            self.serve_peer()?;
            match self.advance(until) {
                None => return Ok(Received::Timeout),
                Some(None) => {}
                Some(Some(Happening::ReachesPeer(bytes))) => self.peer.handle(&bytes, self.now),
                Some(Some(Happening::ReachesUs(bytes))) => {
                    return Ok(Received::Frame(self.frame(Dir::Rx, bytes)));
                }
                Some(Some(Happening::Interrupt)) => return Ok(Received::Interrupted),
                Some(Some(Happening::StatusRequest)) => return Ok(Received::StatusRequested),
            }
        }
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}
