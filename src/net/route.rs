//! Which way to a target: the kernel's own answer, by rtnetlink.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket as NetlinkSocket, SocketAddr as NetlinkAddr, protocols::NETLINK_ROUTE};
use nix::net::if_::{if_indextoname, if_nametoindex};
use pnet::datalink;
use socket2::{Domain, Socket, Type};

use super::sys;

/// The number of the loopback interface in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;
/// `if_arp.h`: bare IP, as some modems do it.
const ARPHRD_RAWIP: u16 = 519;
/// Room for one answer of the kernel's.
const ANSWER: usize = 8192;

/// What a user may fix of a route.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouteOptions {
    /// The source address, one of this host's.
    pub source: Option<IpAddr>,
    /// The interface's name.
    pub interface: Option<String>,
    /// The interface's number that a link-local target names; 0 for others.
    pub scope_id: u32,
}

/// What kind of link an interface is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// Ethernet, and whatever looks like it: Wi-Fi, veth, bridges.
    Ethernet,
    /// The host itself.
    Loopback,
    /// Bare IP packets: tun, ppp, WireGuard.
    RawIp,
    /// Another ARPHRD value.
    Other(u16),
}

/// The way to a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The target.
    pub destination: IpAddr,
    /// Our address.
    pub source: IpAddr,
    /// The interface's name.
    pub interface: String,
    /// The interface's number.
    pub index: u32,
    /// The link.
    pub link: LinkKind,
    /// The router, unless the target is on the link.
    pub gateway: Option<IpAddr>,
    /// The largest packet for this way, in bytes: the route's MTU, or the interface's.
    pub mtu: u32,
    /// The interface that a link-local address is valid on; 0 for others.
    pub scope_id: u32,
}

/// Why there is no way.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The interface does not exist.
    #[error("there is no interface '{0}': 'ip link' lists those that are")]
    NoSuchInterface(String),
    /// The source address is not one of this host's.
    #[error("{0} is not an address of this host: 'ip address' lists those that are")]
    SourceNotOurs(IpAddr),
    /// Source and target are of two families.
    #[error(
        "{source_address} cannot be the source of packets to {target}: one is IPv4, the other IPv6"
    )]
    Families {
        /// The source asked for.
        source_address: IpAddr,
        /// The target.
        target: IpAddr,
    },
    /// The kernel has no route.
    #[error("there is no route to {target}: {why}")]
    Unreachable {
        /// The target.
        target: IpAddr,
        /// What the kernel says, in words.
        why: &'static str,
    },
    /// Not a host.
    #[error("{target} is {what}, not a host: name one host")]
    NotAHost {
        /// The target.
        target: IpAddr,
        /// What it is.
        what: &'static str,
    },
    /// The look-up itself failed.
    #[error("cannot look up the route to {target}")]
    Lookup {
        /// The target.
        target: IpAddr,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Asks the kernel for the way to `target`.
///
/// # Errors
/// [`RouteError`], each in one line with its remedy.
pub fn route_to(target: IpAddr, options: &RouteOptions) -> Result<Route, RouteError> {
    refuse_groups(target)?;
    let asked = match &options.interface {
        Some(name) => Some(
            if_nametoindex(name.as_str()).map_err(|_| RouteError::NoSuchInterface(name.clone()))?,
        ),
        None => Some(options.scope_id).filter(|scope| *scope != 0),
    };
    if let Some(source) = options.source {
        check_source(source, target)?;
    }
    let message = ask(target, options.source, asked)?;
    read(target, &message, options, asked)
}

fn refuse_groups(target: IpAddr) -> Result<(), RouteError> {
    let broadcast = matches!(target, IpAddr::V4(v4) if v4.is_broadcast());
    let what = match target {
        _ if target.is_multicast() => "a multicast group",
        _ if target.is_unspecified() => "no address at all",
        _ if broadcast => "the broadcast address",
        _ => return Ok(()),
    };
    Err(RouteError::NotAHost { target, what })
}

fn check_source(source: IpAddr, target: IpAddr) -> Result<(), RouteError> {
    if source.is_ipv4() != target.is_ipv4() {
        return Err(RouteError::Families { source_address: source, target });
    }
    // All of 127.0.0.0/8 is this host, though only 127.0.0.1 is on the list.
    let listed =
        || datalink::interfaces().iter().any(|card| card.ips.iter().any(|net| net.ip() == source));
    if source.is_loopback() || listed() { Ok(()) } else { Err(RouteError::SourceNotOurs(source)) }
}

/// RTM_GETROUTE.
fn ask(
    target: IpAddr,
    source: Option<IpAddr>,
    interface: Option<u32>,
) -> Result<RouteMessage, RouteError> {
    let failed = |source: io::Error| match source.raw_os_error() {
        Some(libc::ENETUNREACH) => no_route(target),
        Some(libc::EHOSTUNREACH) => {
            RouteError::Unreachable { target, why: "this host's own table says 'unreachable'" }
        }
        Some(libc::EACCES) => {
            RouteError::Unreachable { target, why: "this host's own table says 'prohibit'" }
        }
        Some(libc::EINVAL) => {
            RouteError::Unreachable { target, why: "this host's own table says 'blackhole'" }
        }
        _ => RouteError::Lookup { target, source },
    };
    let mut query = RouteMessage::default();
    query.header.address_family =
        if target.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    query.header.destination_prefix_length = if target.is_ipv4() { 32 } else { 128 };
    query.attributes.push(RouteAttribute::Destination(target.into()));
    if let Some(source) = source {
        query.header.source_prefix_length = query.header.destination_prefix_length;
        query.attributes.push(RouteAttribute::Source(source.into()));
    }
    if let Some(index) = interface {
        query.attributes.push(RouteAttribute::Oif(index));
    }
    // A local or prohibited target shall say so instead of the route to its network.
    query.header.flags = RouteFlags::empty();
    exchange(query).map_err(failed)
}

/// The plain case of having no route, with a guess at the reason that is right for most.
fn no_route(target: IpAddr) -> RouteError {
    let usable = |ip: IpAddr| !ip.is_loopback() && !is_link_local(ip);
    let has_family = datalink::interfaces()
        .iter()
        .flat_map(|card| card.ips.iter())
        .any(|net| net.ip().is_ipv4() == target.is_ipv4() && usable(net.ip()));
    let why = match (has_family, target.is_ipv4()) {
        (true, _) => "'ip route' shows what this host can reach",
        (false, true) => "this host has no IPv4 address but loopback's: try -6",
        (false, false) => "this host has no IPv6 address but loopback's: try -4",
    };
    RouteError::Unreachable { target, why }
}

const fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn exchange(query: RouteMessage) -> io::Result<RouteMessage> {
    let socket = NetlinkSocket::new(NETLINK_ROUTE)?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let payload = NetlinkPayload::from(RouteNetlinkMessage::GetRoute(query));
    let mut packet = NetlinkMessage::new(header, payload);
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answer = Vec::with_capacity(ANSWER);
    socket.recv(&mut answer, 0)?;
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    match message.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => Ok(route),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not the answer to a route look-up")),
    }
}

