//! The kernel: the [`Wire`] that carries our packets, the guard that keeps the kernel's own TCP
//! quiet, routes, privileges and signals. Everything here knows bytes and time, nothing of TCP.

pub mod bulk;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod sim;

use std::fmt;
use std::io;

use crate::time::{Clock, Instant, Stamp};

/// Which way a packet went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dir {
    /// From us.
    Tx,
    /// To us.
    Rx,
}

/// Whether the checksums of a captured packet can be judged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChecksumTrust {
    /// The bytes are what was on the wire: verify them.
    Verify,
    /// The kernel says that they are unfinished or already verified (`TP_STATUS_CSUMNOTREADY`,
    /// `TP_STATUS_CSUM_VALID`): a local sender leaves the sum to hardware that does not exist.
    Vouched,
    /// Nobody says: the bytes are what was on the wire, or the sum was left to hardware by a sender on
    /// this host. It must be right, or that of the pseudo-header alone.
    RightOrUnfinished,
}

/// A packet as the capture saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Which way it went. A `Tx` frame is the kernel's own copy of a packet of ours, or of one that
    /// the kernel sent in our name.
    pub dir: Dir,
    /// When, by which clock.
    pub stamp: Stamp,
    /// The IP packet.
    pub bytes: Vec<u8>,
    /// Whether its TCP checksum can be judged.
    pub checksum: ChecksumTrust,
}

/// What a wait on the wire ended with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// A packet.
    Frame(Frame),
    /// The deadline came first.
    Timeout,
    /// A signal asks to come to an end: SIGINT, SIGTERM or SIGHUP.
    Interrupted,
    /// A signal asks for interim statistics: SIGQUIT.
    StatusRequested,
}

/// What keeps the kernel from answering for our port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GuardKind {
    /// A listening socket whose filter drops everything; a minimum TTL as well where it works.
    Filter,
    /// A listening socket that drops all that arrives with a TTL below 255.
    MinTtl,
    /// None is needed: there is no kernel behind this wire.
    Unneeded,
}

impl GuardKind {
    /// The guard's name in the JSON stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::MinTtl => "minttl",
            Self::Unneeded => "unneeded",
        }
    }
}

impl fmt::Display for GuardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a packet could not be sent now, although the next one may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SendTrouble {
    /// The interface is down.
    InterfaceDown,
    /// There is no route: the interface is down, or was, and whoever manages it has not come to
    /// its routes yet.
    NoRoute,
    /// A firewall on this host, or a route that prohibits it.
    Firewall,
    /// The interface, or the socket, has more to send than it can.
    QueueFull,
}

impl SendTrouble {
    /// What [`Wire::send`] failed of, where it may pass; `None` where the next packet will fare no
    /// better.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        // The standard library has no kind for it.
        if error.raw_os_error() == Some(libc::ENOBUFS) {
            return Some(Self::QueueFull);
        }
        match error.kind() {
            io::ErrorKind::NetworkDown => Some(Self::InterfaceDown),
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                Some(Self::NoRoute)
            }
            io::ErrorKind::PermissionDenied => Some(Self::Firewall),
            io::ErrorKind::WouldBlock => Some(Self::QueueFull),
            _ => None,
        }
    }
}

/// What a wire is: fixed for its life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The interface's name.
    pub interface: String,
    /// Its MTU in bytes, which bounds the MSS that we offer.
    pub mtu: u32,
    /// Which clock stamps the packets: the best that is in use. A packet that it missed bears another
    /// in its own stamp.
    pub clock: Clock,
    /// What keeps the kernel quiet.
    pub guard: GuardKind,
}

/// Carries packets: the real network, or a simulated one.
///
/// Tracing, capture files and faults are decorators of it.
pub trait Wire {
    /// The time now, on the axis of every stamp.
    fn now(&self) -> Instant;

    /// Sends an IP packet. Its copy comes back from [`receive`](Self::receive) as [`Dir::Tx`],
    /// with the time at which it left.
    ///
    /// # Errors
    /// Whatever the kernel says: no route, a firewall of our own, a dead interface. Whether it may
    /// pass, [`SendTrouble::of`] tells.
    fn send(&mut self, packet: &[u8]) -> io::Result<()>;

    /// Waits for the next packet, until `until` at the latest.
    ///
    /// # Errors
    /// The capture failed: the interface went away.
    fn receive(&mut self, until: Instant) -> io::Result<Received>;

    /// What this wire is.
    fn facts(&self) -> &Facts;
}

impl<W: Wire + ?Sized> Wire for &mut W {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        (**self).send(packet)
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        (**self).receive(until)
    }

    fn facts(&self) -> &Facts {
        (**self).facts()
    }
}
