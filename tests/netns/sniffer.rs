//! An independent witness in the peer's namespace: a packet socket of our own, not the one of the
//! code under test, that keeps every TCP segment with the kernel's stamp and can hand them to tshark.
//!
//! The kernel stamps a packet once for all packet sockets that see it at the same place: what a
//! [`Sniffer::at_client`] has and what a capture on the client has are the same to the nanosecond.

use crate::namespace::{CLIENT_VETH, Family, Link, Namespace, SERVER_VETH, Topology};
use crate::patience;
use anyhow::{Context, Result, anyhow};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use std::fs::File;
use std::io::{IoSliceMut, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// A TCP segment as it passed the peer's interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    /// Payload bytes.
    pub(crate) length: usize,
    /// It was leaving where it was seen.
    pub(crate) outgoing: bool,
    /// The kernel's stamp, since the Unix epoch.
    since_epoch: Duration,
    packet: Vec<u8>,
}

impl Seen {
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The kernel's stamp, in nanoseconds since the Unix epoch.
    pub(crate) fn unix_ns(&self) -> i64 {
        i64::try_from(self.since_epoch.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// Where a sniffer sits, and what it keeps.
#[derive(Clone, Copy)]
struct Post {
    loopback: bool,
    /// Keeps both copies that a loopback shows: on the way out, and on the way in.
    both_copies: bool,
    mark_port: u16,
}

/// Records from its start to its drop.
pub(crate) struct Sniffer {
    seen: Arc<Mutex<Vec<Seen>>>,
    marks: Receiver<u64>,
    client: Namespace,
    /// Bound in the peer's namespace, so that our marks are not answered with ICMP errors.
    mark_sink: UdpSocket,
    next_mark: u64,
}

const LAST_MARK: u64 = u64::MAX;

impl Sniffer {
    /// Starts to record what passes the server's interface.
    pub(crate) fn start(topology: &Topology) -> Result<Self> {
        Self::start_in(topology, &topology.server, false)
    }

    /// Starts to record what passes the client's interface; on the loopback each packet twice, once
    /// in each direction.
    pub(crate) fn at_client(topology: &Topology) -> Result<Self> {
        Self::start_in(topology, &topology.client, true)
    }

    fn start_in(topology: &Topology, place: &Namespace, both_copies: bool) -> Result<Self> {
        let socket = place.within(|| {
            let socket = socket(
                AddressFamily::Packet,
                SockType::Datagram,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::EthAll,
            )
            .context("packet socket")?;
            // Beyond the system's limit only as root outside any user namespace.
            let room = 16 << 20;
            if setsockopt(&socket, sockopt::RcvBufForce, &room).is_err() {
                setsockopt(&socket, sockopt::RcvBuf, &room).ok();
            }
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true).context("kernel stamps")?;
            Ok(socket)
        })?;
        let mark_sink = topology
            .server
            .within(|| UdpSocket::bind((topology.address(Family::V4), 0)).context("mark sink"))?;
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (marker, marks) = channel();
        let list = Arc::clone(&seen);
        let loopback = topology.link == Link::Loopback;
        let post = Post { loopback, both_copies, mark_port: mark_sink.local_addr()?.port() };
        thread::spawn(move || record(&socket, post, &list, &marker));
        let client = topology.client.duplicate()?;
        Ok(Self { seen, marks, client, mark_sink, next_mark: 0 })
    }

    /// Everything that the client's end, and the server's, has sent until now.
    pub(crate) fn segments(&mut self) -> Result<Vec<Seen>> {
        let mark = self.next_mark;
        self.next_mark += 1;
        self.send_mark(mark)?;
        // A mark takes the way of the packets, so what was sent before it has been seen with it.
        while self.marks.recv_timeout(patience::LONGEST).context("the sniffer is gone")? != mark {}
        self.seen.lock().map(|list| list.clone()).map_err(|_| anyhow!("the sniffer panicked"))
    }

    fn send_mark(&self, mark: u64) -> Result<()> {
        let to = self.mark_sink.local_addr()?;
        self.client.within(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.send_to(&mark.to_be_bytes(), to)?;
            Ok(())
        })
    }

    /// Writes all that was seen as a capture file of raw IP packets.
    pub(crate) fn write_pcap(&mut self, path: &Path) -> Result<()> {
        const LINKTYPE_RAW: u32 = 101;
        let mut file = File::create(path)?;
        let mut out = Vec::new();
        out.extend(0xa1b2_3c4du32.to_ne_bytes());
        out.extend([2u16, 4].map(u16::to_ne_bytes).concat());
        out.extend([0u32, 0, 65535, LINKTYPE_RAW].map(u32::to_ne_bytes).concat());
        for seen in self.segments()? {
            let seconds = u32::try_from(seen.since_epoch.as_secs())?;
            let length = u32::try_from(seen.packet.len())?;
            let header = [seconds, seen.since_epoch.subsec_nanos(), length, length];
            out.extend(header.map(u32::to_ne_bytes).concat());
            out.extend(&seen.packet);
        }
        file.write_all(&out)?;
        Ok(())
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.send_mark(LAST_MARK).ok();
    }
}

/// Makes the kernels at both ends finish their checksums before a packet leaves.
pub(crate) fn without_offload(topology: &Topology) -> Result<()> {
    topology.client.within(|| crate::netlink::checksum_offload_off(CLIENT_VETH))?;
    topology.server.within(|| crate::netlink::checksum_offload_off(SERVER_VETH))
}

fn record(socket: &OwnedFd, post: Post, list: &Mutex<Vec<Seen>>, marks: &Sender<u64>) {
    let mut buffer = vec![0u8; 1 << 17];
    while let Ok((length, outgoing, since_epoch)) = receive(socket, &mut buffer) {
        // Loopback shows each packet on its way out and again on its way in.
        let again = post.loopback && outgoing;
        if again && !post.both_copies {
            continue;
        }
        let packet = &buffer[..length];
        if let Some(mark) = mark_in(packet, post.mark_port).filter(|_| !again) {
            marks.send(mark).ok();
            if mark == LAST_MARK {
                return;
            }
        }
        let seen = parse(packet).map(|seen| Seen { outgoing, since_epoch, ..seen });
        if let (Some(seen), Ok(mut list)) = (seen, list.lock()) {
            list.push(seen);
        }
    }
}

/// The next packet's length, whether it was leaving, and the kernel's stamp.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> nix::Result<(usize, bool, Duration)> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(buffer)];
    let control = Some(&mut control[..]);
    let message = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, control, MsgFlags::empty())?;
    let outgoing = message.address.is_some_and(|link| link.pkttype() == libc::PACKET_OUTGOING);
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    });
    // The option was accepted: each packet has one.
    Ok((message.bytes, outgoing, stamp.unwrap_or_default()))
}

