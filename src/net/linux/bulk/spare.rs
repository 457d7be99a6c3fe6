//! A source address that is nobody's: ours for the time of the run.
//!
//! The kernel does not know it, so that its TCP stays silent without a guard; and nobody would find
//! it, so that we answer for it ourselves. Before that we ask, as RFC 5227 and RFC 4862 §5.4 want,
//! whether somebody has it already.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use socket2::{Domain, SockFilter, Socket, Type};

use super::filter::questions;
use super::link::protocol;
use super::questions::{Heard, Message, solicited_node};
use crate::net::linux::clock;
use crate::net::linux::{Interface, LinkKind, sys};

/// How often we ask whether an address is taken.
const PROBES: u32 = 3;
/// Between two questions, and after the last. RFC 5227 wants a second or two, for hosts that boot
/// all at once; who has had the address for long answers within milliseconds.
const INTERVAL: Duration = Duration::from_millis(400);
/// The largest question.
const BUFFER: usize = 2048;

/// Why an address cannot be used as a spare one.
#[derive(Debug, thiserror::Error)]
pub enum SpareError {
    /// Somebody has it.
    #[error("{address} is in use on {interface} by {by}; choose another --source")]
    Taken {
        /// The address.
        address: IpAddr,
        /// Where.
        interface: String,
        /// Who has it.
        by: Station,
    },
    /// Nobody asks for addresses there.
    #[error("{address} is not an address of this host, and on {interface} none can be added to it")]
    NoNeighbours {
        /// The address.
        address: IpAddr,
        /// The interface.
        interface: String,
    },
    /// The kernel refuses something.
    #[error("cannot answer for {address}: {source}")]
    Io {
        /// The address.
        address: IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Station(pub [u8; 6]);

impl fmt::Display for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A spare address that we answer for as long as this lives and is [asked to](Self::answer).
#[derive(Debug)]
pub struct Spare {
    socket: Socket,
    /// Keeps us in the group that is asked.
    _group: Option<UdpSocket>,
    address: IpAddr,
    interface: Interface,
    buffer: Vec<u8>,
}

impl Spare {
    /// Takes `address` on `interface`, after asking whether it is free, which takes 1.2 seconds.
    /// Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// [`SpareError`].
    pub fn claim(address: IpAddr, interface: &Interface) -> Result<Self, SpareError> {
        if interface.link != LinkKind::Ethernet || interface.mac.is_none() {
            let interface = interface.name.clone();
            return Err(SpareError::NoNeighbours { address, interface });
        }
        let failed = |source| SpareError::Io { address, source };
        let mut spare = Self::open(address, interface).map_err(failed)?;
        for _ in 0..PROBES {
            spare.ask().map_err(failed)?;
            if let Some(by) = spare.contradicted().map_err(failed)? {
                let interface = interface.name.clone();
                return Err(SpareError::Taken { address, interface, by });
            }
        }
        let message = Message::announcement(address, spare.mac());
        spare.send(&message).map_err(failed)?;
        Ok(spare)
    }

    fn open(address: IpAddr, interface: &Interface) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        let filter: Vec<SockFilter> = questions(address).into_iter().map(Into::into).collect();
        socket.attach_filter(&filter)?;
        let kind = match address {
            IpAddr::V4(_) => libc::ETH_P_ARP as u16,
            IpAddr::V6(_) => protocol(true),
        };
        let index = i32::try_from(interface.index).map_err(io::Error::other)?;
        // By the kernel, which also tells switches that look at who listens to what.
        let group = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => {
                let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
                let group = UdpSocket::bind(any)?;
                group.join_multicast_v6(&solicited_node(v6), interface.index)?;
                Some(group)
            }
        };
        sys::bind_packet(socket.as_fd(), kind, index)?;
        Ok(Self {
            socket,
            _group: group,
            address,
            interface: interface.clone(),
            buffer: vec![0; BUFFER],
        })
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether this host forwards what arrives for others. Then it also does with what arrives for
    /// the spare address: it looks for it on the link, and tells the sender that it is not there.
    #[must_use]
    pub fn is_forwarded(&self) -> bool {
        let family = if self.address.is_ipv4() { "ipv4" } else { "ipv6" };
        let path = format!("/proc/sys/net/{family}/conf/{}/forwarding", self.interface.name);
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
    }

    /// Answers whoever has asked for the address since the last time, without waiting; says how
    /// many.
    ///
    /// # Errors
    /// The socket failed.
    pub fn answer(&mut self) -> io::Result<usize> {
        let mut answered = 0;
        while let Some(heard) = self.hear()? {
            if let Heard::Question(question) = heard {
                let answer = Message::answer(self.address, self.mac(), &question);
                // Who gets none asks again.
                let _ = self.send(&answer);
                answered += 1;
            }
        }
        Ok(answered)
    }

    fn mac(&self) -> [u8; 6] {
        self.interface.mac.unwrap_or_default()
    }

    fn ask(&self) -> io::Result<()> {
        self.send(&Message::probe(self.address, self.mac()))
    }

    fn send(&self, message: &Message) -> io::Result<()> {
        let Message { bytes, protocol, to } = message;
        sys::send_to_station(self.socket.as_fd(), bytes, *protocol, self.interface.index, *to)
    }

    /// What is next in the queue that concerns us.
    fn hear(&mut self) -> io::Result<Option<Heard>> {
        loop {
            let info = match sys::receive_packet(self.socket.as_fd(), &mut self.buffer) {
                Ok(info) => info,
                Err(error) => match (error.kind(), error.raw_os_error()) {
                    (io::ErrorKind::WouldBlock, _) => return Ok(None),
                    // The link flaps; nobody asks meanwhile.
                    (io::ErrorKind::Interrupted, _) | (_, Some(libc::ENETDOWN)) => continue,
                    _ => return Err(error),
                },
            };
            if info.kind == libc::PACKET_OUTGOING {
                continue;
            }
            let bytes = &self.buffer[..info.len.min(self.buffer.len())];
            if let Some(heard) = Heard::read(self.address, self.mac(), bytes, info.from) {
                return Ok(Some(heard));
            }
        }
    }

    /// Whether somebody says that the address is taken, within the interval between two questions.
    fn contradicted(&mut self) -> io::Result<Option<Station>> {
        let end = clock::now() + INTERVAL;
        loop {
            while let Some(heard) = self.hear()? {
                if let Heard::Conflict(by) = heard {
                    return Ok(Some(Station(by)));
                }
            }
            let left = end.since(clock::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut set = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            // Interrupted or not: another look, and the clock decides.
            let _ = ppoll(&mut set, Some(TimeSpec::from_duration(left)), None);
        }
    }
}

impl AsFd for Spare {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_address_is_named() {
        let error = SpareError::Taken {
            address: "192.0.2.9".parse().unwrap(),
            interface: "eth0".to_owned(),
            by: Station([2, 0, 0, 0xab, 0, 1]),
        };
        assert_eq!(
            error.to_string(),
            "192.0.2.9 is in use on eth0 by 02:00:00:ab:00:01; choose another --source"
        );
    }
}
