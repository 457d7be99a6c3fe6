//! Sends frames by a packet socket, past the queueing discipline, many with one system call.

use std::io;
use std::os::fd::AsFd;

use socket2::{Domain, Socket, Type};

use super::batch::{Batch, Destination};
use super::link::{Headers, offset, protocol};
use super::refusal::{conclude, refusal};
use crate::net::bulk::{Flushed, Transmit};
use crate::net::linux::Interface;
use crate::net::linux::sys;

/// Frames of one system call. From 8 to 256 the speed is the same.
const BATCH: usize = 64;
/// Bytes of frames, as the kernel counts them, that may be on their way in the driver.
const KERNEL_BUFFER: i32 = 4 << 20;

/// The way of frames through a packet socket.
pub struct PacketPath {
    socket: Socket,
    batch: Batch,
    headers: Headers,
    interface: Interface,
}

impl PacketPath {
    /// Opens the way out of `interface`, for frames with one of `headers`. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// The kernel refuses the socket or one of its options.
    pub fn open(interface: &Interface, headers: &Headers) -> io::Result<Self> {
        // Protocol 0: deaf.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        let fd = socket.as_fd();
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
        // Beyond the system's limit needs CAP_NET_ADMIN; less only makes the queue full earlier.
        if sys::set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, KERNEL_BUFFER).is_err() {
            sys::set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, KERNEL_BUFFER)?;
        }
        let index = i32::try_from(interface.index).map_err(io::Error::other)?;
        sys::bind_packet(fd, 0, index)?;
        Ok(Self {
            socket,
            batch: Batch::new(BATCH),
            headers: headers.clone(),
            interface: interface.clone(),
        })
    }
}

impl Transmit for PacketPath {
    fn name(&self) -> &'static str {
        "af_packet"
    }

    fn link_header(&self, v6: bool) -> &[u8] {
        self.headers.of(v6)
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        self.batch.slot()
    }

    fn commit(&mut self, len: usize) {
        // Without a header that says it, the driver must be told which protocol this is.
        let to = if self.headers.are_empty() {
            let version = self.batch.slot().and_then(|slot| slot.first().copied()).unwrap_or(0);
            Destination::Link(self.interface.index, protocol(version >> 4 == 6))
        } else {
            Destination::Bound
        };
        self.batch.commit(len, to);
    }

    fn queued(&self) -> usize {
        self.batch.len()
    }

    fn flush(&mut self) -> io::Result<Flushed> {
        let mut sent = 0;
        while self.batch.len() > 0 {
            match self.batch.send(self.socket.as_fd(), usize::MAX) {
                Ok(taken) => sent += taken,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let frame = self.batch.frame(0);
                    let packet = frame.get(offset(&self.headers)..).unwrap_or_default();
                    let refusal = refusal(error, packet, &self.interface.name);
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
