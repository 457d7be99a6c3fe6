//! Keeps the kernel's own TCP silent on a port that we use.
//!
//! The kernel answers a SYN-ACK for a port that it does not know with RST. A listening socket that
//! drops all it gets makes it know the port and stay silent, without a firewall rule, and vanishes
//! with the process however that ends.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;
use std::os::fd::AsFd;

use socket2::{Domain, SockFilter, Socket, Type};

use super::sys;
use crate::net::GuardKind;

/// Tries to find a free port before giving up. Half of a host's ports taken is a busy host; then
/// 64 tries all fail once in 2^64.
const ATTEMPTS: usize = 64;

/// Which means of silence to use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum GuardChoice {
    /// Both; at least one has to work.
    #[default]
    Auto,
    /// The filter only.
    Filter,
    /// The minimum TTL only. A peer on the same link that sends with a TTL of 255 gets through it
    /// to the kernel.
    MinTtl,
}

/// Why a port cannot be guarded.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Another socket has the port, or an old connection from it still lingers in TIME-WAIT: that
    /// would answer in our name, which is why `SO_REUSEADDR` is not set.
    #[error("source port {0} of {1} is in use; choose another with --source-port, or none")]
    PortInUse(u16, IpAddr),
    /// No free port was found in the host's range of ephemeral ports.
    #[error("no free source port found on {0}: the ports of ip_local_port_range are in use")]
    NoFreePort(IpAddr),
    /// Ports below `ip_unprivileged_port_start` need a capability.
    #[error(
        "source port {0} needs CAP_NET_BIND_SERVICE; choose one of 1024 or above, or run as root"
    )]
    PrivilegedPort(u16),
    /// The address is not one of this host's.
    #[error("{0} is not an address of this host; choose one that `ip address` shows")]
    SourceNotOurs(IpAddr),
    /// The kernel takes neither a filter nor a minimum TTL.
    #[error("cannot keep the kernel silent on port {port}")]
    NotSilenced {
        /// The port, 0 where none was asked for.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something else went wrong.
    #[error("cannot reserve source port {port} of {address}")]
    Io {
        /// The port, 0 where none was asked for.
        port: u16,
        /// The address.
        address: IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A guarded port: the kernel is silent on it for as long as this lives.
#[derive(Debug)]
pub struct Guard {
    _socket: Socket,
    address: SocketAddr,
    kind: GuardKind,
}

impl Guard {
    /// Guards `port` of `source`, or an unpredictable free port where that is `None` or 0.
    /// `scope_id` is the interface index that a link-local IPv6 address needs.
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn take(
        source: IpAddr,
        port: Option<u16>,
        scope_id: u32,
        choice: GuardChoice,
    ) -> Result<Self, GuardError> {
        if let Some(port) = port.filter(|&port| port != 0) {
            return Self::take_exactly(source, port, scope_id, choice);
        }
        let ports = PortRange::of_this_host();
        for _ in 0..ATTEMPTS {
            let port = ports.pick().map_err(|source_error| GuardError::Io {
                port: 0,
                address: source,
                source: source_error,
            })?;
            match Self::take_exactly(source, port, scope_id, choice) {
                Err(GuardError::PortInUse(..)) => {}
                other => return other,
            }
        }
        Err(GuardError::NoFreePort(source))
    }

    fn take_exactly(
        source: IpAddr,
        port: u16,
        scope_id: u32,
        choice: GuardChoice,
    ) -> Result<Self, GuardError> {
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(libc::EADDRINUSE) => GuardError::PortInUse(port, source),
            Some(libc::EADDRNOTAVAIL) => GuardError::SourceNotOurs(source),
            Some(libc::EACCES) => GuardError::PrivilegedPort(port),
            _ => GuardError::Io { port, address: source, source: error },
        };
        let address = socket_address(source, port, scope_id);
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(failed)?;
        if source.is_ipv6() {
            // The v4 port of the same number is none of our business.
            socket.set_only_v6(true).map_err(failed)?;
        }
        // Before bind and listen: there is no moment at which the socket could answer.
        let kind = silence(&socket, source, choice)
            .map_err(|source| GuardError::NotSilenced { port, source })?;
        socket.bind(&address.into()).map_err(failed)?;
        socket.listen(1).map_err(failed)?;
        Ok(Self { _socket: socket, address, kind })
    }

    /// The guarded port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The guarded address and port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What keeps the kernel silent.
    #[must_use]
    pub const fn kind(&self) -> GuardKind {
        self.kind
    }
}

/// Makes the socket deaf by all means of `choice` that work.
fn silence(socket: &Socket, source: IpAddr, choice: GuardChoice) -> io::Result<GuardKind> {
    let filter = || socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]);
    let minimum_ttl = || {
        let (level, name) = match source {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MINTTL),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT),
        };
        sys::set_option(socket.as_fd(), level, name, 255)
    };
    match choice {
        GuardChoice::Filter => filter().map(|()| GuardKind::Filter),
        GuardChoice::MinTtl => minimum_ttl().map(|()| GuardKind::MinTtl),
        GuardChoice::Auto => match (filter(), minimum_ttl()) {
            (Ok(()), _) => Ok(GuardKind::Filter),
            (Err(_), Ok(())) => {
                // Where the kernel has it, it also keeps out what a small device on the same link
                // sends with a TTL of 255. It needs no privilege, as a filter does on newer kernels.
                let _ = demand_signature(socket, source);
                Ok(GuardKind::MinTtl)
            }
            (Err(error), Err(_)) => Err(error),
        },
    }
}

