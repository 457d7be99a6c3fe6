//! Forged packets: what a stranger, or a broken stack, may throw at our port.

use crate::namespace::Namespace;
use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{IpAddr, SocketAddr};

/// A raw socket that sends in the server's name.
pub(crate) struct Forger {
    socket: Socket,
    from: SocketAddr,
    to: SocketAddr,
}

impl Forger {
    /// Opens the socket in `namespace`, which must own the address of `from`.
    pub(crate) fn new(namespace: &Namespace, from: SocketAddr, to: SocketAddr) -> Result<Self> {
        let socket = namespace.within(|| {
            Socket::new(Domain::for_address(to), Type::RAW, Some(Protocol::TCP))
                .context("raw socket")
        })?;
        if from.is_ipv6() {
            // It may be an address by a route alone, which IPv6 counts among others' only here.
            socket.set_freebind_v6(true)?;
        }
        socket.bind(&SocketAddr::new(from.ip(), 0).into())?;
        Ok(Self { socket, from, to })
    }

    /// Sends these bytes as the payload of an IP packet.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<()> {
        // A raw socket takes no port in its address.
        self.socket.send_to(bytes, &SocketAddr::new(self.to.ip(), 0).into())?;
        Ok(())
    }

    /// Sends a well-formed segment without options.
    pub(crate) fn segment(&self, seq: u32, ack: u32, flags: u8) -> Result<()> {
        let mut bytes = self.header(seq, ack, flags);
        let sum = self.checksum(&bytes);
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        self.send(&bytes)
    }

    /// A header of 20 bytes with a checksum of zero.
    pub(crate) fn header(&self, seq: u32, ack: u32, flags: u8) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20);
        bytes.extend(self.from.port().to_be_bytes());
        bytes.extend(self.to.port().to_be_bytes());
        bytes.extend(seq.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes.extend([0x50, flags, 0x20, 0x00, 0, 0, 0, 0]);
        bytes
    }

    /// RFC 9293 §3.1, over the pseudo-header of RFC 791 or RFC 8200.
    pub(crate) fn checksum(&self, segment: &[u8]) -> u16 {
        let octets = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let length = u16::try_from(segment.len()).unwrap_or(u16::MAX);
        let mut bytes = [octets(self.from.ip()), octets(self.to.ip())].concat();
        bytes.extend([0, 6]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(segment);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        let words = bytes.chunks_exact(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1]));
        let mut sum: u32 = words.sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap_or_default()
    }
}
