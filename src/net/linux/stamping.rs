//! Waits for the kernel's time stamps to be switched on.
//!
//! The first socket that asks for stamps makes the kernel patch them into its packet path, which
//! a worker does some time later. Packets that pass before that have no stamp. Whether it is done
//! shows in a datagram that this process sends to itself over loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};

use super::capture::STAMPS;
use super::sys;

/// Datagrams to send before we go on without: a few milliseconds.
const ATTEMPTS: usize = 400;

/// Returns once stamps are on, or after a few milliseconds: a packet without one is then reported
/// with our own clock's time, and says so.
///
/// # Errors
/// There is no loopback to try it on. Harmless for the same reason.
pub(super) fn wait_until_on() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, STAMPS)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.connect(&socket.local_addr()?)?;
    let mut byte = [0];
    for _ in 0..ATTEMPTS {
        socket.send(&byte)?;
        poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::from(1_u8))?;
        match sys::receive_packet(socket.as_fd(), &mut byte) {
            Ok(packet) if packet.stamp.is_some() => break,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
