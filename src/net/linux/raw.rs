//! Sends IP packets exactly as we built them.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::departures::Departure;
use super::guard::socket_address;
use super::route::Route;
use super::sys;

/// Whose stamps of leaving a [`Sender`] asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DepartureClock {
    /// The interface's hardware. Nanoseconds of its own clock.
    Hardware,
    /// The interface's driver, as it hands a packet to the hardware. Nanoseconds of the wall clock.
    /// Every interface has them, and the capture's copy has a better one: for tests.
    Driver,
}

/// Why a packet did not leave: one line that says what to do about it.
#[derive(Debug)]
pub struct SendError {
    text: String,
    cause: io::Error,
}

impl SendError {
    /// What the kernel said.
    #[must_use]
    pub const fn cause(&self) -> &io::Error {
        &self.cause
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// A raw socket for one source address.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    interface: String,
    scope_id: u32,
}

impl Sender {
    /// Opens a sender for the route's source. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// The kernel refuses the socket, or to bind it.
    pub fn open(route: &Route) -> io::Result<Self> {
        // IPPROTO_RAW implies that the IP header is ours, in both families.
        let domain = match route.source {
            IpAddr::V4(_) => Domain::IPV4,
            IpAddr::V6(_) => Domain::IPV6,
        };
        let raw = Protocol::from(libc::IPPROTO_RAW);
        let socket = Socket::new(domain, Type::RAW, Some(raw))?;
        socket.set_nonblocking(true)?;
        // The address that policy routing decides by is the socket's, not the packet's.
        socket.bind(&socket_address(route.source, 0, route.scope_id).into())?;
        if route.pinned {
            // After the bind, and only where the user named an interface: elsewhere the kernel's
            // routing may well send each destination another way.
            socket.bind_device(Some(route.interface.name.as_bytes()))?;
        }
        Ok(Self { socket, interface: route.interface.name.clone(), scope_id: route.scope_id })
    }

    /// Asks for a stamp of each packet that is sent from now on, the first of which has the key 0.
    ///
    /// # Errors
    /// The kernel knows no such stamps.
    pub fn ask_for_departures(&self, clock: DepartureClock) -> io::Result<()> {
        // With its bytes, by which a stamp is known to be that of a packet even where a refused one
        // has left the count unsure.
        let flags = libc::SOF_TIMESTAMPING_OPT_ID
            | match clock {
                DepartureClock::Hardware => {
                    libc::SOF_TIMESTAMPING_TX_HARDWARE | libc::SOF_TIMESTAMPING_RAW_HARDWARE
                }
                DepartureClock::Driver => {
                    libc::SOF_TIMESTAMPING_TX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE
                }
            };
        let (level, name) = (libc::SOL_SOCKET, libc::SO_TIMESTAMPING);
        sys::set_option(self.socket.as_fd(), level, name, flags.cast_signed())
    }

    /// The next stamp of a packet that has left, without waiting; `buffer` should have room for the
    /// packet and its link header. When there is one, `poll` tells of an error on the socket.
    ///
    /// # Errors
    /// The socket failed.
    pub fn departure(&self, buffer: &mut [u8]) -> io::Result<Option<Departure>> {
        loop {
            let info = match sys::receive_departure(self.socket.as_fd(), buffer) {
                Ok(info) => info,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if let (Some(key), Some(stamp)) =
                (info.key, info.stamps.hardware.or(info.stamps.software))
            {
                let bytes = buffer[..info.len.min(buffer.len())].to_vec();
                return Ok(Some(Departure { key, stamp, bytes }));
            }
        }
    }

    /// Sends an IP packet to `destination`, the address in its header.
    ///
    /// # Errors
    /// A [`SendError`] inside an [`io::Error`], of which
    /// [`SendTrouble`](crate::net::SendTrouble) tells whether it may pass.
    pub fn send(&self, packet: &[u8], destination: IpAddr) -> io::Result<()> {
        let address = socket_address(destination, 0, self.scope_id);
        loop {
            match self.socket.send_to(packet, &address.into()) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(explain(error, address, &self.interface, packet.len())),
            }
        }
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The kernel's refusal in words.
pub(super) fn explain(cause: io::Error, to: SocketAddr, interface: &str, len: usize) -> io::Error {
    let to = to.ip();
    let text = match cause.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => format!(
            "a firewall on this host blocks packets to {to}; look at its OUTPUT rules \
             (nft list ruleset, iptables -S OUTPUT)"
        ),
        Some(libc::EMSGSIZE) => format!(
            "a packet of {len} bytes is too big for {interface} or the path to {to}; \
             choose a smaller --mss"
        ),
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => {
            format!("no route to {to} any more; see `ip route get {to}`")
        }
        Some(libc::ENETDOWN) => {
            format!("interface {interface} is down; bring it up with `ip link set {interface} up`")
        }
        Some(libc::ENODEV | libc::ENXIO) => format!("interface {interface} is gone"),
        Some(libc::ENOBUFS | libc::EAGAIN) => {
            format!("the transmit queue of {interface} is full; send more slowly")
        }
        Some(libc::EINVAL) => {
            format!("the kernel refuses this packet to {to}: its source or header is not allowed")
        }
        _ => format!("cannot send to {to}: {cause}"),
    };
    let kind = match cause.raw_os_error() {
        // The standard library has no kind for it, and `SendTrouble` needs one.
        Some(libc::ENOBUFS) => io::ErrorKind::WouldBlock,
        _ => cause.kind(),
    };
    io::Error::new(kind, SendError { text, cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::SendTrouble;

    fn said(errno: i32) -> String {
        let to = "192.0.2.1:0".parse().unwrap();
        explain(io::Error::from_raw_os_error(errno), to, "eth0", 1600).to_string()
    }

    #[test]
    fn refusals_say_what_is_wrong_and_what_to_do() {
        assert_eq!(
            said(libc::EPERM),
            "a firewall on this host blocks packets to 192.0.2.1; look at its OUTPUT rules \
             (nft list ruleset, iptables -S OUTPUT)"
        );
        assert_eq!(
            said(libc::EMSGSIZE),
            "a packet of 1600 bytes is too big for eth0 or the path to 192.0.2.1; \
             choose a smaller --mss"
        );
        assert!(said(libc::ENETDOWN).contains("ip link set eth0 up"));
        assert!(said(libc::EIO).starts_with("cannot send to 192.0.2.1: "));
    }

    #[test]
    fn trouble_that_may_pass_is_told_from_what_will_not() {
        let of = |errno| {
            let to = "192.0.2.1:0".parse().unwrap();
            SendTrouble::of(&explain(io::Error::from_raw_os_error(errno), to, "eth0", 60))
        };
        assert_eq!(of(libc::ENETDOWN), Some(SendTrouble::InterfaceDown));
        assert_eq!(of(libc::ENETUNREACH), Some(SendTrouble::NoRoute));
        assert_eq!(of(libc::EHOSTUNREACH), Some(SendTrouble::NoRoute));
        assert_eq!(of(libc::EPERM), Some(SendTrouble::Firewall));
        assert_eq!(of(libc::ENOBUFS), Some(SendTrouble::QueueFull));
        assert_eq!(of(libc::EAGAIN), Some(SendTrouble::QueueFull));
        for errno in [libc::ENODEV, libc::EMSGSIZE, libc::EINVAL, libc::EIO, libc::EBADF] {
            assert_eq!(of(errno), None, "{errno}");
        }
    }
}
