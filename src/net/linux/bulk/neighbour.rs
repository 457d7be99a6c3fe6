//! Hardware addresses, from the kernel's own neighbour table.
//!
//! Where it has none, an ordinary datagram makes the kernel ask for it. Nothing here speaks ARP:
//! what the kernel would do differently from us (proxies, static entries, several answers) is then
//! done its way.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket as Netlink, SocketAddr as NetlinkAddr, protocols::NETLINK_ROUTE};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Socket, Type};

use super::netlink::{dump, unpack};
use crate::net::linux::Interface;
use crate::net::linux::clock;
use crate::net::linux::guard::socket_address;

/// How long to wait. The kernel asks three times, a second apart.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks at the table, in case that it changed without the kernel telling.
const LOOK: Duration = Duration::from_millis(250);
/// `RTNLGRP_NEIGH`.
const NEIGHBOURS: u32 = 3;
/// "discard" (RFC 863).
const DISCARD: u16 = 9;

/// What a neighbour is to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The next router.
    Gateway,
    /// What is to be reached.
    Target,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Target => "target",
        })
    }
}

/// Why a neighbour's hardware address is not known.
#[derive(Debug, thiserror::Error)]
pub enum NeighbourError {
    /// It does not answer.
    #[error(
        "the {role} {address} does not answer {} on {interface}; `ip neighbour` shows who does",
        if .address.is_ipv4() { "ARP" } else { "neighbour discovery" }
    )]
    Silent {
        /// What it is to us.
        role: Role,
        /// Its address.
        address: IpAddr,
        /// Where it should be.
        interface: String,
    },
    /// The kernel does not say.
    #[error("cannot look up the hardware address of {address}")]
    Io {
        /// Whose.
        address: IpAddr,
        /// What went wrong.
        source: io::Error,
    },
}

/// The hardware address of a neighbour on `interface`, after at most three seconds.
///
/// # Errors
/// [`NeighbourError`].
pub fn hardware_address(
    address: IpAddr,
    role: Role,
    interface: &Interface,
) -> Result<[u8; 6], NeighbourError> {
    let silent = || NeighbourError::Silent { role, address, interface: interface.name.clone() };
    match resolve(address, interface, PATIENCE) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(silent()),
        Err(source) => Err(NeighbourError::Io { address, source }),
    }
}

fn resolve(
    address: IpAddr,
    interface: &Interface,
    patience: Duration,
) -> io::Result<Option<[u8; 6]>> {
    // Before the first look, so that no news falls in between.
    let mut news = Netlink::new(NETLINK_ROUTE)?;
    news.bind(&NetlinkAddr::new(0, 0))?;
    news.add_membership(NEIGHBOURS)?;
    news.set_non_blocking(true)?;
    let prompt = Prompt::new(address, interface)?;
    let deadline = clock::now() + patience;
    let mut prompted = false;
    loop {
        let entry = look(address, interface.index)?;
        if let Some(found) = entry.and_then(Entry::usable) {
            if entry.is_some_and(|entry| entry.state == NeighbourState::Stale) {
                // The kernel would use it, and meanwhile ask whether it still holds.
                let _ = prompt.send();
            }
            return Ok(Some(found));
        }
        let now = clock::now();
        if now >= deadline {
            return Ok(None);
        }
        let resting = entry.is_none_or(|entry| entry.state != NeighbourState::Incomplete);
        if !prompted || resting {
            prompt.send()?;
            prompted = true;
        }
        wait(&news, LOOK.min(deadline.since(now)), address, interface.index)?;
    }
}

/// Waits for news of a neighbour, for `limit` at the longest.
fn wait(news: &Netlink, limit: Duration, address: IpAddr, interface: u32) -> io::Result<()> {
    let end = clock::now() + limit;
    loop {
        let left = end.since(clock::now());
        if left.is_zero() {
            return Ok(());
        }
        let mut set = [PollFd::new(news.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut set, Some(TimeSpec::from_duration(left)), None) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(0) => return Ok(()),
            Ok(_) => {}
        }
        let mut heard = Vec::new();
        match news.recv_from_full() {
            Ok((bytes, _)) => {
                unpack(&bytes, &mut heard)?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            // More news than there was room for: the table has it.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(()),
            Err(error) => return Err(error),
        }
        if heard.iter().any(|message| Entry::of(message, address, interface).is_some()) {
            return Ok(());
        }
    }
}

/// What the kernel knows of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    state: NeighbourState,
    hardware: Option<[u8; 6]>,
}