fn mark_in(packet: &[u8], port: u16) -> Option<u64> {
    let is_mark = packet.len() == 36 && packet[0] == 0x45 && packet[9] == 17;
    let to = u16::from_be_bytes([*packet.get(22)?, *packet.get(23)?]);
    let payload = packet.get(28..36)?.try_into().ok()?;
    (is_mark && to == port).then(|| u64::from_be_bytes(payload))
}

/// Reads a TCP segment in an IP packet.
pub(crate) fn parse(packet: &[u8]) -> Option<Seen> {
    let word = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let half = |bytes: &[u8], at: usize| -> Option<u16> {
        Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
    };
    let (from, to, header, total): (IpAddr, IpAddr, usize, usize) = match packet.first()? >> 4 {
        4 if packet.get(9) == Some(&6) => (
            Ipv4Addr::from(word(packet, 12)?).into(),
            Ipv4Addr::from(word(packet, 16)?).into(),
            usize::from(packet[0] & 15) * 4,
            half(packet, 2)?.into(),
        ),
        6 if packet.get(6) == Some(&6) => (
            Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(8..24)?).ok()?).into(),
            Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(24..40)?).ok()?).into(),
            40,
            usize::from(half(packet, 4)?) + 40,
        ),
        _ => return None,
    };
    let packet = packet.get(..total)?;
    let tcp = packet.get(header..)?;
    Some(Seen {
        from: SocketAddr::new(from, half(tcp, 0)?),
        to: SocketAddr::new(to, half(tcp, 2)?),
        seq: word(tcp, 4)?,
        ack: word(tcp, 8)?,
        flags: *tcp.get(13)?,
        length: tcp.len().saturating_sub(usize::from(*tcp.get(12)? >> 4) * 4),
        outgoing: false,
        since_epoch: Duration::ZERO,
        packet: packet.to_vec(),
    })
}
