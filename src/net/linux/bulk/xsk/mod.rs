//! An AF_XDP socket: its frames and its rings, shared with the kernel.
//!
//! It has two halves, which two threads may use at a time: [`Sender`] has the transmit and the
//! completion ring, [`Receiver`] the receive and the fill ring. Each has frames of its own.
#![allow(unsafe_code)]

mod receiver;
mod sender;

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

pub(super) use receiver::Receiver;
pub(super) use sender::Sender;

use super::mapping::Mapping;
use crate::net::bulk::SLOT;

/// `off_t` of the rings, in 64 bits wherever we are.
const RX_PAGES: i64 = 0;
const TX_PAGES: i64 = 0x8000_0000;
const FILL_PAGES: i64 = 0x1_0000_0000;
const COMPLETION_PAGES: i64 = 0x1_8000_0000;
/// The kernel wants both rings of the frames, whichever are used.
const UNUSED: u32 = 2;

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

/// How many frames each half has, powers of two; none where it is not wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    pub(super) to_send: u32,
    pub(super) to_receive: u32,
}

/// What both halves stand on.
#[derive(Debug)]
struct Base {
    // Before the memory that it uses.
    socket: OwnedFd,
    memory: Mapping,
}

/// One ring of `entries`, a power of two, of which `next` is our end.
#[derive(Debug)]
struct Ring {
    mapping: Mapping,
    offsets: libc::xdp_ring_offset,
    entries: u32,
    next: u32,
}

impl Ring {
    fn producer(&self) -> io::Result<&AtomicU32> {
        self.mapping.word(offset(self.offsets.producer)?)
    }

    fn consumer(&self) -> io::Result<&AtomicU32> {
        self.mapping.word(offset(self.offsets.consumer)?)
    }

    /// Where the entry of this number lies, within the mapping.
    fn entry<T>(&self, number: u32) -> io::Result<*mut T> {
        let index = offset(number & (self.entries - 1))?;
        let at = offset(self.offsets.desc)? + index * size_of::<T>();
        Ok(self.mapping.at(at, size_of::<T>())?.cast())
    }
}

/// Opens a socket at `queue` of an interface, with the halves that are wanted.
pub(super) fn open(
    interface: u32,
    queue: u32,
    frames: Frames,
) -> Result<(Option<Sender>, Option<Receiver>), Failure> {
    let at = |step| move |error| Failure { step, error };
    let Frames { to_send, to_receive } = frames;
    let socket = socket().map_err(at(Step::Socket))?;
    let count = offset(to_send).and_then(|send| Ok(send + offset(to_receive)?));
    let len = count.map_err(at(Step::Memory))? * SLOT;
    let memory = Mapping::fresh(len).map_err(at(Step::Memory))?;
    register(socket.as_fd(), &memory, len).map_err(at(Step::Memory))?;
    let base = Arc::new(Base { socket, memory });
    let fd = base.socket.as_fd();
    let rings = || {
        set(fd, libc::XDP_UMEM_FILL_RING, &to_receive.max(UNUSED))?;
        set(fd, libc::XDP_UMEM_COMPLETION_RING, &to_send.max(UNUSED))?;
        for (name, entries) in [(libc::XDP_TX_RING, to_send), (libc::XDP_RX_RING, to_receive)] {
            if entries > 0 {
                set(fd, name, &entries)?;
            }
        }
        let offsets = offsets(fd)?;
        let sender = (to_send > 0).then(|| {
            let tx = ring::<libc::xdp_desc>(fd, offsets.tx, to_send, TX_PAGES)?;
            let completion = ring::<u64>(fd, offsets.cr, to_send, COMPLETION_PAGES)?;
            io::Result::Ok(Sender::new(Arc::clone(&base), tx, completion))
        });
        let receiver = (to_receive > 0).then(|| {
            let rx = ring::<libc::xdp_desc>(fd, offsets.rx, to_receive, RX_PAGES)?;
            let fill = ring::<u64>(fd, offsets.fr, to_receive, FILL_PAGES)?;
            // Behind those that are sent.
            Receiver::new(Arc::clone(&base), rx, fill, to_send..to_send + to_receive)
        });
        io::Result::Ok((sender.transpose()?, receiver.transpose()?))
    };
    let halves = rings().map_err(at(Step::Rings))?;
    bind(fd, interface, queue).map_err(at(Step::Bind))?;
    Ok(halves)
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

/// Reads an option of AF_XDP, and how many bytes of it this kernel has; the others are zero.
///
/// # Safety
/// `T` is a structure of integers.
unsafe fn get<T>(fd: BorrowedFd<'_>, name: i32) -> io::Result<(T, usize)> {
    // SAFETY: zero is a value of integers.
    let mut value: T = unsafe { zeroed() };
    let mut len = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let to = ptr::from_mut(&mut value).cast();
    // SAFETY: the kernel writes at most `len` bytes into `value`, for which whatever they are is a value.
    let result = unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, name, to, &raw mut len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok((value, offset(len)?)) }
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
    // SAFETY: integers.
    let (offsets, len) = unsafe { get::<libc::xdp_mmap_offsets>(fd, libc::XDP_MMAP_OFFSETS) }?;
    // Linux before 5.4 has another layout.
    if len == size_of::<libc::xdp_mmap_offsets>() {
        Ok(offsets)
    } else {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }
}

fn ring<T>(
    fd: BorrowedFd<'_>,
    offsets: libc::xdp_ring_offset,
    entries: u32,
    pages: i64,
) -> io::Result<Ring> {
    let len = offset(offsets.desc)? + offset(entries)? * size_of::<T>();
    Ok(Ring { mapping: Mapping::of_socket(fd, len, pages)?, offsets, entries, next: 0 })
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
