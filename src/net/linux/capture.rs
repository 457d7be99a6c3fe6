//! What leaves and what arrives, with the kernel's own stamps, from one packet socket.
//!
//! The socket is cooked (`SOCK_DGRAM`), so that a packet begins with its IP header on loopback, tun,
//! ppp and Ethernet alike. It is opened with protocol 0, deaf; gets its filter; and is bound last,
//! so that nothing unfiltered ever gets in. It sees arriving packets before any local firewall, and
//! copies of those that leave, with the stamp that tcpdump would show.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, SockFilter, Socket, Type};

use super::filter::{Coverage, program};
use super::sys;
use super::undertaker::Undertaker;
use crate::net::{ChecksumTrust, Dir};
use crate::wire::{IpPayload, parse_ip};

/// The largest IP packet. Receive offload merges segments up to this.
const BUFFER: usize = 1 << 16;
/// Bytes of packets that the kernel keeps for us while we are busy.
const KERNEL_BUFFER: i32 = 8 << 20;

/// The kernel's own stamps, on arrival; the copies of what leaves arrive here too.
pub(super) const STAMPS: i32 =
    (libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE).cast_signed();

/// A packet that was captured; its bytes are in [`Capture::bytes`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caught {
    /// Which way it went.
    pub dir: Dir,
    /// The kernel's stamp, nanoseconds of the wall clock; `None` where it took none.
    pub wall: Option<u64>,
    /// Whether its checksum can be judged.
    pub checksum: ChecksumTrust,
    /// Its length in bytes.
    pub len: usize,
}

/// Whose packets are ours.
#[derive(Clone, Debug, Default)]
pub struct View {
    interfaces: Vec<u32>,
    sources: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
}

impl View {
    /// Which way a packet went, of which the capture says that it leaves this host, or else that
    /// it arrives. `None` for a packet that is none of ours.
    #[must_use]
    pub fn wants(&self, leaves: bool, packet: &[u8]) -> Option<Dir> {
        let dir = if leaves { Dir::Tx } else { Dir::Rx };
        let Ok((header, payload)) = parse_ip(packet) else {
            // The kernel's filter has found our address in it; what is wrong with it is for
            // others to say.
            return Some(dir);
        };
        let (ours, port_at) = if leaves { (header.src, 0) } else { (header.dst, 2) };
        if !self.sources.contains(&ours) {
            return None;
        }
        match payload {
            IpPayload::Tcp(segment) => match segment.get(port_at..port_at + 2) {
                Some(&[high, low]) => {
                    self.ports.contains(&u16::from_be_bytes([high, low])).then_some(dir)
                }
                _ => None,
            },
            // Errors that we send are about others' packets.
            IpPayload::Icmp(_) => (!leaves).then_some(dir),
            IpPayload::Fragment => Some(dir),
            IpPayload::Other(_) => None,
        }
    }
}

/// The packet socket.
#[derive(Debug)]
pub struct Capture {
    socket: Socket,
    // Behind the socket: see there.
    _undertaker: Option<Undertaker>,
    view: View,
    coverage: Coverage,
    buffer: Vec<u8>,
    drops: u64,
}

