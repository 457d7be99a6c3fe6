//! What leaves and what arrives, with the kernel's own stamps, from one packet socket.
//!
//! The socket is cooked (`SOCK_DGRAM`), so that a packet begins with its IP header on loopback, tun,
//! ppp and Ethernet alike. It is opened with protocol 0, deaf; gets its filter; and is bound last,
//! so that nothing unfiltered ever gets in. It sees arriving packets before any local firewall, and
//! copies of those that leave, with the stamp that tcpdump would show.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::{Domain, SockFilter, Socket, Type};

use super::filter::{Coverage, program};
use super::undertaker::Undertaker;
use super::{clock, places, stamping, sys};
use crate::net::{ChecksumTrust, Dir};
use crate::time::{Clock, Instant};
use crate::wire::{IpPayload, parse_ip};

/// The largest IP packet. Receive offload merges segments up to this.
const BUFFER: usize = 1 << 16;
/// The loopback brings our own kernel's ICMP errors. Its index is 1 in every namespace.
const LOOPBACK: u32 = 1;
/// From one look at this host's addresses to the next at least.
const RELEARN: Duration = Duration::from_secs(1);
/// Bytes of packets that the kernel keeps for us while we are busy.
const KERNEL_BUFFER: i32 = 8 << 20;

/// A packet that was captured; its bytes are in [`Capture::bytes`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caught {
    /// Which way it went.
    pub dir: Dir,
    /// The kernel's stamp, nanoseconds of the wall clock; `None` where it took none.
    pub wall: Option<u64>,
    /// The interface's stamp of a packet that arrives, nanoseconds of its own clock; `None` where it
    /// took none, or was not asked to.
    pub hardware: Option<u64>,
    /// The index of the interface.
    pub interface: u32,
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
    /// Everything between `port` of these addresses and anybody, on the interfaces with these
    /// indexes; on all where there are none. An unspecified address stands for every address of its
    /// family that this host has.
    #[must_use]
    pub fn listening(
        interfaces: Vec<u32>,
        addresses: impl IntoIterator<Item = IpAddr>,
        port: u16,
    ) -> Self {
        let mut view =
            Self { interfaces, sources: addresses.into_iter().collect(), ports: [port].into() };
        view.learn_addresses();
        view
    }

    /// Takes in the addresses that this host has, where all of them are meant.
    fn learn_addresses(&mut self) {
        let any = |v4: bool| {
            self.sources.iter().any(|source| source.is_unspecified() && source.is_ipv4() == v4)
        };
        let (v4, v6) = (any(true), any(false));
        if v4 || v6 {
            let wanted = |it: &IpAddr| if it.is_ipv4() { v4 } else { v6 };
            self.sources.extend(places::of_this_host().into_keys().filter(wanted));
        }
    }

    /// Whether an address is one of ours. All that leaves is, where all addresses are meant.
    fn is_ours(&self, address: IpAddr, leaves: bool) -> bool {
        let any = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        self.sources.contains(&address)
            || (self.sources.contains(&any) && (leaves || address.is_loopback()))
    }

    /// Whether a packet came to an address that may be a new one of this host's.
    fn is_news(&self, packet: &[u8]) -> bool {
        self.sources.iter().any(IpAddr::is_unspecified)
            && parse_ip(packet).is_ok_and(|(header, _)| !self.is_ours(header.dst, false))
    }

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
        if !self.is_ours(ours, leaves) {
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

    /// Puts the filter for this view in the place of the one before, if any.
    fn attach_to(&self, socket: &Socket) -> io::Result<Coverage> {
        let mut interfaces = self.interfaces.clone();
        if !interfaces.is_empty() && !interfaces.contains(&LOOPBACK) {
            interfaces.push(LOOPBACK);
        }
        let coverage = Coverage::of(&self.ports);
        let program = program(&interfaces, &self.sources, &coverage);
        let program: Vec<SockFilter> = program.into_iter().map(Into::into).collect();
        socket.attach_filter(&program)?;
        Ok(coverage)
    }
}

/// The packet socket.
#[derive(Debug)]
pub struct Capture {
    socket: Arc<Socket>,
    // Behind the socket: see there.
    _undertaker: Option<Undertaker>,
    view: View,
    coverage: Coverage,
    buffer: Vec<u8>,
    drops: Arc<AtomicU64>,
    /// When the addresses of this host were last looked at.
    learned: Instant,
}

