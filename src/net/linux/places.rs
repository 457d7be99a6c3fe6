//! The addresses that this host has.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

use super::guard::is_link_local;
use super::route::Interface;

/// Where an address of this host is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The interface that has it.
    pub interface: String,
    /// The interface's index.
    pub index: u32,
    /// The interface's index where the address is link-local IPv6; otherwise 0.
    pub scope_id: u32,
}

impl Place {
    /// The interface in full; `None` where it is gone.
    #[must_use]
    pub fn look(&self) -> Option<Interface> {
        Interface::by_index(self.index).ok()
    }
}

/// Every address of this host, and where it is. Empty where the kernel does not say.
#[must_use]
pub fn of_this_host() -> BTreeMap<IpAddr, Place> {
    let mut places = BTreeMap::new();
    for entry in getifaddrs().into_iter().flatten() {
        let Some(address) = entry.address else { continue };
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
        let Some(ip) = v4.or(v6) else { continue };
        let Ok(index) = if_nametoindex(entry.interface_name.as_str()) else { continue };
        let scoped = matches!(ip, IpAddr::V6(v6) if is_link_local(v6));
        let scope_id = if scoped { index } else { 0 };
        places.insert(ip, Place { interface: entry.interface_name, index, scope_id });
    }
    places
}
