//! Which interface, source address and MTU lead to a target, by the kernel's own routing.

use std::fmt;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr as NetlinkAddr, protocols::NETLINK_ROUTE};
use nix::net::if_::if_nametoindex;

use super::guard::{is_link_local, socket_address};
use super::sys;

/// What the user wants of a route.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouteOptions {
    /// Send from this address, which must be one of this host's.
    pub source: Option<IpAddr>,
    /// Send through this interface, whatever the routing table says.
    pub interface: Option<String>,
    /// The interface index of a link-local IPv6 destination (`fe80::1%eth0`); 0 for none.
    pub scope_id: u32,
}

/// Mobile modems; `libc` does not have it.
const ARPHRD_RAWIP: u16 = 519;

/// The loopback's index in every network namespace.
const LOOPBACK: u32 = 1;

/// What an interface's frames look like.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LinkKind {
    /// Ethernet, or what presents itself as such: veth, bridges, Wi-Fi.
    Ethernet,
    /// The loopback, whose frames also have an Ethernet header.
    Loopback,
    /// No link header: tun, `WireGuard`, ppp.
    RawIp,
    /// Another hardware type, by its `ARPHRD_*` number.
    Other(u16),
}

impl From<u16> for LinkKind {
    fn from(hardware: u16) -> Self {
        match hardware {
            libc::ARPHRD_ETHER => Self::Ethernet,
            libc::ARPHRD_LOOPBACK => Self::Loopback,
            libc::ARPHRD_NONE | libc::ARPHRD_PPP | libc::ARPHRD_TUNNEL | ARPHRD_RAWIP => {
                Self::RawIp
            }
            other => Self::Other(other),
        }
    }
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index, from 1.
    pub index: u32,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Whether it is a loopback.
    pub is_loopback: bool,
    /// What its frames look like.
    pub link: LinkKind,
    /// Its hardware address, where it has one of Ethernet's form.
    pub mac: Option<[u8; 6]>,
}

impl Interface {
    /// Looks up an interface by its index.
    ///
    /// # Errors
    /// There is none, or the kernel does not say.
    pub fn by_index(index: u32) -> io::Result<Self> {
        // By ioctl, not from /sys, which shows the network namespace that it was mounted in.
        // Any socket will do; this one needs no address family of the network.
        let socket = UnixDatagram::unbound()?;
        let fd = socket.as_fd();
        let name = sys::interface_name(index)?;
        let (hardware, address) = sys::interface_hardware(fd, &name)?;
        let link = LinkKind::from(hardware);
        let is_loopback = sys::interface_flags(fd, &name)? & libc::IFF_LOOPBACK != 0;
        let mac = (link == LinkKind::Ethernet).then_some(address);
        Ok(Self { mtu: sys::interface_mtu(fd, &name)?, name, index, is_loopback, link, mac })
    }
}

impl Interface {
    /// Looks up an interface by its name.
    ///
    /// # Errors
    /// [`RouteError::NoSuchInterface`].
    pub fn by_name(name: &str) -> Result<Self, RouteError> {
        let missing = || RouteError::NoSuchInterface(name.to_owned());
        let index = if_nametoindex(name).map_err(|_| missing())?;
        Self::by_index(index).map_err(|_| missing())
    }
}

/// The way to a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The target.
    pub destination: IpAddr,
    /// Our address on the way to it.
    pub source: IpAddr,
    /// The interface.
    pub interface: Interface,
    /// The next router; `None` where the target is a neighbour or this host itself.
    pub gateway: Option<IpAddr>,
    /// The MTU of the way as far as this host knows it, in bytes: the interface's, or less.
    pub mtu: u32,
    /// The interface index where an address of either end is link-local IPv6; otherwise 0.
    pub scope_id: u32,
    /// Whether the user named the interface, so that nothing may leave by another. Never for
    /// what stays on this host.
    pub pinned: bool,
}