/// Counts the packets that the kernel has dropped because they were not fetched in time, wherever
/// the capture itself has been moved to.
#[derive(Clone, Debug)]
pub struct DropCounter {
    /// Keeps the socket open: to be let go of before the capture, whose [`Undertaker`] closes it
    /// fast.
    socket: Arc<Socket>,
    so_far: Arc<AtomicU64>,
}

impl DropCounter {
    /// Packets dropped since the capture was opened; `None` where the kernel does not say.
    #[must_use]
    pub fn read(&self) -> Option<u64> {
        // Reading resets the kernel's counter.
        let new = u64::from(sys::packet_drops(self.socket.as_fd()).ok()?);
        Some(self.so_far.fetch_add(new, Ordering::Relaxed) + new)
    }
}

impl Capture {
    /// Opens a capture of packets from and to `port` of `source` on the interface with index
    /// `interface`, stamped by `clock`: by the kernel, by the hardware as well, or not at all.
    /// Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// The kernel refuses the socket or one of its options.
    pub fn open(source: IpAddr, interface: u32, port: u16, clock: Clock) -> io::Result<Self> {
        let view =
            View { interfaces: vec![interface], sources: [source].into(), ports: [port].into() };
        Self::of(view, clock)
    }

    /// Opens a capture of what is in `view`, as [`open`](Self::open) does.
    ///
    /// # Errors
    /// The kernel refuses the socket or one of its options.
    pub fn of(view: View, clock: Clock) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        let fd = socket.as_fd();
        let stamps = match clock {
            Clock::Hardware => Some(stamping::SOFTWARE | stamping::HARDWARE),
            Clock::Kernel => Some(stamping::SOFTWARE),
            Clock::User | Clock::Virtual => None,
        };
        if let Some(flags) = stamps {
            sys::set_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags)?;
        }
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        // Beyond the system's limit needs CAP_NET_ADMIN; up to it needs nothing.
        if sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, KERNEL_BUFFER).is_err() {
            sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, KERNEL_BUFFER)?;
        }
        let coverage = view.attach_to(&socket)?;
        // Every interface: see the filter.
        sys::bind_packet(fd, libc::ETH_P_ALL as u16, 0)?;
        let undertaker = Undertaker::hire(fd).ok();
        Ok(Self {
            socket: Arc::new(socket),
            _undertaker: undertaker,
            view,
            coverage,
            buffer: vec![0; BUFFER],
            drops: Arc::default(),
            learned: Instant::ZERO,
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
        self.coverage = self.view.attach_to(&self.socket)?;
        Ok(())
    }

    /// The next packet of ours that has been captured, without waiting.
    ///
    /// # Errors
    /// The socket failed.
    pub fn receive(&mut self) -> io::Result<Option<Caught>> {
        loop {
            let info = match sys::receive_packet(self.socket.as_fd(), &mut self.buffer) {
                Ok(info) => info,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let len = info.len.min(self.buffer.len());
            let leaves = info.kind == libc::PACKET_OUTGOING;
            if !leaves && self.view.is_news(&self.buffer[..len]) {
                self.learn_addresses();
            }
            if let Some(dir) = self.view.wants(leaves, &self.buffer[..len]) {
                // A copy may show the stamp of its original, or not yet: of those, the sender's
                // socket tells.
                let hardware = info.stamps.hardware.filter(|_| dir == Dir::Rx);
                return Ok(Some(Caught {
                    dir,
                    wall: info.stamps.software,
                    hardware,
                    interface: info.interface,
                    checksum: trust(info.status),
                    len,
                }));
            }
        }
    }

    /// Looks at the addresses of this host again, unless it did so a moment ago: a router hears of
    /// many that are not its own.
    fn learn_addresses(&mut self) {
        let now = clock::now();
        if now.since(self.learned) >= RELEARN {
            self.learned = now;
            self.view.learn_addresses();
        }
    }

    /// The bytes of the packet that was caught last.
    #[must_use]
    pub fn bytes(&self, caught: &Caught) -> &[u8] {
        &self.buffer[..caught.len.min(self.buffer.len())]
    }

    /// Packets that the kernel has dropped since the capture was opened, because we did not fetch
    /// them in time.
    pub fn drops(&self) -> u64 {
        self.drop_counter().read().unwrap_or(0)
    }

    /// A handle that outlives the move of the capture.
    #[must_use]
    pub fn drop_counter(&self) -> DropCounter {
        DropCounter { socket: Arc::clone(&self.socket), so_far: Arc::clone(&self.drops) }
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What the kernel says about a packet's checksum.
pub(super) const fn trust(status: u32) -> ChecksumTrust {
    if status & (libc::TP_STATUS_CSUMNOTREADY | libc::TP_STATUS_CSUM_VALID) == 0 {
        ChecksumTrust::Verify
    } else {
        ChecksumTrust::Vouched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Flags, IpHeader, Packet, Segment};

    fn packet(src: &str, src_port: u16, dst: &str, dst_port: u16) -> Vec<u8> {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        let ip = IpHeader { src, dst, ttl: 64, tos: 0, id: 0, dont_fragment: true, flow_label: 0 };
        let segment = Segment { src_port, dst_port, flags: Flags::SYN, ..Segment::default() };
        Packet { ip, segment }.emit().unwrap()
    }

    fn view() -> View {
        View {
            interfaces: vec![2],
            sources: ["192.0.2.1".parse().unwrap()].into(),
            ports: [40000, 40001].into(),
        }
    }

    #[test]
    fn a_packet_is_ours_by_the_end_that_its_direction_names() {
        let out = packet("192.0.2.1", 40000, "198.51.100.7", 443);
        let back = packet("198.51.100.7", 443, "192.0.2.1", 40001);
        assert_eq!(view().wants(true, &out), Some(Dir::Tx));
        assert_eq!(view().wants(false, &back), Some(Dir::Rx));
        assert_eq!(view().wants(false, &out), None, "our own packet, seen arriving");
        assert_eq!(view().wants(true, &back), None, "a local peer's packet, seen leaving");
        let other = packet("198.51.100.7", 443, "192.0.2.1", 40002);
        assert_eq!(view().wants(false, &other), None, "another program's connection");
    }

    #[test]
    fn a_connection_to_ourselves_on_the_loopback_shows_each_packet_once() {
        let mut view = view();
        view.sources.insert("127.0.0.1".parse().unwrap());
        let between = packet("127.0.0.1", 40000, "127.0.0.1", 40001);
        assert_eq!(view.wants(true, &between), Some(Dir::Tx));
        assert_eq!(view.wants(false, &between), Some(Dir::Rx));
        let to_server = packet("127.0.0.1", 40000, "127.0.0.1", 80);
        assert_eq!(view.wants(true, &to_server), Some(Dir::Tx));
        assert_eq!(view.wants(false, &to_server), None);
    }

    #[test]
    fn of_all_addresses_are_meant_those_that_this_host_has() {
        let any = [Ipv4Addr::UNSPECIFIED.into()];
        let view = View::listening(vec![], any, 40000);
        let at = |to: &str| packet("198.51.100.7", 443, to, 40000);
        assert_eq!(view.wants(false, &at("127.0.0.1")), Some(Dir::Rx));
        assert_eq!(view.wants(false, &at("127.7.7.7")), Some(Dir::Rx), "all of 127/8 is this host");
        assert_eq!(view.wants(false, &at("203.0.113.9")), None, "to be forwarded");
        assert!(view.is_news(&at("203.0.113.9")) && !view.is_news(&at("127.0.0.1")));
        let v6 = packet("2001:db8::9", 443, "::1", 40000);
        assert_eq!(view.wants(false, &v6), None, "the other family");
        assert_eq!(
            view.wants(true, &packet("203.0.113.9", 40000, "198.51.100.7", 1)),
            Some(Dir::Tx)
        );
    }

    #[test]
    fn what_cannot_be_read_is_passed_on_and_a_cut_segment_is_not() {
        let whole = packet("198.51.100.7", 443, "192.0.2.1", 40000);
        assert_eq!(view().wants(false, &whole[..30]), Some(Dir::Rx), "cut behind its length field");
        let mut short = whole[..23].to_vec();
        short[3] = 23;
        assert_eq!(view().wants(false, &short), None, "three bytes of TCP have no port of ours");
    }

    #[test]
    fn checksums_that_nobody_computed_are_not_judged() {
        assert_eq!(trust(0), ChecksumTrust::Verify);
        assert_eq!(trust(libc::TP_STATUS_CSUMNOTREADY), ChecksumTrust::Vouched);
        assert_eq!(
            trust(libc::TP_STATUS_CSUM_VALID | libc::TP_STATUS_USER),
            ChecksumTrust::Vouched
        );
    }
}