/// Makes sense of the kernel's answer.
fn read(
    target: IpAddr,
    message: &RouteMessage,
    options: &RouteOptions,
    asked: Option<u32>,
) -> Result<Route, RouteError> {
    match message.header.kind {
        RouteType::Broadcast => {
            return Err(RouteError::NotAHost { target, what: "a broadcast address" });
        }
        RouteType::Multicast => {
            return Err(RouteError::NotAHost { target, what: "a multicast group" });
        }
        RouteType::Unreachable | RouteType::BlackHole | RouteType::Prohibit | RouteType::Throw => {
            return Err(no_route(target));
        }
        _ => {}
    }
    let lookup = |source: io::Error| RouteError::Lookup { target, source };
    let (mut index, mut source, mut gateway, mut route_mtu) = (None, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(value) => index = Some(*value),
            RouteAttribute::PrefSource(address) => source = ip_of(address),
            RouteAttribute::Gateway(address) => gateway = ip_of(address),
            RouteAttribute::Metrics(metrics) => {
                route_mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    let index = index.or(asked).ok_or_else(|| no_route(target))?;
    // A route to ourselves names the interface that has the address, but the packets go over
    // loopback.
    let index = if message.header.kind == RouteType::Local { LOOPBACK } else { index };
    let source = options.source.or(source).ok_or_else(|| no_route(target))?;
    let name = if_indextoname(index).map_err(|errno| lookup(errno.into()))?;
    let interface = name.to_string_lossy().into_owned();
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).map_err(lookup)?;
    let link_mtu = sys::interface_mtu(socket.as_fd(), &interface).map_err(lookup)?;
    let link = match sys::interface_link(socket.as_fd(), &interface).map_err(lookup)? {
        libc::ARPHRD_ETHER => LinkKind::Ethernet,
        libc::ARPHRD_LOOPBACK => LinkKind::Loopback,
        libc::ARPHRD_NONE | libc::ARPHRD_PPP | ARPHRD_RAWIP => LinkKind::RawIp,
        other => LinkKind::Other(other),
    };
    Ok(Route {
        destination: target,
        source,
        interface,
        index,
        link,
        gateway,
        mtu: route_mtu.map_or(link_mtu, |mtu| mtu.min(link_mtu)),
        scope_id: if is_link_local(target) { index } else { 0 },
    })
}

fn ip_of(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(target: &str) -> Result<Route, RouteError> {
        route_to(target.parse().unwrap(), &RouteOptions::default())
    }

    #[test]
    fn the_way_to_ourselves_is_loopback() {
        let route = route("127.0.0.1").unwrap();
        assert_eq!((route.interface.as_str(), route.link), ("lo", LinkKind::Loopback));
        assert_eq!((route.source, route.gateway), ("127.0.0.1".parse().unwrap(), None));
    }

    #[test]
    fn groups_are_no_hosts() {
        for target in ["224.0.0.1", "ff02::1", "255.255.255.255", "0.0.0.0", "::"] {
            assert!(matches!(route(target), Err(RouteError::NotAHost { .. })), "{target}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let interface = Some("nosuch0".to_owned());
        let options = RouteOptions { interface, ..RouteOptions::default() };
        let error = route_to("127.0.0.1".parse().unwrap(), &options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no interface 'nosuch0': 'ip link' lists those that are"
        );
        let source = Some("192.0.2.99".parse().unwrap());
        let options = RouteOptions { source, ..RouteOptions::default() };
        let error = route_to("127.0.0.1".parse().unwrap(), &options).unwrap_err();
        assert!(matches!(error, RouteError::SourceNotOurs(_)), "{error}");
    }
}
