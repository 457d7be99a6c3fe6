//! Switches the kernel's software time stamps on, and tells when they are.
//!
//! The kernel stamps packets only while somebody wants it, and patches its own code to begin,
//! in a background worker: 0.1 ms after the first request on an idle machine, up to 20 ms on a busy
//! one (Linux 6.18). Where an NTP client or a capture runs, stamps are always on. A packet that
//! comes too early has no kernel stamp, and is then stamped by us and said to be.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::ppoll;
use nix::sys::time::TimeSpec;

use super::{clock, sys};

/// Between two looks. Sleeping, so that the worker can run.
const PAUSE: Duration = Duration::from_micros(20);

/// The flags of `SO_TIMESTAMPING` for software stamps on what a socket receives.
pub(super) const SOFTWARE: i32 =
    (libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE).cast_signed();

/// The flags for hardware stamps on what a socket receives, where the interface takes them.
pub(super) const HARDWARE: i32 =
    (libc::SOF_TIMESTAMPING_RX_HARDWARE | libc::SOF_TIMESTAMPING_RAW_HARDWARE).cast_signed();

/// A request for stamps, in force for as long as it lives. Needs no privilege.
#[derive(Debug)]
pub struct Stamping {
    /// Sends to itself over the loopback, to see whether what arrives is stamped.
    socket: UdpSocket,
}

impl Stamping {
    /// Asks for stamps. The earlier in a program, the surer its first packet has one.
    ///
    /// # Errors
    /// There is no loopback to try them on.
    pub fn request() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .or_else(|_| UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)))?;
        socket.connect(socket.local_addr()?)?;
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, SOFTWARE)?;
        Ok(Self { socket })
    }

    /// Whether packets are being stamped.
    #[must_use]
    pub fn is_on(&self) -> bool {
        let mut buffer = [0; 1];
        self.socket.send(&[0]).is_ok()
            && sys::receive_packet(self.socket.as_fd(), &mut buffer)
                .is_ok_and(|info| info.stamps.software.is_some())
    }

    /// Waits until packets are stamped, for `limit` at the longest; false where they still are not.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        let end = clock::now() + limit;
        loop {
            if self.is_on() {
                return true;
            }
            if clock::now() >= end {
                return false;
            }
            // A signal only shortens the pause.
            let _ = ppoll(&mut [], Some(TimeSpec::from_duration(PAUSE)), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_come_once_they_are_asked_for() {
        // Takes 20 ms on a busy machine; the limit is for one without any stamps.
        let stamping = Stamping::request().unwrap();
        assert!(stamping.wait(Duration::from_secs(60)));
        assert!(stamping.is_on(), "and they stay on");
    }
}
