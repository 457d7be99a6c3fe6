//! Targets: how the user writes them, and the addresses that they stand for.

mod ports;
mod resolve;
mod services;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

pub use ports::{PortList, port};
pub use resolve::{Family, ResolveError, on_interface, resolve, resolve_host, resolve_with};
pub use services::Services;

use super::line::escaped;
use crate::cli::shared::{FamilyArgs, TargetArgs};

/// The most targets of one run: four hosts with all their ports.
pub const MAX_TARGETS: usize = 1 << 18;

/// A host as the user wrote it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Host {
    /// A name to look up.
    Name(String),
    /// An address, with the interface or its number where it is a link-local one that says so.
    Addr(IpAddr, Option<String>),
}

/// One port of one host.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// The host as the user wrote it, without brackets and port.
    pub name: String,
    /// The host.
    pub host: Host,
    /// The port, from 1.
    pub port: u16,
}

/// One host with the ports to be probed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPorts {
    /// The host as the user wrote it, without brackets and ports.
    pub name: String,
    /// The host.
    pub host: Host,
    /// Its ports.
    pub ports: PortList,
}

/// What is wrong with the way in which a target is written, in one line for the user.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs)]
pub enum TargetError {
    #[error("'{}' names no host: write it as HOST:PORT", escaped(.0))]
    EmptyHost(String),
    #[error("'{0}' has no port: write {0}:443, or add -p 443")]
    MissingPort(String),
    #[error("'{0}' is an IPv6 address without a port: write [{0}]:443, or add -p 443")]
    MissingPort6(String),
    #[error("there is no port where one belongs: ports are 1 to 65535")]
    EmptyPort,
    #[error("port 0 cannot be connected to: ports are 1 to 65535")]
    PortZero,
    #[error("port {0} is out of range: ports are 1 to 65535")]
    PortTooLarge(String),
    #[error("'{}' is no port number, and no service that /etc/services knows", escaped(.0))]
    UnknownService(String),
    #[error("'{0}' is more than one port: 'shakedown probe' takes lists and ranges")]
    SeveralPorts(String),
    #[error("the range {first}-{last} runs backwards: write {last}-{first}")]
    BackwardRange { first: u16, last: u16 },
    #[error("the range '{0}' needs two ends, as in 8000-8010")]
    OpenRange(String),
    #[error("'{}' has a port already, and '{}' is a second one: leave one out",
            escaped(.target), escaped(.port))]
    PortTwice { target: String, port: String },
    #[error("'{0}' stands where a host belongs: ports come after their host")]
    PortsWithoutHost(String),
    #[error("'{}' is no IPv6 address: write it as [2001:db8::1]:443", escaped(.0))]
    BadIpv6(String),
    #[error("'{0}' is no IPv4 address: it has four numbers from 0 to 255")]
    BadIpv4(String),
    #[error("'{}' has an opening bracket: write it as [ADDRESS]:PORT", escaped(.0))]
    BadBracket(String),
    #[error("'{}' is a URL: write its host and port, as in {suggestion}", escaped(.url))]
    Url { url: String, suggestion: String },
    #[error("'{}' is a network: name its hosts one by one", escaped(.0))]
    Network(String),
    #[error("'{}' is no host name: it contains '{}'", escaped(.name), .char.escape_debug())]
    BadCharacter { name: String, char: char },
    #[error("'{}' is not in ASCII: write the name as DNS has it, with xn--", escaped(.0))]
    NotAscii(String),
    #[error("a host name has 253 characters at most, and this one has {0}")]
    TooLong(usize),
    #[error("{0} targets are too many: one run takes {MAX_TARGETS}")]
    TooMany(usize),
}

impl Target {
    /// Reads `HOST:PORT`, or `HOST` with the port in `separate`.
    ///
    /// # Errors
    /// [`TargetError`], for every text that is no target.
    pub fn parse(
        text: &str,
        separate: Option<&str>,
        services: &Services,
    ) -> Result<Self, TargetError> {
        let (name, host, attached) = split(text)?;
        let written = match (attached, separate) {
            (Some(_), Some(port)) => {
                return Err(TargetError::PortTwice {
                    target: text.to_owned(),
                    port: port.to_owned(),
                });
            }
            (Some(port), None) | (None, Some(port)) => port,
            (None, None) => return Err(missing_port(&host, name)),
        };
        Ok(Self { name: name.to_owned(), port: port(written, services)?, host })
    }

    /// Reads `HOST[:PORT]`, for a command to which the port hardly matters.
    ///
    /// # Errors
    /// [`TargetError`], for every text that is no target.
    pub fn parse_or(text: &str, otherwise: u16, services: &Services) -> Result<Self, TargetError> {
        let (name, host, attached) = split(text)?;
        let port = attached.map_or(Ok(otherwise), |written| port(written, services))?;
        Ok(Self { name: name.to_owned(), host, port })
    }

    /// How reports call the host at `address`: the name as written, or the address with `-n`.
    #[must_use]
    pub fn shown_as(&self, address: SocketAddr, numeric: bool) -> String {
        if numeric { address.ip().to_string() } else { self.name.clone() }
    }
}

