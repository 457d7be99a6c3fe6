//! Netlink messages, made by hand: links, addresses and offload switches without `ip` or `ethtool`.
//!
//! Independent of the code under test on purpose, and small enough not to need typed messages.

use crate::patience;
use anyhow::{Context, Result, bail};
use netlink_sys::{Socket, SocketAddr, protocols};
use nix::errno::Errno;
use nix::net::if_::InterfaceFlags;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE_EXCL: u16 = 0x600;
const NLA_F_NESTED: u16 = 0x8000;
const NLMSG_ERROR: u16 = 2;

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTA_DST: u16 = 1;
const RTA_GATEWAY: u16 = 5;
const RTA_OIF: u16 = 4;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const OWN_INDEX: u32 = 12;
pub(crate) const PEER_INDEX: u32 = 13;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
/// No duplicate address detection: the address is usable at once.
const IFA_F_NODAD: u32 = 2;

const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const ETHTOOL_MSG_FEATURES_SET: u8 = 12;
const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_FEATURES_WANTED: u16 = 3;
const ETHTOOL_A_HEADER_DEV_NAME: u16 = 2;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BITS_BIT: u16 = 1;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;

/// The payload of a message, or of a nested attribute: fixed part first, then attributes.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn fixed(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    fn nest(self, kind: u16, inner: Self) -> Self {
        self.attribute(kind | NLA_F_NESTED, &inner.0)
    }
}

/// Sends one message in this thread's namespace and gives the payload of the first answer; of a
/// plain acknowledgment, nothing.
fn request(protocol: isize, kind: u16, flags: u16, body: &Body) -> Result<Vec<u8>> {
    let mut socket = Socket::new(protocol).context("netlink socket")?;
    socket.bind_auto().context("netlink bind")?;
    let length = u32::try_from(16 + body.0.len())?;
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    message.extend(1u32.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(&body.0);
    socket.send_to(&message, &SocketAddr::new(0, 0), 0).context("netlink send")?;
    let (answer, _) = socket.recv_from_full().context("netlink receive")?;
    let answer_kind = answer.get(4..6).context("short netlink answer")?;
    if answer_kind == NLMSG_ERROR.to_ne_bytes() {
        let code = answer.get(16..20).context("short netlink error")?;
        let code = i32::from_ne_bytes([code[0], code[1], code[2], code[3]]);
        if code != 0 {
            bail!("{}", Errno::from_raw(-code));
        }
        return Ok(Vec::new());
    }
    Ok(answer[16..].to_vec())
}

fn link_message(index: u32, flags: u32, change: u32) -> Body {
    let mut fixed = vec![0u8; 4];
    fixed.extend(index.to_ne_bytes());
    fixed.extend(flags.to_ne_bytes());
    fixed.extend(change.to_ne_bytes());
    Body::fixed(&fixed)
}

fn index_of(name: &str) -> Result<u32> {
    nix::net::if_::if_nametoindex(name).with_context(|| format!("interface {name}"))
}

/// Makes a veth pair: `name` in this thread's namespace, `peer` in the one behind `peer_ns`.
///
/// Their numbers differ on purpose. Were they equal, the kernel would take the devices for ordinary
/// ones (`linkwatch_urgent_event`) and activate the first up to a second after its carrier came;
/// until then it would lose every packet.
pub(crate) fn add_veth(name: &str, peer: &str, peer_ns: i32) -> Result<()> {
    add_veth_to(name, (peer, PEER_INDEX), peer_ns)
}

/// The same, where the number of `peer` is to be another one than usual.
pub(crate) fn add_veth_to(name: &str, (peer, index): (&str, u32), peer_ns: i32) -> Result<()> {
    let peer_link = link_message(index, 0, 0)
        .text(IFLA_IFNAME, peer)
        .attribute(IFLA_NET_NS_FD, &peer_ns.to_ne_bytes());
    let info = Body::default()
        .text(IFLA_INFO_KIND, "veth")
        .nest(IFLA_INFO_DATA, Body::default().nest(VETH_INFO_PEER, peer_link));
    let body = link_message(OWN_INDEX, 0, 0).text(IFLA_IFNAME, name).nest(IFLA_LINKINFO, info);
    request(protocols::NETLINK_ROUTE, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE_EXCL, &body)
        .with_context(|| format!("cannot create the veth pair {name}/{peer}"))?;
    Ok(())
}

/// Sets an interface of this thread's namespace up.
pub(crate) fn set_up(name: &str) -> Result<()> {
    let body = link_message(index_of(name)?, 1, 1);
    request(protocols::NETLINK_ROUTE, RTM_NEWLINK, NLM_F_ACK, &body)
        .with_context(|| format!("cannot set {name} up"))?;
    Ok(())
}

/// Sets an interface of this thread's namespace down.
pub(crate) fn set_down(name: &str) -> Result<()> {
    let body = link_message(index_of(name)?, 0, 1);
    request(protocols::NETLINK_ROUTE, RTM_NEWLINK, NLM_F_ACK, &body)
        .with_context(|| format!("cannot set {name} down"))?;
    Ok(())
}

/// Waits until an interface of this thread's namespace carries packets and answers for `address`.
pub(crate) fn await_ready(name: &str, address: Ipv6Addr) -> Result<()> {
    await_carrier(name)?;
    // Addresses come into use, and neighbours' questions are heard, from a work queue; a question
    // that comes too early is repeated a second later.
    let [.., one, two, three] = address.octets();
    let group = format!("ff0200000000000000000001ff{one:02x}{two:02x}{three:02x}");
    patience::until("its IPv6 addresses", || {
        let addresses = fs::read_to_string("/proc/thread-self/net/if_inet6")?;
        let mut flags = addresses.lines().filter(|line| line.ends_with(name));
        let tentative = flags.any(|line| line.split_whitespace().nth(4).is_some_and(is_tentative));
        let link_local = addresses.lines().any(|line| line.starts_with("fe80"));
        let groups = fs::read_to_string("/proc/thread-self/net/igmp6")?;
        Ok(!tentative && link_local && groups.contains(&group))
    })
}

fn is_tentative(flags: &str) -> bool {
    const IFA_F_TENTATIVE: u8 = 0x40;
    u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & IFA_F_TENTATIVE != 0)
}

