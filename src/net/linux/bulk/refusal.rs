//! Why the kernel did not take a frame, and what becomes of it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::net::SendTrouble;
use crate::net::bulk::Refusal;
use crate::net::linux::raw;

/// The destination in an IP header.
pub(super) fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => {
            let octets: &[u8; 4] = packet.get(16..)?.first_chunk()?;
            Some(Ipv4Addr::from(*octets).into())
        }
        6 => {
            let octets: &[u8; 16] = packet.get(24..)?.first_chunk()?;
            Some(Ipv6Addr::from(*octets).into())
        }
        _ => None,
    }
}

/// What the kernel's refusal of an IP packet on `interface` means.
pub(super) fn refusal(error: io::Error, packet: &[u8], interface: &str) -> Refusal {
    let to = destination(packet).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let fatal = is_fatal(&error);
    let error = raw::explain(error, SocketAddr::new(to, 0), interface, packet.len());
    let trouble = SendTrouble::of(&error);
    let kept =
        fatal || matches!(trouble, Some(SendTrouble::QueueFull | SendTrouble::InterfaceDown));
    Refusal { error, trouble, kept }
}

/// Whether every other frame will fare the same.
fn is_fatal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENODEV | libc::ENXIO | libc::EBADF | libc::ENOTSOCK | libc::EPIPE)
    )
}

/// What is left to say of a flush that ended with `refusal` after `sent` frames: an error where
/// nothing more will ever leave.
pub(super) fn conclude(sent: usize, refusal: Refusal) -> io::Result<crate::net::bulk::Flushed> {
    if sent == 0 && refusal.kept && refusal.trouble.is_none() {
        return Err(refusal.error);
    }
    Ok(crate::net::bulk::Flushed { sent, refused: Some(refusal) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errno: i32) -> Refusal {
        let mut packet = [0; 40];
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&[192, 0, 2, 7]);
        refusal(io::Error::from_raw_os_error(errno), &packet, "eth0")
    }

    #[test]
    fn a_frame_is_kept_where_waiting_helps_and_given_up_where_it_alone_is_refused() {
        for errno in [libc::ENOBUFS, libc::EAGAIN, libc::ENETDOWN] {
            assert!(of(errno).kept && of(errno).trouble.is_some(), "{errno}");
            assert!(conclude(0, of(errno)).is_ok());
        }
        for errno in [libc::EPERM, libc::EHOSTUNREACH, libc::ENETUNREACH] {
            assert!(!of(errno).kept && of(errno).trouble.is_some(), "{errno}");
        }
        for errno in [libc::EMSGSIZE, libc::EINVAL] {
            assert!(!of(errno).kept && of(errno).trouble.is_none(), "{errno}");
        }
        assert!(of(libc::EPERM).error.to_string().contains("blocks packets to 192.0.2.7"));
    }

    #[test]
    fn a_dead_interface_is_an_error_once_nothing_leaves_any_more() {
        assert_eq!(conclude(3, of(libc::ENXIO)).unwrap().sent, 3);
        assert_eq!(conclude(0, of(libc::ENXIO)).unwrap_err().to_string(), "interface eth0 is gone");
    }

    #[test]
    fn destinations_are_read_from_either_header() {
        let mut v6 = [0; 40];
        v6[0] = 0x60;
        v6[39] = 1;
        assert_eq!(destination(&v6), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(destination(&v6[..39]), None);
        assert_eq!(destination(&[]), None);
    }
}
