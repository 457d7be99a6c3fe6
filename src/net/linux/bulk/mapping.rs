//! Memory that is shared with the kernel, and the blocks of a receive ring in it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

/// A mapping, undone when dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, and nothing but this value leads to it.
unsafe impl Send for Mapping {}
// SAFETY: what `&self` gives is an address, whose users say for themselves why nobody else has it, or
// an atomic.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a socket's memory from `offset` on.
    pub(super) fn of_socket(fd: BorrowedFd<'_>, len: usize, offset: i64) -> io::Result<Self> {
        Self::new(fd.as_raw_fd(), len, libc::MAP_SHARED, offset)
    }

    /// `len` bytes of fresh memory.
    pub(super) fn fresh(len: usize) -> io::Result<Self> {
        Self::new(-1, len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, 0)
    }

    fn new(fd: i32, len: usize, flags: i32, offset: i64) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = flags | libc::MAP_POPULATE;
        let offset = offset as libc::off_t;
        // SAFETY: the kernel chooses a place where nothing else is.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Self { base, len })
    }

    /// Where `len` bytes at `offset` are, if they are.
    pub(super) fn at(&self, offset: usize, len: usize) -> io::Result<*mut u8> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "beyond the shared memory"));
        }
        // SAFETY: within the mapping, as was just checked.
        Ok(unsafe { self.base.as_ptr().add(offset) })
    }

    /// A word that the kernel may write, too.
    pub(super) fn word(&self, offset: usize) -> io::Result<&AtomicU32> {
        let word = self.at(offset, 4)?;
        if !word.addr().is_multiple_of(4) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a word out of place"));
        }
        // SAFETY: aligned, within the mapping, and used as an atomic only.
        Ok(unsafe { AtomicU32::from_ptr(word.cast()) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length, and nothing leads to it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The blocks of a `TPACKET_V3` ring. Each belongs either to the kernel or to us.
#[derive(Debug)]
pub(super) struct Blocks {
    mapping: Mapping,
    size: usize,
    count: usize,
    next: usize,
}

/// Where a block's status is.
const STATUS: usize = 8;

impl Blocks {
    /// Maps the ring that `fd` has been given.
    pub(super) fn map(fd: BorrowedFd<'_>, size: usize, count: usize) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::of_socket(fd, size * count, 0)?, size, count, next: 0 })
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The next block, once the kernel has handed it over.
    pub(super) fn ready(&self) -> Option<&[u8]> {
        let start = self.next * self.size;
        let status = self.mapping.word(start + STATUS).ok()?;
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        let block = self.mapping.at(start, self.size).ok()?;
        // SAFETY: `size` bytes within the mapping. They are ours until `release`, which needs `self`
        // without this borrow; the kernel keeps to that by the status that was just read.
        Some(unsafe { slice::from_raw_parts(block, self.size) })
    }

    /// Gives the block back that was ready.
    pub(super) fn release(&mut self) {
        if let Ok(status) = self.mapping.word(self.next * self.size + STATUS) {
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
        self.next = (self.next + 1) % self.count;
    }
}
