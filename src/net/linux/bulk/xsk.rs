//! An AF_XDP socket that only sends: its frames and its two rings, shared with the kernel.
//!
//! A frame is at any time in one place: free, with the caller, or in the kernel's hands, which
//! gives it back through the completion ring.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::slice;
use std::sync::atomic::Ordering;

use super::mapping::Mapping;
use crate::net::bulk::SLOT;

/// `off_t` of the two rings, in 64 bits wherever we are.
const TX_PAGES: i64 = 0x8000_0000;
const COMPLETION_PAGES: i64 = 0x1_8000_0000;
/// Nothing is received; the kernel wants the ring all the same.
const FILL: u32 = 2;

/// What could not be done.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) error: io::Error,
}

/// The steps of opening that fail for reasons of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Socket,
    /// The memory of the frames is locked.
    Memory,
    Rings,
    Bind,
}

/// One ring, of which `next` is our end.
#[derive(Debug)]
struct Ring {
    mapping: Mapping,
    offsets: libc::xdp_ring_offset,
    next: u32,
}

impl Ring {
    fn producer(&self) -> io::Result<&std::sync::atomic::AtomicU32> {
        self.mapping.word(offset(self.offsets.producer)?)
    }

    fn consumer(&self) -> io::Result<&std::sync::atomic::AtomicU32> {
        self.mapping.word(offset(self.offsets.consumer)?)
    }
}

/// The socket with its memory.
#[derive(Debug)]
pub(super) struct Xsk {
    // Before the memory that it uses.
    socket: OwnedFd,
    tx: Ring,
    completion: Ring,
    memory: Mapping,
    frames: u32,
    /// Frames that are nobody's.
    free: Vec<u32>,
    /// Descriptors that the kernel has been shown.
    shown: u32,
}

impl Xsk {
    /// Opens a socket with `frames` frames, a power of two, that sends by `queue` of an interface.
    pub(super) fn open(interface: u32, queue: u32, frames: u32) -> Result<Self, Failure> {
        let at = |step| move |error| Failure { step, error };
        let socket = socket().map_err(at(Step::Socket))?;
        let fd = socket.as_fd();
        let len = offset(frames).map_err(at(Step::Memory))? * SLOT;
        let memory = Mapping::fresh(len).map_err(at(Step::Memory))?;
        register(fd, &memory, len).map_err(at(Step::Memory))?;
        let rings = || {
            set(fd, libc::XDP_UMEM_FILL_RING, &FILL)?;
            set(fd, libc::XDP_UMEM_COMPLETION_RING, &frames)?;
            set(fd, libc::XDP_TX_RING, &frames)?;
            let offsets = offsets(fd)?;
            let entry = size_of::<libc::xdp_desc>();
            let tx = ring(fd, offsets.tx, frames, entry, TX_PAGES)?;
            let entry = size_of::<u64>();
            let completion = ring(fd, offsets.cr, frames, entry, COMPLETION_PAGES)?;
            io::Result::Ok((tx, completion))
        };
        let (tx, completion) = rings().map_err(at(Step::Rings))?;
        bind(fd, interface, queue).map_err(at(Step::Bind))?;
        let free = (0..frames).rev().collect();
        Ok(Self { socket, tx, completion, memory, frames, free, shown: 0 })
    }

