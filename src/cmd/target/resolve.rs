//! From a target to the addresses that it stands for.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};

use thiserror::Error;

use super::{Host, Target};
use crate::cmd::line::escaped;

/// Which addresses are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// Either.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    const fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    /// Its name, the option that asks for it, and the name of the other.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Any => ("IP", "", "IP"),
            Self::V4 => ("IPv4", "-4", "IPv6"),
            Self::V6 => ("IPv6", "-6", "IPv4"),
        }
    }
}

/// Why a target has no usable address, in one line for the user.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum ResolveError {
    #[error("cannot resolve '{}': {why}", escaped(.name))]
    Lookup { name: String, why: String },
    #[error("'{}' has no {} address, only {}: leave out {}", escaped(.name),
            .family.words().0, .family.words().2, .family.words().1)]
    OtherFamily { name: String, family: Family },
    #[error("{} asks for {}, but {address} is an {} address: leave out {0}",
            .family.words().1, .family.words().0, .family.words().2)]
    LiteralFamily { address: IpAddr, family: Family },
    #[error("{address} is {what}: TCP connects to single hosts only")]
    NotAHost { address: IpAddr, what: &'static str },
    #[error("no such interface '{}': 'ip link' lists them", escaped(.0))]
    NoSuchInterface(String),
    #[error("{0} is a link-local address: name its interface, as in [{0}%eth0]:80, or add -I eth0")]
    ScopeNeeded(IpAddr),
}

/// The addresses of a target in the resolver's order, each once; at least one.
///
/// A name is asked of the system's resolver, which may take as long as that is configured to.
///
/// # Errors
/// [`ResolveError`].
pub fn resolve(target: &Target, family: Family) -> Result<Vec<SocketAddr>, ResolveError> {
    resolve_with(&target.host, target.port, family, system_lookup)
}

/// The addresses of a host whose ports come later: as [`resolve`], with port 0.
///
/// # Errors
/// [`ResolveError`].
pub fn resolve_host(host: &Host, family: Family) -> Result<Vec<SocketAddr>, ResolveError> {
    resolve_with(host, 0, family, system_lookup)
}

fn system_lookup(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((name, port).to_socket_addrs()?.collect())
}

/// As [`resolve`], with `lookup` in place of the system's resolver.
///
/// # Errors
/// [`ResolveError`].
pub fn resolve_with(
    host: &Host,
    port: u16,
    family: Family,
    lookup: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>>,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let addresses = match host {
        Host::Addr(address, scope) => {
            let address = literal(*address, scope.as_deref(), port)?;
            if !family.has(address.ip()) {
                return Err(ResolveError::LiteralFamily { address: address.ip(), family });
            }
            vec![address]
        }
        Host::Name(name) => of_name(name, family, lookup(name, port))?,
    };
    match addresses.iter().find_map(|address| Some((address.ip(), no_host(address.ip())?))) {
        Some((address, what)) => Err(ResolveError::NotAHost { address, what }),
        None => Ok(addresses),
    }
}

/// What the resolver said of a name, in the family asked for.
fn of_name(
    name: &str,
    family: Family,
    answer: io::Result<Vec<SocketAddr>>,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let failed = |why: &str| ResolveError::Lookup { name: name.to_owned(), why: why.to_owned() };
    let found = answer.map_err(|error| {
        let text = error.to_string();
        // The standard library's own preamble says nothing that ours does not.
        failed(text.strip_prefix("failed to lookup address information: ").unwrap_or(&text))
    })?;
    if found.is_empty() {
        return Err(failed("the name has no address"));
    }
    let mut addresses: Vec<SocketAddr> = Vec::with_capacity(found.len());
    for address in found {
        let address = unmapped(address);
        if family.has(address.ip()) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(ResolveError::OtherFamily { name: name.to_owned(), family });
    }
    Ok(addresses)
}

/// An address as it was written, with the number of the interface that it names.
fn literal(address: IpAddr, scope: Option<&str>, port: u16) -> Result<SocketAddr, ResolveError> {
    let address = unmapped(SocketAddr::new(address, port));
    match (address, scope) {
        (SocketAddr::V6(address), Some(scope)) => with_scope(address, scope),
        _ => Ok(address),
    }
}

fn with_scope(mut address: SocketAddrV6, scope: &str) -> Result<SocketAddr, ResolveError> {
    let unknown = || ResolveError::NoSuchInterface(scope.to_owned());
    let index = match nix::net::if_::if_nametoindex(scope) {
        Ok(index) => index,
        Err(_) => scope.parse().ok().filter(|index| *index != 0).ok_or_else(unknown)?,
    };
    address.set_scope_id(index);
    Ok(address.into())
}

/// `::ffff:192.0.2.1` is an IPv4 host: no such address ever stands in an IPv6 header on a wire.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(plain) => SocketAddr::new(plain.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// Why an address cannot be that of a host (RFC 9293 §3.9.2.3, MUST-57).
fn no_host(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_multicast() => Some("a multicast address"),
        _ if address.is_unspecified() => Some("the unspecified address"),
        IpAddr::V4(address) if address.is_broadcast() => Some("the broadcast address"),
        _ => None,
    }
}

/// `address` with the interface of `-I`, which a link-local address needs if it names none itself.
///
/// # Errors
/// [`ResolveError::ScopeNeeded`] where neither names it, [`ResolveError::NoSuchInterface`].
pub fn on_interface(
    address: SocketAddr,
    interface: Option<&str>,
) -> Result<SocketAddr, ResolveError> {
    match (address, interface) {
        (SocketAddr::V6(v6), _) if !v6.ip().is_unicast_link_local() || v6.scope_id() != 0 => {
            Ok(address)
        }
        (SocketAddr::V6(v6), Some(interface)) => with_scope(v6, interface),
        (SocketAddr::V6(v6), None) => Err(ResolveError::ScopeNeeded((*v6.ip()).into())),
        (SocketAddr::V4(_), _) => Ok(address),
    }
}