impl Capture {
    /// Opens a capture that hears nothing until it is told [what](Self::add_source). Needs
    /// `CAP_NET_RAW`.
    ///
    /// # Errors
    /// The kernel refuses the socket or one of its options.
    pub fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        let fd = socket.as_fd();
        sys::set_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, STAMPS)?;
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        // Beyond the system's limit needs CAP_NET_ADMIN; up to it needs nothing.
        if sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, KERNEL_BUFFER).is_err() {
            sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, KERNEL_BUFFER)?;
        }
        let coverage = Coverage::Exact(Vec::new());
        attach(&socket, &[], &BTreeSet::new(), &coverage)?;
        // Every interface: see the filter.
        sys::bind_packet(fd, libc::ETH_P_ALL as u16, 0)?;
        let undertaker = Undertaker::hire(fd).ok();
        Ok(Self {
            socket,
            _undertaker: undertaker,
            view: View::default(),
            coverage,
            buffer: vec![0; BUFFER],
            drops: 0,
        })
    }

    /// Also hears packets from and to `source` on the interface with index `interface`.
    ///
    /// # Errors
    /// The kernel refuses the filter.
    pub fn add_source(&mut self, source: IpAddr, interface: u32) -> io::Result<()> {
        let mut changed = self.view.sources.insert(source);
        if !self.view.interfaces.contains(&interface) {
            self.view.interfaces.push(interface);
            changed = true;
        }
        if changed { self.refresh() } else { Ok(()) }
    }

    /// Also hears `port` of our addresses. The kernel swaps filters in one step: nothing is missed
    /// and nothing foreign gets in.
    ///
    /// # Errors
    /// The kernel refuses the filter.
    pub fn add_port(&mut self, port: u16) -> io::Result<()> {
        self.view.ports.insert(port);
        if self.coverage.contains(port) { Ok(()) } else { self.refresh() }
    }

    /// Hears `port` no longer. The kernel's filter follows with the next port that is added; until
    /// then its packets are sorted out here.
    pub fn remove_port(&mut self, port: u16) {
        self.view.ports.remove(&port);
    }

    /// Hears exactly these ports.
    ///
    /// # Errors
    /// The kernel refuses the filter.
    pub fn set_ports(&mut self, ports: impl IntoIterator<Item = u16>) -> io::Result<()> {
        self.view.ports = ports.into_iter().collect();
        self.refresh()
    }

    fn refresh(&mut self) -> io::Result<()> {
        let View { interfaces, sources, ports } = &self.view;
        let coverage = Coverage::of(ports, sources.len());
        attach(&self.socket, interfaces, sources, &coverage)?;
        self.coverage = coverage;
        Ok(())
    }

    /// The next packet of ours that has been captured, without waiting.
    ///
    /// # Errors
    /// The socket failed.
    pub fn next(&mut self) -> io::Result<Option<Caught>> {
        loop {
            let info = match sys::receive_packet(self.socket.as_fd(), &mut self.buffer) {
                Ok(info) => info,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let len = info.len.min(self.buffer.len());
            let leaves = info.kind == libc::PACKET_OUTGOING;
            if let Some(dir) = self.view.wants(leaves, &self.buffer[..len]) {
                let checksum = trust(info.status);
                return Ok(Some(Caught { dir, wall: info.stamp, checksum, len }));
            }
        }
    }

    /// The bytes of the packet that was caught last.
    #[must_use]
    pub fn bytes(&self, caught: &Caught) -> &[u8] {
        &self.buffer[..caught.len.min(self.buffer.len())]
    }

    /// Packets that the kernel has dropped since the capture was opened, because we did not fetch
    /// them in time.
    pub fn drops(&mut self) -> u64 {
        // Reading resets the kernel's counter.
        self.drops += u64::from(sys::packet_drops(self.socket.as_fd()).unwrap_or(0));
        self.drops
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn attach(
    socket: &Socket,
    interfaces: &[u32],
    sources: &BTreeSet<IpAddr>,
    coverage: &Coverage,
) -> io::Result<()> {
    // The loopback brings our own kernel's ICMP errors. Its index is 1 in every namespace.
    let mut interfaces = interfaces.to_vec();
    if !interfaces.contains(&LOOPBACK) {
        interfaces.push(LOOPBACK);
    }
    let program: Vec<SockFilter> =
        program(&interfaces, sources, coverage).into_iter().map(Into::into).collect();
    socket.attach_filter(&program)
}

const LOOPBACK: u32 = 1;

/// What the kernel says about a packet's checksum.
const fn trust(status: u32) -> ChecksumTrust {
    if status & (libc::TP_STATUS_CSUMNOTREADY | libc::TP_STATUS_CSUM_VALID) == 0 {
        ChecksumTrust::Verify
    } else {
        ChecksumTrust::Vouched
    }
}
