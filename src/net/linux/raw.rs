//! Sends IP packets exactly as we built them.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::guard::socket_address;
use super::route::Route;

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

    /// Sends an IP packet to `destination`, the address in its header.
    ///
    /// # Errors
    /// A [`SendError`] inside an [`io::Error`] of the same kind as what the kernel said.
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

/// The kernel's refusal in words.
fn explain(cause: io::Error, to: SocketAddr, interface: &str, len: usize) -> io::Error {
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
    io::Error::new(cause.kind(), SendError { text, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
