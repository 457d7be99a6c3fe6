//! Packets by the hundred thousand: how a sweep sends, and how it hears.
//!
//! Where a [`Wire`](super::Wire) carries one packet at a time with every stamp that can be had,
//! this carries batches at what a batch costs. [`Transmit`] takes whole frames, [`Collect`] hands
//! out what arrives.

use std::io;

use super::{ChecksumTrust, SendTrouble};
use crate::time::Instant;

/// Bytes of the smallest slot that a [`Transmit`] hands out.
pub const SLOT: usize = 2048;

/// Sends frames in batches, in the order in which they were committed.
pub trait Transmit: Send {
    /// `af_xdp`, `af_packet` or `raw`.
    fn name(&self) -> &'static str;

    /// What every frame of an IP version must begin with: the link's header, or nothing where the
    /// link has none or the kernel writes it.
    fn link_header(&self, v6: bool) -> &[u8];

    /// Room for the next frame, [`SLOT`] bytes or more, whose contents are whatever they are; the
    /// same again until it is committed. `None` when there is none: flush first.
    fn slot(&mut self) -> Option<&mut [u8]>;

    /// The first `len` bytes of the [slot](Self::slot) that was handed out last are a frame to be
    /// sent.
    fn commit(&mut self, len: usize);

    /// Committed frames that have not left yet.
    fn queued(&self) -> usize;

    /// Gives committed frames to the kernel, until it refuses one. Once it has taken all, there is
    /// room again.
    ///
    /// Frames that stay queued go first with the next flush.
    ///
    /// # Errors
    /// What no other frame will get around, such as an interface that is gone. Nothing has left
    /// then.
    fn flush(&mut self) -> io::Result<Flushed>;
}

/// What became of the frames of a flush: of those queued, the oldest `sent` have left, and the one
/// behind them was `refused`.
#[derive(Debug, Default)]
pub struct Flushed {
    /// How many frames left.
    pub sent: usize,
    /// Why the next one did not. `None` where none are left.
    pub refused: Option<Refusal>,
}

/// Why the kernel did not take a frame.
#[derive(Debug)]
pub struct Refusal {
    /// Why, in one line.
    pub error: io::Error,
    /// The kind of trouble; `None` where there is something wrong with this frame alone.
    pub trouble: Option<SendTrouble>,
    /// Whether the frame is still queued, at the head: there is no room, or no link, at present.
    /// Else it is given up, and those behind it go with the next flush.
    pub kept: bool,
}

/// A packet that has arrived, or that this host's kernel has sent in our name.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The IP packet.
    pub bytes: &'a [u8],
    /// When, by the kernel's stamp.
    pub at: Instant,
    /// Whether its checksums can be judged.
    pub trust: ChecksumTrust,
    /// Whether it left this host: a RST that our own kernel sent from one of our ports.
    pub outgoing: bool,
}

/// What a wait for packets ended with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// Packets, all handed over.
    Packets,
    /// The deadline came first.
    Deadline,
    /// Another thread wants something.
    Called,
    /// A signal asks to come to an end.
    Interrupted,
    /// A signal asks for interim statistics.
    StatusRequested,
}

/// The wall clock, which the stamps are taken from, was set, or this host slept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// When it was noticed.
    pub at: Instant,
    /// By how many nanoseconds the clock was put forward; negative is back.
    pub by: i64,
    /// An interval across the step is uncertain by this many nanoseconds either way.
    pub error: u64,
}

/// What one call of [`Collect::collect`] brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Collected {
    /// Packets that were handed over, whatever the wait ended with.
    pub packets: usize,
    /// What it ended with.
    pub wake: Wake,
    /// A step of the wall clock that was noticed.
    pub step: Option<Step>,
    /// Whether so much waits still that some may soon be dropped.
    pub behind: bool,
}

/// Hears what arrives for us.
pub trait Collect: Send {
    /// `af_packet`, or `xdp` by the interface's driver, or `xdp_generic` above it.
    fn name(&self) -> &'static str;

    /// Hands each packet that is there to `each`, after waiting for the first until `until` at the
    /// latest.
    ///
    /// # Errors
    /// The capture failed: the interface went away.
    fn collect(
        &mut self,
        until: Instant,
        each: &mut dyn FnMut(Packet<'_>),
    ) -> io::Result<Collected>;

    /// Packets that the kernel has dropped since the beginning, because they were not fetched in
    /// time.
    ///
    /// # Errors
    /// The kernel does not say.
    fn drops(&mut self) -> io::Result<u64>;
}

/// Counts the frames that an interface took and then dropped, whoever sent them: the kernel says of
/// those that they were sent.
pub trait Discards: Send + Sync {
    /// Frames so far; `None` where the kernel does not say.
    fn discarded(&self) -> Option<u64>;
}
