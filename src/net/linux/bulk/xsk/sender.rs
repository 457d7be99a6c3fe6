//! The half of an AF_XDP socket that sends.
//!
//! A frame is at any time in one place: free, with the caller, or in the kernel's hands, which
//! gives it back through the completion ring.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Base, Ring, offset};
use crate::net::bulk::SLOT;

/// The sending half; its frames are the first of all.
#[derive(Debug)]
pub(in super::super) struct Sender {
    base: Arc<Base>,
    tx: Ring,
    completion: Ring,
    /// Frames that are nobody's.
    free: Vec<u32>,
    /// Descriptors that the kernel has been shown.
    shown: u32,
}

impl Sender {
    pub(super) fn new(base: Arc<Base>, tx: Ring, completion: Ring) -> Self {
        let free = (0..tx.entries).rev().collect();
        Self { base, tx, completion, free, shown: 0 }
    }

    /// A frame that is nobody's.
    pub(in super::super) fn take(&mut self) -> Option<u32> {
        if self.free.is_empty() {
            self.reap().ok()?;
        }
        self.free.pop()
    }

    /// The bytes of a frame that was taken and not queued.
    pub(in super::super) fn frame(&mut self, frame: u32) -> Option<&mut [u8]> {
        let at = self.base.memory.at(offset(frame).ok()? * SLOT, SLOT).ok()?;
        // SAFETY: within the mapping. The kernel only reads it, and only between `queue` and its
        // return to `free`; nobody else has it, since this borrows all of `self`.
        Some(unsafe { slice::from_raw_parts_mut(at, SLOT) })
    }

    /// Queues the first `len` bytes of a taken frame.
    pub(in super::super) fn queue(&mut self, frame: u32, len: usize) -> io::Result<()> {
        let to = self.tx.entry::<libc::xdp_desc>(self.tx.next)?;
        let addr = u64::from(frame) * SLOT as u64;
        let len = u32::try_from(len.min(SLOT)).map_err(io::Error::other)?;
        let descriptor = libc::xdp_desc { addr, len, options: 0 };
        // SAFETY: within the mapping. The kernel does not read it before it is shown, and the ring
        // has as many entries as there are frames.
        unsafe { ptr::write_unaligned(to, descriptor) };
        self.tx.next = self.tx.next.wrapping_add(1);
        Ok(())
    }

    /// Queued frames that the kernel has not been shown.
    pub(in super::super) const fn hidden(&self) -> u32 {
        self.tx.next.wrapping_sub(self.shown)
    }

    /// Shown frames that the kernel has not taken.
    pub(in super::super) fn waiting(&self) -> io::Result<u32> {
        Ok(self.shown.wrapping_sub(self.tx.consumer()?.load(Ordering::Acquire)))
    }

    /// Shows the kernel `count` more of the queued frames.
    pub(in super::super) fn show(&mut self, count: u32) -> io::Result<()> {
        self.shown = self.shown.wrapping_add(count.min(self.hidden()));
        self.tx.producer()?.store(self.shown, Ordering::Release);
        Ok(())
    }

    /// Queues once more the frame that the kernel took last, behind all others; says whether there was
    /// room for it.
    pub(in super::super) fn again(&mut self) -> io::Result<bool> {
        let last = self.shown.wrapping_sub(self.waiting()?).wrapping_sub(1);
        let from = self.tx.entry::<libc::xdp_desc>(last)?;
        // SAFETY: within the mapping, and written by `queue` alone.
        let descriptor = unsafe { ptr::read_unaligned(from) };
        let before = u32::try_from(descriptor.addr / SLOT as u64).map_err(io::Error::other)?;
        let Some(frame) = self.take() else { return Ok(false) };
        let len = offset(descriptor.len)?.min(SLOT);
        // What it says stays until somebody writes to it, and that is us.
        let mut bytes = [0; SLOT];
        if let Some(old) = self.frame(before) {
            bytes[..len].copy_from_slice(&old[..len]);
        }
        if let Some(new) = self.frame(frame) {
            new[..len].copy_from_slice(&bytes[..len]);
        }
        self.queue(frame, len)?;
        Ok(true)
    }

    /// Makes the kernel send what it has been shown.
    pub(in super::super) fn wake(&self) -> io::Result<()> {
        let fd = self.base.socket.as_raw_fd();
        // SAFETY: no buffer and no address.
        let result =
            unsafe { libc::sendto(fd, ptr::null(), 0, libc::MSG_DONTWAIT, ptr::null(), 0) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes back what has left.
    pub(in super::super) fn reap(&mut self) -> io::Result<()> {
        let end = self.completion.producer()?.load(Ordering::Acquire);
        let start = self.completion.next;
        while self.completion.next != end {
            let from = self.completion.entry::<u64>(self.completion.next)?;
            // SAFETY: within the mapping, written by the kernel before it moved its end.
            let addr = unsafe { ptr::read_unaligned(from) };
            let frame = u32::try_from(addr / SLOT as u64).unwrap_or(u32::MAX);
            if frame < self.tx.entries {
                self.free.push(frame);
            }
            self.completion.next = self.completion.next.wrapping_add(1);
        }
        if start != end {
            self.completion.consumer()?.store(end, Ordering::Release);
        }
        Ok(())
    }
}
