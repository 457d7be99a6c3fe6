//! The interfaces of a wire that stamp by their hardware.

use std::collections::BTreeMap;
use std::io;

use super::capture::Caught;
use super::clock::ClockStep;
use super::departures::Departures;
use super::hardware::HardwareClock;
use super::raw::Sender;
use crate::net::{Dir, Frame};
use crate::time::{Clock, Instant};

/// The largest packet with its link header.
const BUFFER: usize = 1 << 17;

/// A packet on its way through here, with the stamp of the kernel.
#[derive(Debug)]
struct Waiting {
    frame: Frame,
    interface: u32,
    /// The stamp of its arrival.
    hardware: Option<u64>,
}

/// The stamps of the hardware, and what waits for them.
#[derive(Debug)]
pub(super) struct Cards {
    departures: Departures<Waiting>,
    /// By the interface's index. Another interface may stamp what arrives, but not what leaves: its
    /// stamps would be of no use.
    clocks: BTreeMap<u32, HardwareClock>,
    buffer: Vec<u8>,
}

impl Cards {
    pub(super) fn new() -> Self {
        Self { departures: Departures::default(), clocks: BTreeMap::new(), buffer: vec![0; BUFFER] }
    }

    /// The interface with this index stamps both ways.
    pub(super) fn add(&mut self, interface: u32) {
        self.clocks.entry(interface).or_default();
    }

    /// The sender of `lane` has taken a packet, or refused it.
    pub(super) fn sent(&mut self, lane: usize, packet: &[u8], taken: bool) {
        if taken { self.departures.sent(lane, packet) } else { self.departures.refused(lane) }
    }

    /// Fetches what stamps of leaving have come to the sender of `lane`.
    pub(super) fn fetch(&mut self, lane: usize, sender: &Sender) -> io::Result<()> {
        while let Some(departure) = sender.departure(&mut self.buffer)? {
            self.departures.departed(lane, &departure);
        }
        Ok(())
    }

    /// A packet was captured.
    pub(super) fn push(&mut self, frame: Frame, caught: &Caught, now: Instant) {
        let Caught { interface, hardware, .. } = *caught;
        let leaves = frame.dir == Dir::Tx && self.clocks.contains_key(&interface);
        let bytes = if leaves { frame.bytes.clone() } else { Vec::new() };
        let waiting = Waiting { frame, interface, hardware };
        if leaves {
            self.departures.copied(waiting, &bytes, now);
        } else {
            self.departures.seen(waiting);
        }
    }

    /// Until when the next packet waits at the latest; `None` where there is none.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.departures.deadline()
    }

    /// The next packet that waits no longer, with the best stamp that was found for it.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Frame, Option<ClockStep>)> {
        let (Waiting { mut frame, interface, hardware }, left) = self.departures.next(now)?;
        let found = self.clocks.get_mut(&interface).zip(left.or(hardware));
        let Some((clock, hardware)) = found else { return Some((frame, None)) };
        let software = (frame.stamp.clock == Clock::Kernel).then_some(frame.stamp.at);
        let placed = clock.place(frame.dir, hardware, software);
        if let Some(at) = placed.at {
            (frame.stamp.at, frame.stamp.clock) = (at, Clock::Hardware);
        }
        Some((frame, placed.step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ChecksumTrust;
    use crate::time::Stamp;

    const CARD: u32 = 2;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    /// Captures a packet whose kernel stamp is `nanos`.
    fn catch(cards: &mut Cards, dir: Dir, nanos: u64, interface: u32, hardware: Option<u64>) {
        let checksum = ChecksumTrust::Verify;
        let stamp = Stamp { at: at(nanos), clock: Clock::Kernel };
        let frame = Frame { dir, stamp, bytes: vec![0x60; 60], checksum };
        let caught = Caught { dir, wall: Some(nanos), hardware, interface, checksum, len: 60 };
        cards.push(frame, &caught, at(nanos));
    }

    fn stamp(cards: &mut Cards) -> Stamp {
        cards.next(at(1_000_000_000)).unwrap().0.stamp
    }

    #[test]
    fn a_card_stamps_its_own_packets_and_the_kernel_the_others() {
        let mut cards = Cards::new();
        cards.add(CARD);
        catch(&mut cards, Dir::Rx, 5_000, CARD, Some(100));
        catch(&mut cards, Dir::Rx, 9_500, CARD, Some(4_000));
        catch(&mut cards, Dir::Rx, 9_900, CARD, None);
        catch(&mut cards, Dir::Rx, 9_950, 1, Some(4_500));
        assert_eq!(stamp(&mut cards), Stamp { at: at(5_000), clock: Clock::Hardware });
        assert_eq!(stamp(&mut cards), Stamp { at: at(8_900), clock: Clock::Hardware });
        assert_eq!(stamp(&mut cards), Stamp { at: at(9_900), clock: Clock::Kernel });
        assert_eq!(stamp(&mut cards), Stamp { at: at(9_950), clock: Clock::Kernel }, "not in use");
        assert!(cards.next(at(u64::MAX)).is_none());
    }

    #[test]
    fn a_packet_whose_stamp_does_not_come_has_the_kernels_and_says_so() {
        let mut cards = Cards::new();
        cards.add(CARD);
        cards.sent(0, &[0x60; 60], true);
        catch(&mut cards, Dir::Tx, 5_000, CARD, None);
        catch(&mut cards, Dir::Rx, 6_000, CARD, Some(900));
        assert!(cards.next(at(7_000)).is_none(), "both wait");
        assert_eq!(stamp(&mut cards), Stamp { at: at(5_000), clock: Clock::Kernel });
        assert_eq!(stamp(&mut cards).clock, Clock::Hardware);
    }
}