/// Why there is no way to a target.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The destination is not one host.
    #[error("{0} is {1}; a TCP connection needs the address of one host")]
    NotOneHost(IpAddr, &'static str),
    /// The source is not an address of this host.
    #[error("{0} is not an address of this host; choose one that `ip address` shows")]
    SourceNotOurs(IpAddr),
    /// The source is a loopback address, and the destination is not this host.
    #[error("source {0} reaches nothing but this host, and {1} is not on it")]
    SourceIsLoopback(IpAddr, IpAddr),
    /// The loopback is named for a destination that is not this host.
    #[error("{0} is not an address of this host, and nothing else is reached through lo")]
    NotOnLoopback(IpAddr),
    /// The source is of the other family.
    #[error("source {0} and target {1} are not of the same IP version; choose -4 or -6")]
    FamiliesDiffer(IpAddr, IpAddr),
    /// No interface has this name.
    #[error("no interface is called {0:?}; `ip link` lists them")]
    NoSuchInterface(String),
    /// The interface is there, and down.
    #[error("interface {0} is down; bring it up with `ip link set {0} up`")]
    InterfaceDown(String),
    /// A link-local address without its interface.
    #[error("{0} is link-local and needs its interface: write {0}%eth0, or use --interface")]
    ScopeMissing(IpAddr),
    /// A link-local source address without its interface.
    #[error("{0} is link-local and needs its interface: name it with --interface")]
    SourceScopeMissing(IpAddr),
    /// This host has no IPv6 at all.
    #[error("cannot reach {0}: this host has no IPv6; use -4 or an IPv4 address")]
    NoIpv6(IpAddr),
    /// The routing table has nothing for the target.
    #[error("no route to {0}; `ip route` shows what this host can reach")]
    Unreachable(IpAddr),
    /// The routing table forbids the target.
    #[error("the routing table of this host prohibits {0}; see `ip route get {0}`")]
    Prohibited(IpAddr),
    /// The kernel failed to answer.
    #[error("cannot look up the route to {destination}")]
    Io {
        /// The target.
        destination: IpAddr,
        /// What went wrong.
        source: io::Error,
    },
}

/// Looks up the way to `destination`.
///
/// # Errors
/// [`RouteError`].
pub fn route_to(destination: IpAddr, options: &RouteOptions) -> Result<Route, RouteError> {
    check_destination(destination)?;
    let interface = match &options.interface {
        Some(name) => {
            if_nametoindex(name.as_str()).map_err(|_| RouteError::NoSuchInterface(name.clone()))?
        }
        None => options.scope_id,
    };
    if interface == 0 && matches!(destination, IpAddr::V6(v6) if is_link_local(v6)) {
        return Err(RouteError::ScopeMissing(destination));
    }
    if let Some(source) = options.source {
        check_source(source, destination, interface)?;
    }
    // Named for an address of ours that belongs to another interface, the loopback would be taken as
    // a link like any other, and what is sent over it would be dropped on arrival.
    let through_loopback = interface == LOOPBACK;
    let asked = if through_loopback { 0 } else { interface };
    let found = ask_kernel(destination, options.source, asked)
        .map_err(|error| refused(error, destination, options))?;
    if through_loopback && !found.is_local {
        return Err(RouteError::NotOnLoopback(destination));
    }
    let failed = |source| RouteError::Io { destination, source };
    let interface = Interface::by_index(found.interface).map_err(failed)?;
    match options.source {
        Some(source) if source.is_loopback() && !found.is_local => {
            return Err(RouteError::SourceIsLoopback(source, destination));
        }
        _ => {}
    }
    // Packets to a link-local address of ours go over the loopback, but it is valid where it was
    // assigned.
    let scope = if asked == 0 { interface.index } else { asked };
    let needs_scope = [Some(destination), options.source, found.source]
        .into_iter()
        .flatten()
        .any(|address| matches!(address, IpAddr::V6(v6) if is_link_local(v6)));
    let scope_id = if needs_scope { scope } else { 0 };
    let source = match options.source.or(found.source) {
        Some(source) => source,
        None => source_by_connecting(destination, scope_id).map_err(failed)?,
    };
    Ok(Route {
        destination,
        source,
        gateway: found.gateway,
        mtu: found.mtu.map_or(interface.mtu, |mtu| mtu.min(interface.mtu)),
        pinned: options.interface.is_some() && !found.is_local,
        interface,
        scope_id,
    })
}

fn check_destination(destination: IpAddr) -> Result<(), RouteError> {
    let what = match destination {
        _ if destination.is_multicast() => "a multicast address",
        _ if destination.is_unspecified() => "the unspecified address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        _ => return Ok(()),
    };
    Err(RouteError::NotOneHost(destination, what))
}

/// The kernel accepts a foreign source where an interface is named, so it is tried out.
fn check_source(source: IpAddr, destination: IpAddr, scope_id: u32) -> Result<(), RouteError> {
    if source.is_ipv4() != destination.is_ipv4() {
        return Err(RouteError::FamiliesDiffer(source, destination));
    }
    match UdpSocket::bind(socket_address(source, 0, scope_id)) {
        _ if source.is_multicast() || source.is_unspecified() => {
            Err(RouteError::SourceNotOurs(source))
        }
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            Err(RouteError::NoIpv6(destination))
        }
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) && scope_id == 0 => {
            Err(RouteError::SourceScopeMissing(source))
        }
        Err(_) => Err(RouteError::SourceNotOurs(source)),
    }
}