/// As the user may write it: `example.org:443`, `[fe80::1%eth0]:80`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::Addr(IpAddr::V6(_), _) => write!(f, "[{}]:{}", self.name, self.port),
            _ => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

impl HostPorts {
    /// Reads the targets of a probe. A word of digits, commas and hyphens after a host without
    /// ports is that host's ports; `shared` is for all that name none.
    ///
    /// # Errors
    /// [`TargetError`] for the first word that is no target, and for more than [`MAX_TARGETS`].
    pub fn parse_all(
        words: &[String],
        shared: Option<&str>,
        services: &Services,
    ) -> Result<Vec<Self>, TargetError> {
        let mut all = Vec::with_capacity(words.len());
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let (name, host, attached) = split(word)?;
            let next = words.next_if(|next| attached.is_none() && ports::looks_like_ports(next));
            let written = attached.or(next.map(String::as_str)).or(shared);
            let written = written.ok_or_else(|| missing_port(&host, name))?;
            let ports = PortList::parse(written, services)?;
            all.push(Self { name: name.to_owned(), host, ports });
        }
        match all.iter().map(|host| host.ports.as_slice().len()).sum() {
            0..=MAX_TARGETS => Ok(all),
            count => Err(TargetError::TooMany(count)),
        }
    }

    /// One target for each port.
    pub fn targets(&self) -> impl Iterator<Item = Target> + '_ {
        let target =
            |port: &u16| Target { name: self.name.clone(), host: self.host.clone(), port: *port };
        self.ports.as_slice().iter().map(target)
    }
}

/// The target of a command that has one, and its addresses in the resolver's order: at least one.
///
/// # Errors
/// [`TargetError`] and [`ResolveError`].
pub fn one(args: &TargetArgs) -> anyhow::Result<(Target, Vec<SocketAddr>)> {
    let target = Target::parse(&args.target, args.separate_port(), &Services::of_host())?;
    let addresses = resolve(&target, Family::of(&args.family))?;
    Ok((target, addresses))
}

impl Family {
    /// The family that the arguments ask for.
    #[must_use]
    pub const fn of(args: &FamilyArgs) -> Self {
        match (args.ipv4, args.ipv6) {
            (true, _) => Self::V4,
            (_, true) => Self::V6,
            _ => Self::Any,
        }
    }
}

fn missing_port(host: &Host, name: &str) -> TargetError {
    match host {
        Host::Addr(IpAddr::V6(_), _) => TargetError::MissingPort6(name.to_owned()),
        _ => TargetError::MissingPort(name.to_owned()),
    }
}

/// Takes a word apart: the host's spelling, the host, and what stands after the colon.
fn split(text: &str) -> Result<(&str, Host, Option<&str>), TargetError> {
    if text.contains("://") {
        return Err(url(text));
    }
    if text.contains('/') {
        return Err(TargetError::Network(text.to_owned()));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let unclosed = || TargetError::BadBracket(text.to_owned());
        let (name, rest) = rest.split_once(']').ok_or_else(unclosed)?;
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return Err(unclosed()),
            port => port,
        };
        return Ok((name, ipv6(name)?, port));
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok((text, ipv6(text)?, None)),
        Some(("", _)) => Err(TargetError::EmptyHost(text.to_owned())),
        Some((name, port)) => Ok((name, name_or_ipv4(name)?, Some(port))),
        None if text.is_empty() => Err(TargetError::EmptyHost(String::new())),
        None => Ok((text, name_or_ipv4(text)?, None)),
    }
}

/// Reads an IPv6 address, which may name the interface that it is valid on.
fn ipv6(text: &str) -> Result<Host, TargetError> {
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (text, None),
    };
    let wrong = || TargetError::BadIpv6(text.to_owned());
    let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
    let scope = scope.map(crate::cli::value::interface).transpose().map_err(|_| wrong())?;
    Ok(Host::Addr(address.into(), scope))
}

/// Reads an IPv4 address, or a name that the resolver may know.
fn name_or_ipv4(text: &str) -> Result<Host, TargetError> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Addr(address.into(), None));
    }
    if ports::looks_like_ports(text) {
        return Err(TargetError::PortsWithoutHost(text.to_owned()));
    }
    let numbers = text.split('.').filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if numbers.count() == 4 && text.split('.').count() == 4 {
        return Err(TargetError::BadIpv4(text.to_owned()));
    }
    if text.len() > 253 {
        return Err(TargetError::TooLong(text.len()));
    }
    let allowed = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
    match text.chars().find(|char| !allowed(*char)) {
        Some(char) if char.is_alphanumeric() => Err(TargetError::NotAscii(text.to_owned())),
        Some(char) => Err(TargetError::BadCharacter { name: text.to_owned(), char }),
        None => Ok(Host::Name(text.to_owned())),
    }
}

/// The refusal of a URL, with what to write instead.
fn url(text: &str) -> TargetError {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    let suggestion = match scheme {
        _ if host.is_empty() || !plain => "example.org:443".to_owned(),
        _ if host.rsplit(']').next().is_some_and(|rest| rest.contains(':')) => host.to_owned(),
        "http" | "ws" => format!("{host}:80"),
        _ => format!("{host}:443"),
    };
    TargetError::Url { url: text.to_owned(), suggestion }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
