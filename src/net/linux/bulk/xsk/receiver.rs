//! The half of an AF_XDP socket that receives.
//!
//! A frame is at any time in one place: in the kernel's hands, which it is given to by the fill ring,
//! or ours between its coming out of the receive ring and its way back.
#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Base, Ring, get, offset};
use crate::net::bulk::SLOT;

/// Frames that are given back at once: the kernel is never short of them because we are busy.
const LOT: u32 = 64;

/// The receiving half.
#[derive(Debug)]
pub(in super::super) struct Receiver {
    base: Arc<Base>,
    rx: Ring,
    fill: Ring,
}

impl Receiver {
    /// Gives the kernel `frames`, as many as either ring has room for.
    pub(super) fn new(
        base: Arc<Base>,
        rx: Ring,
        fill: Ring,
        frames: Range<u32>,
    ) -> io::Result<Self> {
        let mut receiver = Self { base, rx, fill };
        for frame in frames {
            receiver.give(u64::from(frame) * SLOT as u64)?;
        }
        receiver.show()?;
        Ok(receiver)
    }

    /// Puts a frame into the fill ring, which has room for all that there are.
    fn give(&mut self, addr: u64) -> io::Result<()> {
        let to = self.fill.entry::<u64>(self.fill.next)?;
        // SAFETY: within the mapping. The kernel does not read it before it is shown.
        unsafe { ptr::write_unaligned(to, addr) };
        self.fill.next = self.fill.next.wrapping_add(1);
        Ok(())
    }

    /// Shows the kernel what was put into the fill ring.
    fn show(&self) -> io::Result<()> {
        self.fill.producer()?.store(self.fill.next, Ordering::Release);
        Ok(())
    }

    /// Hands over each frame that has arrived, `most` at most; gives how many.
    ///
    /// # Errors
    /// The kernel names a place outside of its own memory, which it never does.
    pub(in super::super) fn drain(
        &mut self,
        most: u32,
        each: &mut dyn FnMut(&[u8]),
    ) -> io::Result<usize> {
        let mut packets = 0;
        while packets < most {
            let ready = self.rx.producer()?.load(Ordering::Acquire).wrapping_sub(self.rx.next);
            if ready == 0 {
                break;
            }
            for _ in 0..ready.min(LOT) {
                let from = self.rx.entry::<libc::xdp_desc>(self.rx.next)?;
                // SAFETY: within the mapping, written by the kernel before it moved its end.
                let found = unsafe { ptr::read_unaligned(from) };
                let len = offset(found.len)?;
                let bytes = self.base.memory.at(offset(found.addr)?, len)?;
                // SAFETY: within the mapping. The kernel has given the frame to us, and does not
                // write to it before it is given back.
                each(unsafe { slice::from_raw_parts(bytes, len) });
                // Where the packet began is within the frame, not at its beginning.
                self.give(found.addr - found.addr % SLOT as u64)?;
                self.rx.next = self.rx.next.wrapping_add(1);
                packets += 1;
            }
            self.rx.consumer()?.store(self.rx.next, Ordering::Release);
            self.show()?;
        }
        offset(packets)
    }

    /// Whether a quarter of the frames or more wait for us.
    ///
    /// # Errors
    /// As for [`Self::drain`].
    pub(in super::super) fn is_behind(&self) -> io::Result<bool> {
        let ready = self.rx.producer()?.load(Ordering::Acquire).wrapping_sub(self.rx.next);
        Ok(ready >= self.rx.entries / 4)
    }

    /// Packets that were lost because there was no frame or no room, or because they were too long.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(in super::super) fn drops(&self) -> io::Result<u64> {
        // SAFETY: integers.
        let (found, _) =
            unsafe { get::<libc::xdp_statistics>(self.as_fd(), libc::XDP_STATISTICS) }?;
        Ok(found.rx_dropped + found.rx_ring_full)
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.base.socket.as_fd()
    }
}