/// Makes the socket drop, without a word, every segment that is not signed with a key that nobody
/// has (RFC 2385): what it listens for never comes signed.
fn demand_signature(socket: &Socket, source: IpAddr) -> io::Result<()> {
    // `struct tcp_md5sig`: for any peer of the family, by a prefix of no bits.
    const ADDRESS: usize = 128;
    const KEY: usize = 16;
    /// `TCP_MD5SIG_FLAG_PREFIX`.
    const BY_PREFIX: u8 = 1;
    let family = if source.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut bytes = [0; 216];
    bytes[..2].copy_from_slice(&u16::try_from(family).map_err(io::Error::other)?.to_ne_bytes());
    bytes[ADDRESS] = BY_PREFIX;
    bytes[ADDRESS + 2] = KEY as u8;
    getrandom::fill(&mut bytes[ADDRESS + 8..][..KEY]).map_err(io::Error::other)?;
    sys::set_structure(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_MD5SIG_EXT, &bytes)
}

/// `BPF_RET | BPF_K`: with the operand 0 a program that drops everything.
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// An address of ours with a port, and the interface that a link-local address is of.
#[must_use]
pub fn socket_address(address: IpAddr, port: u16, scope_id: u32) -> SocketAddr {
    match address {
        IpAddr::V4(_) => SocketAddr::new(address, port),
        IpAddr::V6(v6) => {
            let scope_id = if is_link_local(v6) { scope_id } else { 0 };
            SocketAddrV6::new(v6, port, 0, scope_id).into()
        }
    }
}

/// Whether an address means nothing without its interface.
#[must_use]
pub const fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// The ports that this host opens connections from.
#[derive(Clone, PartialEq, Eq, Debug)]
struct PortRange {
    range: RangeInclusive<u16>,
    reserved: Vec<RangeInclusive<u16>>,
}

impl PortRange {
    fn of_this_host() -> Self {
        let read = |name| {
            std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default()
        };
        Self::parse(&read("ip_local_port_range"), &read("ip_local_reserved_ports"))
    }

    /// From the two sysctls' texts: `32768\t60999` and `8080,9000-9010`.
    fn parse(range: &str, reserved: &str) -> Self {
        let mut numbers = range.split_whitespace().filter_map(|word| word.parse().ok());
        let range = match (numbers.next(), numbers.next()) {
            (Some(low), Some(high)) if 0 < low && low <= high => low..=high,
            // The kernel's own default.
            _ => 32768..=60999,
        };
        let reserved = reserved.trim().split(',').filter_map(|item| {
            let (low, high) = item.split_once('-').unwrap_or((item, item));
            Some(low.parse().ok()?..=high.parse().ok()?)
        });
        Self { range, reserved: reserved.collect() }
    }

