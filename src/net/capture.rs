//! What is on the link: a cooked `AF_PACKET` capture with the kernel's stamps on both directions.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Socket, Type};

use super::clock::{self, Axis, ClockStep, Sample};
use super::undertaker::Undertaker;
use super::{ChecksumTrust, Dir, Frame, filter, sys};
use crate::time::{Clock, Instant, Stamp};

/// The largest packet that a link can hand us: an IP packet, or several that the kernel merged.
const LARGEST: usize = 1 << 17;
/// Room for what arrives while we are busy, in bytes.
const ROOM: usize = 4 << 20;
/// How often the wall clock is compared with the monotonic one.
const CHECK_EVERY: std::time::Duration = std::time::Duration::from_millis(500);
/// What the stamps shall be: the kernel's own, on arrival and on the way out.
pub(crate) const STAMPS: libc::c_uint =
    libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;

/// A capture of what concerns one address and some ports.
#[derive(Debug)]
pub(crate) struct Capture {
    socket: Socket,
    local: IpAddr,
    interface: u32,
    loopback: u32,
    axis: Axis,
    checked_at: Instant,
    /// A step that was found while a packet was read, not yet told.
    step: Option<ClockStep>,
    buffer: Vec<u8>,
    drops: u64,
    /// Dropped after the socket, which it spares us waiting for.
    _undertaker: Option<Undertaker>,
}

impl Capture {
    /// Captures what concerns `local` and `ports` on the interface with that number.
    ///
    /// Bound to no interface: the filter looks at the packet's interface, so that ICMP errors which
    /// our own kernel sends us over loopback are seen as well.
    pub(crate) fn open(local: IpAddr, interface: u32, loopback: u32) -> io::Result<Self> {
        // Protocol 0 receives nothing: the filter is in place before the first packet comes in.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, &STAMPS)?;
        sys::set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_AUXDATA, &1i32)?;
        // Beyond the limit for ordinary users where we may, up to it where we may not.
        let room = i32::try_from(ROOM).unwrap_or(i32::MAX);
        let forced = sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &room);
        if forced.is_err() {
            socket.set_recv_buffer_size(ROOM)?;
        }
        // Without one, the end of the process is slower and nothing else.
        let undertaker = Undertaker::hire(socket.as_fd()).ok();
        let axis = Axis::new(Sample::take());
        let checked_at = clock::now();
        let buffer = vec![0; LARGEST];
        Ok(Self {
            socket,
            local,
            interface,
            loopback,
            axis,
            checked_at,
            step: None,
            buffer,
            drops: 0,
            _undertaker: undertaker,
        })
    }

    /// Captures for `ports` from now on; an empty list stands for all. The first call starts the
    /// capture.
    pub(crate) fn set_ports(&mut self, ports: &[u16], start: bool) -> io::Result<()> {
        let program = filter::capture(self.local, ports, self.interface, self.loopback);
        sys::attach_filter(self.socket.as_fd(), &program)?;
        if start { sys::bind_to_all(self.socket.as_fd()) } else { Ok(()) }
    }

    /// The next packet that is there already.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let Some(captured) = sys::receive(self.socket.as_fd(), &mut self.buffer)? else {
                return Ok(None);
            };
            let Some(bytes) = self.buffer.get(..captured.len) else { continue };
            let Some(dir) = self.direction(bytes, captured.packet_type) else { continue };
            let checksum_status = captured.status;
            let unfinished = libc::TP_STATUS_CSUMNOTREADY | libc::TP_STATUS_CSUM_VALID;
            let checksum = if checksum_status & unfinished == 0 {
                ChecksumTrust::Verify
            } else {
                ChecksumTrust::Vouched
            };
            let bytes = bytes.to_vec();
            let stamp = self.stamp(captured.stamp);
            return Ok(Some(Frame { dir, stamp, bytes, checksum }));
        }
    }

    /// Which way a packet goes. Loopback shows everything twice, once on the way out and once on
    /// the way in: of what we sent the first counts, of what we get the second.
    fn direction(&self, bytes: &[u8], packet_type: u8) -> Option<Dir> {
        let outgoing = packet_type == libc::PACKET_OUTGOING;
        let (from, to) = ends(bytes)?;
        let (from_us, to_us) = (from == self.local, to == self.local);
        match (from_us, to_us, outgoing) {
            (true, _, true) => Some(Dir::Tx),
            (_, true, false) => Some(Dir::Rx),
            _ => None,
        }
    }

    /// The time of a packet. Where the kernel gave none, ours is said to be ours.
    fn stamp(&mut self, wall: Option<i64>) -> Stamp {
        let now = clock::now();
        let Some(wall) = wall else { return Stamp { at: now, clock: Clock::User } };
        let mut at = self.axis.place(wall, now);
        // Far from the moment of reading: either nobody read for a while, or the clock was stepped.
        if at.signed_nanos_since(now).unsigned_abs() > crate::time::nanos_of(CHECK_EVERY) {
            self.step = self.step.or(self.axis.check(Sample::take()));
            at = self.axis.place(wall, now);
        }
        Stamp { at, clock: Clock::Kernel }
    }

    /// Looks whether the wall clock was stepped, every now and then.
    pub(crate) fn check_clock(&mut self, now: Instant) -> Option<ClockStep> {
        if self.step.is_some() || now.since(self.checked_at) < CHECK_EVERY {
            return self.step.take();
        }
        self.checked_at = now;
        self.axis.check(Sample::take())
    }

    /// Wall-clock nanoseconds since the Unix epoch at `at`.
    pub(crate) fn wall(&self, at: Instant) -> i64 {
        self.axis.wall(at)
    }

    /// Packets that the kernel had no room for, since the beginning.
    pub(crate) fn drops(&mut self) -> u64 {
        self.drops += u64::from(sys::packet_drops(self.socket.as_fd()).unwrap_or(0));
        self.drops
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The two addresses of an IP packet.
pub(crate) fn ends(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let v4 = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    let v6 = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(octets.into())
    };
    match packet.first()? >> 4 {
        4 => Some((v4(12)?, v4(16)?)),
        6 => Some((v6(8)?, v6(24)?)),
        _ => None,
    }
}
