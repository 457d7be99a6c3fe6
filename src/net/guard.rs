//! The port guard: why the kernel does not answer for a port of ours.
//!
//! The kernel resets whatever arrives for a port that it does not know. A listening socket that
//! drops everything makes the port known and says nothing: the look-up finds it, its filter (or its
//! minimum TTL) drops the segment, and the segment is gone as far as the kernel is concerned. The
//! capture has seen it before. No firewall rule, no capability, and it vanishes with the process.

use std::ffi::c_int;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::{GuardKind, filter, sys};

/// The lowest TTL that a guard accepts. Nothing that crossed a router has it, and no common system
/// sends with it.
const MIN_TTL: c_int = 255;
/// Attempts at finding a free port before the kernel is asked to choose one.
const ATTEMPTS: usize = 16;
/// The ports from which one is drawn: those that the IANA leaves to everybody (RFC 6335 §6).
const DYNAMIC_PORTS: std::ops::RangeInclusive<u16> = 49152..=65535;

/// Which guard is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GuardChoice {
    /// Both, as far as both work.
    #[default]
    Auto,
    /// The socket filter alone.
    Filter,
    /// The minimum TTL alone.
    MinTtl,
}

/// Why a port could not be guarded.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Somebody else has it.
    #[error("source port {port} is in use on {address}: choose another with -g, or leave -g out")]
    InUse {
        /// Our address.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// A port below 1024 needs a capability.
    #[error(
        "source port {port} needs CAP_NET_BIND_SERVICE: choose one from 1024 on, or run as root"
    )]
    Privileged {
        /// The port.
        port: u16,
    },
    /// The address is not one of this host's.
    #[error("{0} is not an address of this host: 'ip address' lists those that are")]
    NotOurs(IpAddr),
    /// Neither the filter nor the minimum TTL works.
    #[error(
        "this kernel lets us neither filter a listening socket nor set its minimum TTL, so it would \
         reset our own connections"
    )]
    Impossible(#[source] io::Error),
    /// Anything else.
    #[error("cannot reserve a source port on {address}")]
    Other {
        /// Our address.
        address: IpAddr,
        /// What the kernel says.
        source: io::Error,
    },
}

/// A port that is ours alone, and about which the kernel keeps quiet.
#[derive(Debug)]
pub struct Guard {
    /// Open as long as the port is guarded.
    _socket: Socket,
    port: u16,
    kind: GuardKind,
}

impl Guard {
    /// Guards `port` of `address`, or an unpredictable free one.
    ///
    /// `scope_id` is the interface of a link-local address, and 0 for others.
    ///
    /// # Errors
    /// [`GuardError`], each in one line with its remedy.
    pub fn take(
        address: IpAddr,
        port: Option<u16>,
        scope_id: u32,
        choice: GuardChoice,
    ) -> Result<Self, GuardError> {
        if let Some(port) = port {
            return Self::take_exactly(address, port, scope_id, choice);
        }
        for _ in 0..ATTEMPTS {
            match Self::take_exactly(address, random_port(), scope_id, choice) {
                Err(GuardError::InUse { .. }) => {}
                result => return result,
            }
        }
        Self::take_exactly(address, 0, scope_id, choice)
    }

    fn take_exactly(
        address: IpAddr,
        port: u16,
        scope_id: u32,
        choice: GuardChoice,
    ) -> Result<Self, GuardError> {
        let failed = |source: io::Error| match source.raw_os_error() {
            Some(libc::EADDRINUSE) => GuardError::InUse { address, port },
            Some(libc::EACCES) => GuardError::Privileged { port },
            Some(libc::EADDRNOTAVAIL) => GuardError::NotOurs(address),
            _ => GuardError::Other { address, source },
        };
        let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).map_err(failed)?;
        let local = match address {
            IpAddr::V4(_) => SocketAddr::new(address, port),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope_id).into(),
        };
        // Deaf before it listens, so that there is no moment at which it would answer.
        let kind = silence(&socket, address, choice)?;
        socket.bind(&local.into()).map_err(failed)?;
        socket.listen(1).map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        let port = bound.as_socket().map_or(port, |address| address.port());
        Ok(Self { _socket: socket, port, kind })
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What keeps the kernel quiet.
    #[must_use]
    pub const fn kind(&self) -> GuardKind {
        self.kind
    }
}

/// Makes a socket deaf by every way that was asked for and works.
fn silence(socket: &Socket, address: IpAddr, choice: GuardChoice) -> Result<GuardKind, GuardError> {
    let filtered = match choice {
        GuardChoice::MinTtl => None,
        GuardChoice::Auto | GuardChoice::Filter => {
            Some(sys::attach_filter(socket.as_fd(), &filter::deaf()))
        }
    };
    let raised = match choice {
        GuardChoice::Filter => None,
        GuardChoice::Auto | GuardChoice::MinTtl => {
            let (level, name) = match address {
                IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MINTTL),
                IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT),
            };
            Some(sys::set_option(socket.as_fd(), level, name, &MIN_TTL))
        }
    };
    match (filtered, raised) {
        (Some(Ok(())), _) => Ok(GuardKind::Filter),
        (_, Some(Ok(()))) => Ok(GuardKind::MinTtl),
        (Some(Err(error)), _) | (None, Some(Err(error))) => Err(GuardError::Impossible(error)),
        (None, None) => Ok(GuardKind::Unneeded),
    }
}

/// An unpredictable port. Where the kernel has no randomness it is the first of the range, which
/// only costs an attempt.
fn random_port() -> u16 {
    let (first, last) = (*DYNAMIC_PORTS.start(), *DYNAMIC_PORTS.end());
    let random = getrandom::u32().unwrap_or_default();
    let span = u32::from(last - first) + 1;
    #[allow(clippy::cast_possible_truncation)] // below the span, which is below 2^16
    let offset = (random % span) as u16;
    first + offset
}