    /// A port that nobody can predict. A reserved one only where everything is reserved.
    fn pick(&self) -> io::Result<u16> {
        let mut port = *self.range.start();
        for _ in 0..ATTEMPTS {
            let random = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
            // 2^32 is so much larger than the range that the bias is below one in 2^16.
            let span = u32::from(self.range.end() - self.range.start()) + 1;
            let offset = u16::try_from(random % span).unwrap_or(0);
            port = self.range.start() + offset;
            if !self.reserved.iter().any(|reserved| reserved.contains(&port)) {
                break;
            }
        }
        Ok(port)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_guarded_port_neither_answers_nor_refuses() {
        for choice in [GuardChoice::Auto, GuardChoice::MinTtl] {
            let guard = Guard::take(HERE, None, 0, choice).unwrap();
            // A port without the guard refuses at once, so any wait at all shows the silence.
            let error = TcpStream::connect_timeout(&guard.address(), Duration::from_millis(50))
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{choice:?}");
        }
    }

    #[test]
    fn a_ttl_of_255_does_not_pass_the_guard_of_a_process_without_capabilities() {
        // In a thread of its own: it gives up its capabilities for good.
        std::thread::spawn(|| {
            crate::net::linux::privilege::drop_all().unwrap();
            for source in [HERE, Ipv6Addr::LOCALHOST.into()] {
                let guard = Guard::take(source, None, 0, GuardChoice::Auto).unwrap();
                let socket =
                    Socket::new(Domain::for_address(guard.address()), Type::STREAM, None).unwrap();
                match source {
                    IpAddr::V4(_) => socket.set_ttl_v4(255).unwrap(),
                    IpAddr::V6(_) => socket.set_unicast_hops_v6(255).unwrap(),
                }
                let error = socket
                    .connect_timeout(&guard.address().into(), Duration::from_millis(50))
                    .unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{source}");
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_port_in_use_is_named_and_a_dropped_guard_frees_it() {
        let other = TcpListener::bind((HERE, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let error = Guard::take(HERE, Some(port), 0, GuardChoice::Auto).unwrap_err();
        assert!(matches!(error, GuardError::PortInUse(p, HERE) if p == port), "{error}");
        drop(other);
        let guard = Guard::take(HERE, Some(port), 0, GuardChoice::Auto).unwrap();
        assert_eq!(guard.port(), port);
        drop(guard);
        TcpListener::bind((HERE, port)).unwrap();
    }

    #[test]
    fn a_foreign_source_address_is_named() {
        let source = "192.0.2.77".parse().unwrap();
        let error = Guard::take(source, None, 0, GuardChoice::Auto).unwrap_err();
        assert_eq!(
            error.to_string(),
            "192.0.2.77 is not an address of this host; choose one that `ip address` shows"
        );
    }

    #[test]
    fn a_port_of_the_administrators_is_named() {
        // In a thread of its own: it gives up its capabilities for good.
        let result = std::thread::spawn(|| {
            crate::net::linux::privilege::drop_all().unwrap();
            Guard::take(HERE, Some(1), 0, GuardChoice::MinTtl)
        })
        .join()
        .unwrap();
        // Containers often let everybody have every port.
        let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        let everybody =
            start.is_ok_and(|start| start.trim().parse().is_ok_and(|low: u16| low <= 1));
        let refused = matches!(result, Err(GuardError::PrivilegedPort(1)));
        assert_eq!(refused, !everybody, "{result:?}");
    }

    #[test]
    fn ports_that_nobody_asked_for_are_of_the_hosts_range_and_cannot_be_foretold() {
        let range = PortRange::of_this_host();
        let guards: Vec<Guard> =
            (0..8).map(|_| Guard::take(HERE, Some(0), 0, GuardChoice::MinTtl).unwrap()).collect();
        let ports: Vec<u16> = guards.iter().map(Guard::port).collect();
        assert!(ports.iter().all(|port| range.range.contains(port)), "{ports:?}");
        assert!(!ports.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 1), "{ports:?}");
    }

    #[test]
    fn picked_ports_are_in_the_range_and_not_reserved() {
        let ports = PortRange::parse("40000\t40003\n", "40000-40001,40003\n");
        assert_eq!(ports.range, 40000..=40003);
        assert!((0..50).all(|_| ports.pick().unwrap() == 40002));
        assert_eq!(PortRange::parse("", "\n").range, 32768..=60999);
    }
}