impl Entry {
    /// What a message says of the neighbour `address` on `interface`, if anything.
    fn of(message: &RouteNetlinkMessage, address: IpAddr, interface: u32) -> Option<Self> {
        let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
        if message.header.ifindex != interface {
            return None;
        }
        let (mut is_it, mut hardware) = (false, None);
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                    is_it = address == IpAddr::V4(*v4);
                }
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                    is_it = address == IpAddr::V6(*v6);
                }
                NeighbourAttribute::LinkLocalAddress(bytes) => {
                    hardware = bytes.as_slice().try_into().ok();
                }
                _ => {}
            }
        }
        is_it.then_some(Self { state: message.header.state, hardware })
    }

    /// Where the kernel would send to.
    const fn usable(self) -> Option<[u8; 6]> {
        use NeighbourState::{Delay, Noarp, Permanent, Probe, Reachable, Stale};
        match self.state {
            Reachable | Stale | Delay | Probe | Permanent | Noarp => self.hardware,
            _ => None,
        }
    }
}

fn look(address: IpAddr, interface: u32) -> io::Result<Option<Entry>> {
    let mut request = NeighbourMessage::default();
    request.header.family =
        if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let listed = dump(RouteNetlinkMessage::GetNeighbour(request))?;
    Ok(listed.iter().find_map(|message| Entry::of(message, address, interface)))
}

/// Makes the kernel ask for a neighbour.
struct Prompt {
    socket: Socket,
    to: socket2::SockAddr,
}

impl Prompt {
    fn new(address: IpAddr, interface: &Interface) -> io::Result<Self> {
        let to = socket_address(address, DISCARD, interface.index);
        let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
        // The neighbour of this very interface, also where the routing table would not look for it
        // here.
        socket.bind_device(Some(interface.name.as_bytes()))?;
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        socket.bind(&std::net::SocketAddr::new(any, 0).into())?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, to: to.into() })
    }

    fn send(&self) -> io::Result<()> {
        match self.socket.send_to(&[], &self.to) {
            Ok(_) => Ok(()),
            // An answer to the one before, such as a refusal; or it waits in the queue still.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::EAGAIN | libc::ENOBUFS)
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(state: NeighbourState, hardware: &[u8]) -> RouteNetlinkMessage {
        let mut message = NeighbourMessage::default();
        (message.header.ifindex, message.header.state) = (7, state);
        let address = NeighbourAddress::Inet(Ipv4Addr::new(192, 0, 2, 1));
        message.attributes.push(NeighbourAttribute::Destination(address));
        message.attributes.push(NeighbourAttribute::LinkLocalAddress(hardware.to_vec()));
        RouteNetlinkMessage::NewNeighbour(message)
    }

    fn usable(state: NeighbourState, hardware: &[u8]) -> Option<[u8; 6]> {
        let gateway = "192.0.2.1".parse().unwrap();
        Entry::of(&message(state, hardware), gateway, 7).unwrap().usable()
    }

    #[test]
    fn an_address_counts_where_the_kernel_itself_would_use_it() {
        let mac = [2, 0, 0, 0, 0, 9];
        for state in [NeighbourState::Reachable, NeighbourState::Stale, NeighbourState::Permanent] {
            assert_eq!(usable(state, &mac), Some(mac), "{state:?}");
        }
        for state in [NeighbourState::Failed, NeighbourState::Incomplete, NeighbourState::None] {
            assert_eq!(usable(state, &mac), None, "{state:?}");
        }
        assert_eq!(usable(NeighbourState::Reachable, &mac[..4]), None, "not of Ethernet's form");
    }

    #[test]
    fn others_neighbours_are_not_taken_for_it() {
        let message = message(NeighbourState::Reachable, &[2; 6]);
        assert!(Entry::of(&message, "192.0.2.2".parse().unwrap(), 7).is_none());
        assert!(Entry::of(&message, "192.0.2.1".parse().unwrap(), 8).is_none());
    }

    #[test]
    fn who_does_not_answer_is_named() {
        let said = |role, address: &str| {
            let address = address.parse().unwrap();
            NeighbourError::Silent { role, address, interface: "eth0".to_owned() }.to_string()
        };
        assert_eq!(
            said(Role::Gateway, "192.0.2.1"),
            "the gateway 192.0.2.1 does not answer ARP on eth0; `ip neighbour` shows who does"
        );
        assert!(
            said(Role::Target, "fe80::1")
                .starts_with("the target fe80::1 does not answer neighbour discovery on eth0;")
        );
    }
}
