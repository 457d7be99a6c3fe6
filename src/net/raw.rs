//! Sends whole IP packets, as we built them.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use socket2::{Domain, Protocol, Socket, Type};

/// A raw socket for one family, bound to one interface.
#[derive(Debug)]
pub(crate) struct Sender {
    socket: Socket,
    scope_id: u32,
}

impl Sender {
    /// Opens it. IPPROTO_RAW means that the IP header is ours, in both families.
    pub(crate) fn open(family: IpAddr, interface: &str, scope_id: u32) -> io::Result<Self> {
        let domain = if family.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
        if family.is_ipv4() {
            socket.set_header_included_v4(true)?;
        } else {
            socket.set_header_included_v6(true)?;
        }
        socket.bind_device(Some(interface.as_bytes()))?;
        // It never reads: a sender of IPPROTO_RAW gets nothing to read.
        Ok(Self { socket, scope_id })
    }

    /// Sends `packet` to the address in its header.
    ///
    /// # Errors
    /// The kernel's refusal, with what it means where the bare error would mislead.
    pub(crate) fn send(&self, packet: &[u8], to: IpAddr) -> io::Result<()> {
        let to = match to {
            IpAddr::V4(_) => SocketAddr::new(to, 0),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, 0, 0, self.scope_id).into(),
        };
        match self.socket.send_to(packet, &to.into()) {
            Ok(_) => Ok(()),
            Err(error) => Err(explained(error)),
        }
    }
}

fn explained(error: io::Error) -> io::Error {
    let meaning = match error.raw_os_error() {
        Some(libc::EPERM) => "a firewall of this host dropped the packet on its way out",
        Some(libc::EMSGSIZE) => {
            "the packet is larger than the interface's MTU: send less, or a smaller --mss"
        }
        Some(libc::ENETDOWN) => "the interface is down",
        Some(libc::ENOBUFS) => "the interface's queue is full: send more slowly",
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => "the route to the target is gone",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{meaning} ({error})"))
}