    /// A frame that is nobody's.
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.free.is_empty() {
            self.reap().ok()?;
        }
        self.free.pop()
    }

    /// The bytes of a frame that was taken and not queued.
    pub(super) fn frame(&mut self, frame: u32) -> Option<&mut [u8]> {
        let at = self.memory.at(offset(frame).ok()? * SLOT, SLOT).ok()?;
        // SAFETY: within the mapping. The kernel only reads it, and only between `queue` and its
        // return to `free`; nobody else has it, since this borrows all of `self`.
        Some(unsafe { slice::from_raw_parts_mut(at, SLOT) })
    }

    /// Queues the first `len` bytes of a taken frame.
    pub(super) fn queue(&mut self, frame: u32, len: usize) -> io::Result<()> {
        let to = self.descriptor(self.tx.next)?;
        let addr = u64::from(frame) * SLOT as u64;
        let len = u32::try_from(len.min(SLOT)).map_err(io::Error::other)?;
        let descriptor = libc::xdp_desc { addr, len, options: 0 };
        // SAFETY: within the mapping. The kernel does not read it before it is shown, and the ring
        // has as many entries as there are frames.
        unsafe { ptr::write_unaligned(to.cast(), descriptor) };
        self.tx.next = self.tx.next.wrapping_add(1);
        Ok(())
    }

    /// Where the descriptor of this number lies, within the mapping.
    fn descriptor(&self, number: u32) -> io::Result<*mut u8> {
        let index = offset(number & (self.frames - 1))?;
        let entry = offset(self.tx.offsets.desc)? + index * size_of::<libc::xdp_desc>();
        self.tx.mapping.at(entry, size_of::<libc::xdp_desc>())
    }

    /// Queued frames that the kernel has not been shown.
    pub(super) const fn hidden(&self) -> u32 {
        self.tx.next.wrapping_sub(self.shown)
    }

    /// Shown frames that the kernel has not taken.
    pub(super) fn waiting(&self) -> io::Result<u32> {
        Ok(self.shown.wrapping_sub(self.tx.consumer()?.load(Ordering::Acquire)))
    }

    /// Shows the kernel `count` more of the queued frames.
    pub(super) fn show(&mut self, count: u32) -> io::Result<()> {
        self.shown = self.shown.wrapping_add(count.min(self.hidden()));
        self.tx.producer()?.store(self.shown, Ordering::Release);
        Ok(())
    }

    /// Queues once more the frame that the kernel took last, behind all others; says whether there was
    /// room for it.
    pub(super) fn again(&mut self) -> io::Result<bool> {
        let last = self.shown.wrapping_sub(self.waiting()?).wrapping_sub(1);
        let from = self.descriptor(last)?;
        // SAFETY: within the mapping, and written by `queue` alone.
        let descriptor: libc::xdp_desc = unsafe { ptr::read_unaligned(from.cast()) };
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
    pub(super) fn wake(&self) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        // SAFETY: no buffer and no address.
        let result =
            unsafe { libc::sendto(fd, ptr::null(), 0, libc::MSG_DONTWAIT, ptr::null(), 0) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes back what has left.
    pub(super) fn reap(&mut self) -> io::Result<()> {
        let end = self.completion.producer()?.load(Ordering::Acquire);
        let start = self.completion.next;
        while self.completion.next != end {
            let index = offset(self.completion.next & (self.frames - 1))?;
            let entry = offset(self.completion.offsets.desc)? + index * size_of::<u64>();
            let from = self.completion.mapping.at(entry, size_of::<u64>())?;
            // SAFETY: within the mapping, written by the kernel before it moved its end.
            let addr: u64 = unsafe { ptr::read_unaligned(from.cast()) };
            let frame = u32::try_from(addr / SLOT as u64).unwrap_or(u32::MAX);
            if frame < self.frames {
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

fn offset<T: TryInto<usize>>(value: T) -> io::Result<usize> {
    value.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "too far away"))
}

fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_XDP, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets an option of AF_XDP, which is a structure of integers.
fn set<T>(fd: BorrowedFd<'_>, name: i32, value: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let value = ptr::from_ref(value).cast();
    // SAFETY: the pointer and the length describe a live value, which the kernel only reads.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_XDP, name, value, len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn register(fd: BorrowedFd<'_>, memory: &Mapping, len: usize) -> io::Result<()> {
    // SAFETY: integers, for which zero is a value.
    let mut umem: libc::xdp_umem_reg = unsafe { zeroed() };
    umem.addr = memory.at(0, len)?.addr() as u64;
    umem.len = len as u64;
    umem.chunk_size = SLOT as u32;
    set(fd, libc::XDP_UMEM_REG, &umem)
}

fn offsets(fd: BorrowedFd<'_>) -> io::Result<libc::xdp_mmap_offsets> {
    // SAFETY: integers, for which zero is a value.
    let mut offsets: libc::xdp_mmap_offsets = unsafe { zeroed() };
    let wanted = size_of::<libc::xdp_mmap_offsets>();
    let mut len = libc::socklen_t::try_from(wanted).map_err(io::Error::other)?;
    let to = ptr::from_mut(&mut offsets).cast();
    // SAFETY: the kernel writes at most `len` bytes into `offsets`.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, to, &raw mut len)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // Linux before 5.4 has another layout.
    if usize::try_from(len).ok() == Some(wanted) {
        Ok(offsets)
    } else {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }
}

fn ring(
    fd: BorrowedFd<'_>,
    offsets: libc::xdp_ring_offset,
    entries: u32,
    entry: usize,
    pages: i64,
) -> io::Result<Ring> {
    let len = offset(offsets.desc)? + offset(entries)? * entry;
    Ok(Ring { mapping: Mapping::of_socket(fd, len, pages)?, offsets, next: 0 })
}

fn bind(fd: BorrowedFd<'_>, interface: u32, queue: u32) -> io::Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: libc::XDP_COPY,
        sxdp_ifindex: interface,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: 0,
    };
    let len = libc::socklen_t::try_from(size_of::<libc::sockaddr_xdp>()).unwrap_or(0);
    // SAFETY: the pointer and the length describe a live `sockaddr_xdp`.
    let result = unsafe { libc::bind(fd.as_raw_fd(), ptr::from_ref(&address).cast(), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
