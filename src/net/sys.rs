//! The few system calls that no safe crate exposes, each behind a safe function. This is the only
//! file of the crate with `unsafe` in it.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets a socket option whose value is a plain C integer or struct.
pub(crate) fn set_option<T: Copy>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let length = socklen::<T>();
    // SAFETY: the pointer and length describe `value`, which outlives the call; the kernel only
    // reads that many bytes.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const *value).cast(), length)
    };
    check(result).map(drop)
}

/// Attaches a classic BPF program to a socket, replacing the one before in a single step.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, program: &[libc::sock_filter]) -> io::Result<()> {
    let len =
        u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    // The kernel copies the instructions and does not write to them, whatever the pointer's type.
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}

/// Binds an `AF_PACKET` socket to all protocols on every interface.
pub(crate) fn bind_to_all(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: every bit pattern of zeros is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET.cast_unsigned() as u16;
    address.sll_protocol = (libc::ETH_P_ALL.cast_unsigned() as u16).to_be();
    // SAFETY: the pointer and length describe `address`, which outlives the call.
    let result = unsafe {
        libc::bind(fd.as_raw_fd(), (&raw const address).cast(), socklen::<libc::sockaddr_ll>())
    };
    check(result).map(drop)
}

/// What came with a captured packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Captured {
    /// Bytes of the packet, which may be more than the buffer held.
    pub(crate) len: usize,
    /// `PACKET_HOST`, `PACKET_OUTGOING` …
    pub(crate) packet_type: u8,
    /// `TP_STATUS_…` of the auxiliary data.
    pub(crate) status: u32,
    /// The kernel's stamp, in wall-clock nanoseconds.
    pub(crate) stamp: Option<i64>,
}

/// Reads one packet, with its auxiliary data, without waiting. `None` where there is none.
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<Captured>> {
    // SAFETY: zeros are a valid sockaddr_ll and a valid msghdr.
    let mut from: libc::sockaddr_ll = unsafe { mem::zeroed() };
    let mut control = [0u64; 32];
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = socklen::<libc::sockaddr_ll>();
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = mem::size_of_val(&control);
    // SAFETY: every pointer in `message` is to a local that outlives the call, with its length.
    let result = unsafe {
        libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT | libc::MSG_TRUNC)
    };
    let len = match usize::try_from(result) {
        Ok(len) => len,
        Err(_) => {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        }
    };
    let mut captured = Captured { len, packet_type: from.sll_pkttype, ..Captured::default() };
    // SAFETY: the kernel filled `message`, and CMSG_FIRSTHDR and CMSG_NXTHDR stay within its control
    // buffer, which is aligned for a cmsghdr. The data of each kind is read unaligned, and is at
    // least as long as the struct of that kind, as the header's length says.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while let Some(head) = header.as_ref() {
            let data = libc::CMSG_DATA(header);
            let length = head.cmsg_len - libc::CMSG_LEN(0) as usize;
            match (head.cmsg_level, head.cmsg_type) {
                (libc::SOL_PACKET, libc::PACKET_AUXDATA)
                    if length >= mem::size_of::<libc::tpacket_auxdata>() =>
                {
                    let auxiliary = data.cast::<libc::tpacket_auxdata>().read_unaligned();
                    captured.status = auxiliary.tp_status;
                }
                (libc::SOL_SOCKET, libc::SO_TIMESTAMPING)
                    if length >= mem::size_of::<[libc::timespec; 3]>() =>
                {
                    // Software, a slot that is no longer used, and the interface's own clock.
                    let [software, ..] = data.cast::<[libc::timespec; 3]>().read_unaligned();
                    let nanos = software.tv_sec.saturating_mul(1_000_000_000) + software.tv_nsec;
                    captured.stamp = (nanos != 0).then_some(nanos);
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok(Some(captured))
}

/// Packets that the kernel dropped for want of room since the last call.
pub(crate) fn packet_drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = socklen::<libc::tpacket_stats>();
    // SAFETY: the pointer and length describe `statistics`; the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    check(result)?;
    Ok(statistics.tp_drops)
}

/// Brings an interface up.
pub(crate) fn set_interface_up(fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let mut request = interface_request(name)?;
    ioctl(fd, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS filled in the flags, and any value of the union's bytes is a valid one.
    unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    ioctl(fd, libc::SIOCSIFFLAGS, &mut request)
}

/// An interface's MTU, in bytes.
pub(crate) fn interface_mtu(fd: BorrowedFd<'_>, name: &str) -> io::Result<u32> {
    let mut request = interface_request(name)?;
    ioctl(fd, libc::SIOCGIFMTU, &mut request)?;
    // SAFETY: SIOCGIFMTU filled in the MTU, an integer.
    Ok(unsafe { request.ifr_ifru.ifru_mtu }.unsigned_abs())
}

/// An interface's link type, `ARPHRD_…`.
pub(crate) fn interface_link(fd: BorrowedFd<'_>, name: &str) -> io::Result<u16> {
    let mut request = interface_request(name)?;
    ioctl(fd, libc::SIOCGIFHWADDR, &mut request)?;
    // SAFETY: SIOCGIFHWADDR filled in a sockaddr, whose family is the link type.
    Ok(unsafe { request.ifr_ifru.ifru_hwaddr.sa_family })
}

fn interface_request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: zeros are a valid ifreq.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte.cast_signed();
    }
    Ok(request)
}

fn ioctl(fd: BorrowedFd<'_>, code: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every request of this file reads and writes one ifreq, and `request` is one.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), code, &raw mut *request) };
    check(result).map(drop)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn socklen<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(mem::size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}
