//! A namespace whose only link is a TAP device, with a stack of its own behind it.

use super::Kind;
use crate::namespace::{Family, Namespace};
use crate::netlink;
use anyhow::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The name of the device.
pub(super) const TAP: &str = "tap0";
/// The stack's addresses.
pub(super) const HOST_ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
];
const OUR_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OUR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// The client's end of the device.
pub(super) struct Place {
    pub(super) client: Namespace,
}

impl Place {
    /// Gives the device in this namespace, which a stack has opened, our addresses.
    pub(super) fn around(client: Namespace) -> Result<Self> {
        client.within(|| {
            netlink::add_address(TAP, OUR_V4.into(), 24)?;
            netlink::add_address(TAP, OUR_V6.into(), 64)?;
            netlink::set_up(TAP)?;
            netlink::await_ready(TAP, OUR_V6)
        })?;
        Ok(Self { client })
    }

    /// The well-known port of a kind of server.
    pub(super) const fn port(kind: Kind) -> u16 {
        match kind {
            Kind::Echo => 7,
            Kind::Sink => 9,
            Kind::ClosesFirst => 13,
            Kind::Bulk => 19,
            Kind::Answers => 21,
            Kind::Http => 80,
        }
    }

    /// Where the stack has this server.
    pub(super) const fn server(family: Family, kind: Kind) -> SocketAddr {
        let [v4, v6] = HOST_ADDRESSES;
        let address = match family {
            Family::V4 => v4,
            Family::V6 => v6,
        };
        SocketAddr::new(address, Self::port(kind))
    }
}
