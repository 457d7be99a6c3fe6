//! A cable with a will of its own: a third namespace between client and server, whose relay carries
//! each frame on when and as often as a test says.
//!
//! What it carries was sent by no kernel's TCP, so that it bears no departure time of its own (see
//! `rtt_truth`), and every witness at the client stamps an arrival alike.

use crate::namespace::{CLIENT_VETH, Namespace, SERVER_VETH, Topology};
use crate::netlink::{self, PEER_INDEX};
use crate::sniffer::{self, Seen};
use crate::{patience, sniffer::without_offload};
use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, sendto, socket,
};
use nix::sys::time::TimeSpec;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Says for a TCP segment, whether it goes to the server and how, after which delays its copies are
/// carried on; none is a loss. Everything else is carried on at once.
pub(crate) type Policy = Box<dyn FnMut(bool, &Seen) -> Vec<Duration> + Send>;

/// A packet that is carried on: when from now, to which end, and its bytes from the IP header on.
pub(crate) struct Carried {
    pub(crate) after: Duration,
    pub(crate) to_server: bool,
    pub(crate) packet: Vec<u8>,
}

/// Says for any packet, whether it goes to the server and its bytes from the network header on, what
/// is carried on in its place.
pub(crate) type Exchange = Box<dyn FnMut(bool, &[u8]) -> Vec<Carried> + Send>;

/// Every segment at once.
pub(crate) fn plain() -> Policy {
    Box::new(|_, _| vec![Duration::ZERO])
}

/// A topology with a relay in its middle. Ends when dropped.
pub(crate) struct Relay {
    pub(crate) topology: Topology,
    /// Its other end tells the relay to stop.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    _middle: Namespace,
}

const LEFT: &str = "left";
const RIGHT: &str = "right";
const LENGTH_OF_ETHERNET: usize = 14;

impl Relay {
    /// Joins two namespaces by a relay that loses, delays and repeats.
    pub(crate) fn start(mut policy: Policy) -> Result<Self> {
        Self::exchanging(Box::new(move |to_server, packet| {
            let segment = sniffer::parse(packet);
            let delays = segment.map_or(vec![Duration::ZERO], |it| policy(to_server, &it));
            let carry = |after| Carried { after, to_server, packet: packet.to_vec() };
            delays.into_iter().map(carry).collect()
        }))
    }

    /// Joins two namespaces by a relay that changes what it carries.
    pub(crate) fn exchanging(exchange: Exchange) -> Result<Self> {
        let middle = Namespace::new()?;
        let (stop, stopped) = UnixStream::pair()?;
        let mut thread = None;
        let topology = Topology::joined_by(|client, server| {
            let handle = middle.handle.as_raw_fd();
            client.within(|| netlink::add_veth_to(CLIENT_VETH, (LEFT, PEER_INDEX), handle))?;
            server.within(|| netlink::add_veth_to(SERVER_VETH, (RIGHT, PEER_INDEX + 1), handle))?;
            let cable = middle.within(Cable::new)?;
            thread = Some(thread::spawn(move || cable.carry(exchange, &stopped)));
            Ok(())
        })?;
        // Between the two there is no kernel that would finish a checksum.
        without_offload(&topology)?;
        Ok(Self { topology, stop: Some(stop), thread, _middle: middle })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// A frame that waits: when it goes, its place among those of the same time, to where, and its bytes.
type Waiting = (Duration, u64, bool, Vec<u8>);

/// The relay's socket and its two ends.
struct Cable {
    socket: OwnedFd,
    left: LinkAddr,
    right: LinkAddr,
}

impl Cable {
    /// In this thread's namespace, whose interfaces it sets up.
    fn new() -> Result<Self> {
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::EthAll,
        )
        .context("packet socket")?;
        netlink::set_up(LEFT)?;
        netlink::set_up(RIGHT)?;
        let address = |name: &str| -> Result<LinkAddr> {
            let mut all = nix::ifaddrs::getifaddrs()?.filter(|one| one.interface_name == name);
            let link = all.find_map(|one| one.address?.as_link_addr().copied());
            link.with_context(|| format!("no link address of {name}"))
        };
        Ok(Self { socket, left: address(LEFT)?, right: address(RIGHT)? })
    }

    /// Carries frames until `stopped` is closed at its other end.
    fn carry(self, mut exchange: Exchange, stopped: &UnixStream) {
        let mut waiting: BinaryHeap<Reverse<Waiting>> = BinaryHeap::new();
        let mut buffer = vec![0u8; 1 << 16];
        for place in 0.. {
            let Ok(now) = patience::now() else { return };
            while waiting.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
                let Some(Reverse((_, _, to_server, frame))) = waiting.pop() else { break };
                let to = if to_server { &self.right } else { &self.left };
                // An interface that is down swallows it, as a cable that is cut would.
                sendto(self.socket.as_raw_fd(), &frame, to, MsgFlags::empty()).ok();
            }
            let Ok((length, from)) = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut buffer)
            else {
                let next = waiting.peek().map(|Reverse((at, ..))| at.saturating_sub(now));
                if !self.wait(stopped, next) {
                    return;
                }
                continue;
            };
            let Some(from) = from.filter(|from| from.pkttype() != libc::PACKET_OUTGOING) else {
                continue;
            };
            let to_server = from.ifindex() == self.left.ifindex();
            let Some((header, packet)) = buffer[..length].split_at_checked(LENGTH_OF_ETHERNET)
            else {
                continue;
            };
            let copies = exchange(to_server, packet).into_iter().map(|it| {
                let header =
                    if it.to_server == to_server { header.to_vec() } else { turned(header) };
                (now + it.after, place, it.to_server, [header, it.packet].concat())
            });
            waiting.extend(copies.map(Reverse));
        }
    }

    /// Waits for a frame, at most so long; false where the relay is to stop.
    fn wait(&self, stopped: &UnixStream, limit: Option<Duration>) -> bool {
        let mut ends = [
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        ppoll(&mut ends, limit.map(TimeSpec::from_duration), None).ok();
        ends[1].any() == Some(false)
    }
}

/// An Ethernet header back to where it came from.
fn turned(header: &[u8]) -> Vec<u8> {
    [&header[6..12], &header[..6], &header[12..]].concat()
}
