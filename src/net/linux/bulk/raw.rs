//! Sends IP packets by raw sockets, many with one system call. The kernel finds the way of each,
//! and its neighbour: the way for targets on the link, for this host itself, and for whatever has
//! no link header.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::batch::{Batch, Destination};
use super::refusal::{conclude, destination, refusal};
use crate::net::bulk::{Flushed, Transmit};
use crate::net::linux::Route;
use crate::net::linux::guard::socket_address;
use crate::net::linux::sys;

/// Frames of one system call.
const BATCH: usize = 64;
/// `IPV6_FREEBIND`, which `libc` does not have.
const IPV6_FREEBIND: i32 = 78;

/// The way of packets through raw sockets, one of each IP version.
pub struct RawPath {
    v4: Option<Socket>,
    v6: Option<Socket>,
    scope_id: u32,
    interface: String,
    batch: Batch,
}

impl RawPath {
    /// Opens the way of `routes`, at most one of each IP version, whose sources need not be
    /// addresses of this host. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// The kernel refuses a socket or one of its options.
    pub fn open(routes: &[&Route]) -> io::Result<Self> {
        let of = |v6: bool| {
            let route = routes.iter().find(|route| route.source.is_ipv6() == v6);
            route.map(|route| socket(route)).transpose()
        };
        let interface = routes.first().map_or(String::new(), |route| route.interface.name.clone());
        let scope_id = routes.iter().map(|route| route.scope_id).max().unwrap_or(0);
        Ok(Self { v4: of(false)?, v6: of(true)?, scope_id, interface, batch: Batch::new(BATCH) })
    }

    /// How many frames from the head on are of one IP version, and whether that is IPv6.
    fn run(&self) -> (usize, bool) {
        let is_v6 = |nth| self.batch.frame(nth).first().is_some_and(|byte| byte >> 4 == 6);
        let first = is_v6(0);
        if self.v4.is_none() || self.v6.is_none() {
            return (self.batch.len(), first);
        }
        let same = (1..self.batch.len()).take_while(|&nth| is_v6(nth) == first).count();
        (same + 1, first)
    }
}

fn socket(route: &Route) -> io::Result<Socket> {
    let v6 = route.source.is_ipv6();
    let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
    // IPPROTO_RAW implies that the IP header is ours, in both families.
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    let fd = socket.as_fd();
    let (level, bind, errors) = if v6 {
        (libc::IPPROTO_IPV6, IPV6_FREEBIND, libc::IPV6_RECVERR)
    } else {
        (libc::IPPROTO_IP, libc::IP_FREEBIND, libc::IP_RECVERR)
    };
    // For a source that is nobody's. Kernels before 4.15 do not have it for IPv6.
    let _ = sys::set_option(fd, level, bind, 1);
    // Else the kernel keeps it to itself when the interface's queue has dropped a packet.
    sys::set_option(fd, level, errors, 1)?;
    // Policy routing decides by the socket's address, not by the packet's.
    socket.bind(&socket_address(route.source, 0, route.scope_id).into())?;
    if route.pinned {
        socket.bind_device(Some(route.interface.name.as_bytes()))?;
    }
    Ok(socket)
}

impl Transmit for RawPath {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn link_header(&self, _v6: bool) -> &[u8] {
        &[]
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        self.batch.slot()
    }

    fn commit(&mut self, len: usize) {
        let to = self.batch.slot().and_then(|slot| destination(slot.get(..len)?));
        // Without an IP header it goes nowhere, and the kernel says so.
        let to = to.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.batch.commit(len, Destination::Address(socket_address(to, 0, self.scope_id)));
    }

    fn queued(&self) -> usize {
        self.batch.len()
    }

    fn flush(&mut self) -> io::Result<Flushed> {
        let mut sent = 0;
        while self.batch.len() > 0 {
            let (count, v6) = self.run();
            let socket = if v6 { &self.v6 } else { &self.v4 };
            let result = match socket {
                Some(socket) => self.batch.send(socket.as_fd(), count),
                None => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
            };
            match result {
                Ok(taken) => sent += taken,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let refusal = refusal(error, self.batch.frame(0), &self.interface);
                    if !refusal.kept {
                        self.batch.skip();
                    }
                    return conclude(sent, refusal);
                }
            }
        }
        Ok(Flushed { sent, refused: None })
    }
}