/// Waits until an interface of this thread's namespace carries packets.
pub(crate) fn await_carrier(name: &str) -> Result<()> {
    patience::until("the carrier", || {
        let mut addresses = nix::ifaddrs::getifaddrs()?;
        let running = InterfaceFlags::IFF_RUNNING;
        Ok(addresses.any(|one| one.interface_name == name && one.flags.contains(running)))
    })?;
    // The flag comes a moment before the queue is there, but under the same lock as this.
    set_up(name)
}

/// Gives an interface of this thread's namespace an address, usable at once.
pub(crate) fn add_address(name: &str, address: IpAddr, prefix: u8) -> Result<()> {
    let (family, bytes) = family_and_octets(address);
    let mut fixed = vec![family, prefix, 0, 0];
    fixed.extend(index_of(name)?.to_ne_bytes());
    let body = Body::fixed(&fixed)
        .attribute(IFA_ADDRESS, &bytes)
        .attribute(IFA_LOCAL, &bytes)
        .attribute(IFA_FLAGS, &IFA_F_NODAD.to_ne_bytes());
    request(protocols::NETLINK_ROUTE, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE_EXCL, &body)
        .with_context(|| format!("cannot give {name} the address {address}"))?;
    Ok(())
}

/// Where a route of this thread's namespace leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum To {
    /// To this router.
    Gateway(IpAddr),
    /// To this host, which has all addresses of the network without being given each (AnyIP).
    Here,
}

/// Adds a route to a network.
pub(crate) fn add_route(network: IpAddr, prefix: u8, to: To) -> Result<()> {
    const MAIN: (u8, u8, u8) = (254, 0, 1);
    const LOCAL: (u8, u8, u8) = (255, 254, 2);
    const STATIC: u8 = 4;
    let (family, bytes) = family_and_octets(network);
    let (table, scope, kind) = if to == To::Here { LOCAL } else { MAIN };
    let mut fixed = vec![family, prefix, 0, 0, table, STATIC, scope, kind];
    fixed.extend(0u32.to_ne_bytes());
    let body = Body::fixed(&fixed).attribute(RTA_DST, &bytes);
    let body = match to {
        To::Gateway(router) => body.attribute(RTA_GATEWAY, &family_and_octets(router).1),
        To::Here => body.attribute(RTA_OIF, &index_of("lo")?.to_ne_bytes()),
    };
    request(protocols::NETLINK_ROUTE, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE_EXCL, &body)
        .with_context(|| format!("cannot route {network}/{prefix} {to:?}"))?;
    Ok(())
}

fn family_and_octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (2, v4.octets().to_vec()),
        IpAddr::V6(v6) => (10, v6.octets().to_vec()),
    }
}

/// Makes the kernel finish every checksum before it hands a packet to this interface, so that a
/// capture can judge them all.
pub(crate) fn checksum_offload_off(name: &str) -> Result<()> {
    let family = request(
        protocols::NETLINK_GENERIC,
        GENL_ID_CTRL,
        0,
        &Body::fixed(&[CTRL_CMD_GETFAMILY, 1, 0, 0]).text(CTRL_ATTR_FAMILY_NAME, "ethtool"),
    )
    .context("this kernel has no ethtool over netlink")?;
    let id = attribute(family.get(4..).unwrap_or_default(), CTRL_ATTR_FAMILY_ID)
        .and_then(|value| Some(u16::from_ne_bytes([*value.first()?, *value.get(1)?])))
        .context("the ethtool family has no number")?;
    // A feature named without a value is to be switched off.
    let feature = Body::default().text(ETHTOOL_A_BITSET_BIT_NAME, "tx-checksum-ip-generic");
    let body = Body::fixed(&[ETHTOOL_MSG_FEATURES_SET, 1, 0, 0])
        .nest(ETHTOOL_A_FEATURES_HEADER, Body::default().text(ETHTOOL_A_HEADER_DEV_NAME, name))
        .nest(
            ETHTOOL_A_FEATURES_WANTED,
            Body::default().nest(
                ETHTOOL_A_BITSET_BITS,
                Body::default().nest(ETHTOOL_A_BITSET_BITS_BIT, feature),
            ),
        );
    request(protocols::NETLINK_GENERIC, id, NLM_F_ACK, &body)
        .with_context(|| format!("cannot switch checksum offload of {name} off"))?;
    Ok(())
}

/// The value of the first attribute of this kind.
fn attribute(mut bytes: &[u8], kind: u16) -> Option<&[u8]> {
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let this = u16::from_ne_bytes([bytes[2], bytes[3]]);
        if this == kind {
            return bytes.get(4..length);
        }
        bytes = bytes.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}