/// What the kernel says when no source address comes with the route.
fn source_by_connecting(destination: IpAddr, scope_id: u32) -> io::Result<IpAddr> {
    let any: IpAddr = match destination {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Sends nothing: a UDP connect only chooses the route. Port 9 is "discard".
    socket.connect(socket_address(destination, 9, scope_id))?;
    Ok(socket.local_addr()?.ip())
}

/// The kernel's refusal in our words.
fn refused(error: io::Error, destination: IpAddr, options: &RouteOptions) -> RouteError {
    match (error.raw_os_error(), options) {
        (Some(libc::EPROTOTYPE), _) => {
            RouteError::NotOneHost(destination, "the broadcast address of a network")
        }
        (_, RouteOptions { interface: Some(name), .. }) if is_down(name) => {
            RouteError::InterfaceDown(name.clone())
        }
        (Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ESRCH), _)
            if destination.is_ipv6() && !has_ipv6() =>
        {
            RouteError::NoIpv6(destination)
        }
        (Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP), _) if destination.is_ipv6() => {
            RouteError::NoIpv6(destination)
        }
        (Some(libc::ENODEV), RouteOptions { interface: Some(name), .. }) => {
            RouteError::NoSuchInterface(name.clone())
        }
        // A new network namespace has a loopback that is down, and then not even itself to talk to.
        (Some(libc::ENETUNREACH), _) if destination.is_loopback() => {
            RouteError::InterfaceDown("lo".to_owned())
        }
        (Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ESRCH | libc::ENETDOWN), _) => {
            RouteError::Unreachable(destination)
        }
        (Some(libc::EACCES | libc::EPERM), _) => RouteError::Prohibited(destination),
        (Some(libc::EINVAL), RouteOptions { source: Some(source), .. }) if source.is_loopback() => {
            RouteError::SourceIsLoopback(*source, destination)
        }
        (Some(libc::EINVAL), RouteOptions { source: Some(source), .. }) => {
            RouteError::SourceNotOurs(*source)
        }
        (Some(libc::EINVAL), _) => RouteError::Unreachable(destination),
        _ => RouteError::Io { destination, source: error },
    }
}

fn is_down(interface: &str) -> bool {
    UnixDatagram::unbound()
        .and_then(|socket| sys::interface_flags(socket.as_fd(), interface))
        .is_ok_and(|flags| flags & libc::IFF_UP == 0)
}

/// Whether any interface has an IPv6 address, the loopback's included.
fn has_ipv6() -> bool {
    std::fs::read_to_string("/proc/thread-self/net/if_inet6").is_ok_and(|text| !text.is_empty())
}

/// What the kernel answers about a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Answer {
    pub(super) interface: u32,
    pub(super) source: Option<IpAddr>,
    pub(super) gateway: Option<IpAddr>,
    mtu: Option<u32>,
    /// Whether the destination is this host.
    pub(super) is_local: bool,
}

/// Asks by `RTM_GETROUTE`; `interface` 0 leaves the choice to the kernel.
pub(super) fn ask_kernel(
    destination: IpAddr,
    source: Option<IpAddr>,
    interface: u32,
) -> io::Result<Answer> {
    let mut request = RouteMessage::default();
    let whole = if destination.is_ipv4() { 32 } else { 128 };
    request.header.address_family =
        if destination.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    request.header.destination_prefix_length = whole;
    request.attributes.push(RouteAttribute::Destination(destination.into()));
    if let Some(source) = source {
        request.header.source_prefix_length = whole;
        request.attributes.push(RouteAttribute::Source(source.into()));
    }
    if interface != 0 {
        request.attributes.push(RouteAttribute::Oif(interface));
    }
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, RouteNetlinkMessage::GetRoute(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (reply, _) = socket.recv_from_full()?;
    let reply = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&reply)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    match reply.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => read_answer(&route),
        NetlinkPayload::Error(error) => {
            Err(io::Error::from_raw_os_error(error.raw_code().saturating_abs()))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "an unexpected netlink answer")),
    }
}

fn read_answer(route: &RouteMessage) -> io::Result<Answer> {
    match route.header.kind {
        RouteType::Unicast | RouteType::Local => {}
        RouteType::Prohibit => return Err(io::Error::from_raw_os_error(libc::EACCES)),
        // The code that connect() gives for a broadcast address.
        RouteType::Broadcast => return Err(io::Error::from_raw_os_error(libc::EPROTOTYPE)),
        _ => return Err(io::Error::from_raw_os_error(libc::ENETUNREACH)),
    }
    let is_local = route.header.kind == RouteType::Local;
    let mut answer = Answer { is_local, ..Answer::default() };
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => answer.interface = *index,
            RouteAttribute::PrefSource(address) => answer.source = ip(address),
            RouteAttribute::Gateway(address) => answer.gateway = ip(address),
            RouteAttribute::Via(RouteVia::Inet(address)) => {
                answer.gateway = Some((*address).into());
            }
            RouteAttribute::Via(RouteVia::Inet6(address)) => {
                answer.gateway = Some((*address).into());
            }
            RouteAttribute::Metrics(metrics) => {
                answer.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Ok(answer)
}

pub(super) const fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

/// `eth0 192.0.2.1 -> 198.51.100.7 via 192.0.2.254, mtu 1500`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.interface.name, self.source, self.destination)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        write!(f, ", mtu {}", self.mtu)
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
