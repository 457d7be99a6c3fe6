//! What a frame begins with on its way to a target.

use std::net::IpAddr;

use super::neighbour::{NeighbourError, Role, hardware_address};
use crate::net::linux::{LinkKind, Route};

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;

/// What every frame begins with, by IP version.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Headers {
    v4: Vec<u8>,
    v6: Vec<u8>,
}

impl Headers {
    /// Of a link without headers.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Of Ethernet, from `ours` to the next station of each IP version that is sent.
    #[must_use]
    pub fn ethernet(ours: [u8; 6], v4: Option<[u8; 6]>, v6: Option<[u8; 6]>) -> Self {
        let header = |to: Option<[u8; 6]>, v6| {
            to.map_or(Vec::new(), |to| ethernet(to, ours, protocol(v6)).to_vec())
        };
        Self { v4: header(v4, false), v6: header(v6, true) }
    }

    /// The header of one IP version; empty where the link has none, or none of it is sent.
    #[must_use]
    pub fn of(&self, v6: bool) -> &[u8] {
        if v6 { &self.v6 } else { &self.v4 }
    }

    /// Whether frames begin with their IP header.
    #[must_use]
    pub fn are_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// An Ethernet header.
pub(super) fn ethernet(to: [u8; 6], from: [u8; 6], protocol: u16) -> [u8; ETHERNET] {
    let mut header = [0; ETHERNET];
    header[..6].copy_from_slice(&to);
    header[6..12].copy_from_slice(&from);
    header[12..].copy_from_slice(&protocol.to_be_bytes());
    header
}

/// Where the IP header is in frames that begin with one of `headers`.
pub(super) fn offset(headers: &Headers) -> usize {
    headers.v4.len().max(headers.v6.len())
}

/// The `ETH_P_*` protocol of an IP version.
pub(super) const fn protocol(v6: bool) -> u16 {
    if v6 { libc::ETH_P_IPV6 as u16 } else { libc::ETH_P_IP as u16 }
}

/// Why frames cannot be made here: the reason that a way of frames is not offered. The raw sockets
/// remain, with which the kernel makes them.
#[derive(Debug, thiserror::Error)]
pub enum NoFrames {
    /// The loopback drops frames that its own routing has not seen.
    #[error("what stays on this host goes by its own routing")]
    Loopback,
    /// The targets are neighbours, each with its own hardware address.
    #[error("targets on {0} itself have each their own hardware address, which the kernel finds")]
    OnLink(String),
    /// Not every target leaves by one next station.
    #[error("not all targets have the same next station")]
    Several,
    /// The routing table sends some targets nowhere, or to everybody on a network.
    #[error("a frame would get to {0} against the routing table, which has no way for it")]
    NoWay(String),
    /// Not of Ethernet's form, and with a header.
    #[error("{0} has frames of a form that is not known here (ARPHRD {1})")]
    Form(String, u16),
    /// The next station does not answer.
    #[error(transparent)]
    Neighbour(#[from] NeighbourError),
}

/// The headers of frames that take `routes`, at most one of each IP version and all out of one
/// interface. `target` is the only one that there is, where that is so: then it may be a neighbour.
///
/// Asks the kernel to find the next stations' hardware addresses, and waits for them.
///
/// # Errors
/// [`NoFrames`].
pub fn headers(routes: &[&Route], target: Option<IpAddr>) -> Result<Headers, NoFrames> {
    let Some(first) = routes.first() else { return Ok(Headers::none()) };
    let name = || first.interface.name.clone();
    if routes.iter().any(|route| route.interface.index != first.interface.index) {
        return Err(NoFrames::Several);
    }
    match first.interface.link {
        _ if first.interface.is_loopback => Err(NoFrames::Loopback),
        LinkKind::Loopback => Err(NoFrames::Loopback),
        LinkKind::RawIp => Ok(Headers::none()),
        LinkKind::Other(form) => Err(NoFrames::Form(name(), form)),
        LinkKind::Ethernet => {
            let next = |v6: bool| {
                let route = routes.iter().find(|route| route.destination.is_ipv6() == v6);
                route.map(|route| station(route, target)).transpose()
            };
            let ours = first.interface.mac.unwrap_or_default();
            Ok(Headers::ethernet(ours, next(false)?, next(true)?))
        }
    }
}

/// The hardware address of the next station on a route.
fn station(route: &Route, target: Option<IpAddr>) -> Result<[u8; 6], NoFrames> {
    let (address, role) = match (route.gateway, target) {
        (Some(gateway), _) => (gateway, Role::Gateway),
        (None, Some(target)) => (target, Role::Target),
        (None, None) => return Err(NoFrames::OnLink(route.interface.name.clone())),
    };
    Ok(hardware_address(address, role, &route.interface)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::linux::Interface;

    fn route(link: LinkKind) -> Route {
        Route {
            destination: "198.51.100.7".parse().unwrap(),
            source: "192.0.2.1".parse().unwrap(),
            interface: Interface {
                name: "x0".to_owned(),
                index: 7,
                mtu: 1500,
                is_loopback: link == LinkKind::Loopback,
                link,
                mac: Some([2, 0, 0, 0, 0, 1]),
            },
            gateway: None,
            mtu: 1500,
            scope_id: 0,
            pinned: false,
        }
    }

    #[test]
    fn headers_say_where_to_and_which_protocol() {
        let headers = Headers::ethernet([1; 6], Some([2; 6]), None);
        assert_eq!(headers.of(false), [2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 8, 0]);
        assert!(headers.of(true).is_empty() && !headers.are_empty());
        assert_eq!(offset(&headers), 14);
        let headers = Headers::ethernet([1; 6], None, Some([3; 6]));
        assert_eq!(headers.of(true)[12..], [0x86, 0xdd]);
        assert!(Headers::none().are_empty());
    }

    #[test]
    fn where_no_frames_can_be_made_the_reason_is_said() {
        let on = |link| headers(&[&route(link)], None);
        assert!(on(LinkKind::RawIp).unwrap().are_empty());
        assert!(matches!(on(LinkKind::Loopback), Err(NoFrames::Loopback)));
        assert!(matches!(on(LinkKind::Other(801)), Err(NoFrames::Form(_, 801))));
        assert_eq!(
            on(LinkKind::Ethernet).unwrap_err().to_string(),
            "targets on x0 itself have each their own hardware address, which the kernel finds"
        );
        let mut elsewhere = route(LinkKind::Ethernet);
        elsewhere.interface.index = 8;
        let both = [&route(LinkKind::Ethernet), &elsewhere];
        assert!(matches!(headers(&both, None), Err(NoFrames::Several)));
    }
}
