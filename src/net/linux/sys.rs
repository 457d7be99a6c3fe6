//! The system calls that neither `socket2` nor `nix` offers in safe form, each behind a safe
//! function. All `unsafe` of the crate lives here, and in `batch`, `mapping` and `xsk` of
//! [`bulk`](super::bulk), which share memory with the kernel.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::control::{self, Messages, Stamps};

/// `ETHTOOL_GET_TS_INFO`'s answer, the parts that we read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::net) struct TimestampInfo {
    /// `SOF_TIMESTAMPING_*` bits.
    pub(in crate::net) modes: u32,
    /// Index of the hardware clock, or -1.
    pub(in crate::net) hardware_clock: i32,
    /// `HWTSTAMP_TX_*`, one bit each.
    pub(in crate::net) transmit_modes: u32,
    /// `HWTSTAMP_FILTER_*`, one bit each.
    pub(in crate::net) receive_filters: u32,
}

/// What the kernel says about a captured packet beside its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct PacketInfo {
    /// The packet's length in bytes, also where the buffer was shorter.
    pub(super) len: usize,
    /// `sll_pkttype`: `PACKET_HOST`, `PACKET_OUTGOING`, …
    pub(super) kind: u8,
    /// `tp_status` of `PACKET_AUXDATA`, zero where there was none.
    pub(super) status: u32,
    /// The index of the interface that it was seen on.
    pub(super) interface: u32,
    /// The hardware address that it comes from, where that is one of Ethernet's form.
    pub(super) from: [u8; 6],
    /// When it was seen.
    pub(super) stamps: Stamps,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn length<T>() -> libc::socklen_t {
    // Every type passed here is a few words long.
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

/// Sets an integer socket option.
pub(super) fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer and the length describe a live integer, which the kernel only reads.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast(),
            length::<libc::c_int>(),
        )
    })
    .map(drop)
}

/// Sets a socket option that is a structure, given as its bytes.
pub(super) fn set_structure(
    fd: BorrowedFd<'_>,
    level: i32,
    name: i32,
    bytes: &[u8],
) -> io::Result<()> {
    let size = libc::socklen_t::try_from(bytes.len()).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe live bytes, which the kernel only reads.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, bytes.as_ptr().cast(), size) })
        .map(drop)
}

/// Binds a packet socket to `protocol` on the interface `index`; 0 is every interface.
pub(super) fn bind_packet(fd: BorrowedFd<'_>, protocol: u16, index: i32) -> io::Result<()> {
    // SAFETY: all fields of `sockaddr_ll` are integers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index;
    // SAFETY: the pointer and the length describe a live `sockaddr_ll`.
    check(unsafe {
        libc::bind(fd.as_raw_fd(), ptr::from_ref(&address).cast(), length::<libc::sockaddr_ll>())
    })
    .map(drop)
}

/// Sends a packet of `protocol` by a cooked packet socket to a station on the interface `index`,
/// without waiting.
pub(super) fn send_to_station(
    fd: BorrowedFd<'_>,
    packet: &[u8],
    protocol: u16,
    index: u32,
    station: [u8; 6],
) -> io::Result<()> {
    // SAFETY: all fields of `sockaddr_ll` are integers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index.cast_signed();
    address.sll_halen = 6;
    address.sll_addr[..6].copy_from_slice(&station);
    // SAFETY: both pointers and lengths describe live values, which the kernel only reads.
    let sent = unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            libc::MSG_DONTWAIT,
            ptr::from_ref(&address).cast(),
            length::<libc::sockaddr_ll>(),
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Packets that a packet socket has dropped since the last call, for want of buffer.
pub(super) fn packet_drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: `tpacket_stats` is two integers.
    let mut stats: libc::tpacket_stats = unsafe { zeroed() };
    let mut len = length::<libc::tpacket_stats>();
    // SAFETY: the kernel writes at most `len` bytes into `stats`.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            ptr::from_mut(&mut stats).cast(),
            &raw mut len,
        )
    })?;
    Ok(stats.tp_drops)
}

/// Room for control messages, aligned as `cmsghdr` wants it.
#[repr(C, align(8))]
struct Control([u8; 256]);

/// Receives one packet from a packet socket, without waiting.
pub(super) fn receive_packet(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<PacketInfo> {
    // SAFETY: integers only.
    let mut from: libc::sockaddr_ll = unsafe { zeroed() };
    let mut control = Control([0; 256]);
    let (len, written) = receive(fd, buffer, Some(&mut from), &mut control, libc::MSG_TRUNC)?;
    let mut info = PacketInfo { len, kind: from.sll_pkttype, ..PacketInfo::default() };
    info.interface = from.sll_ifindex.cast_unsigned();
    info.from.copy_from_slice(&from.sll_addr[..6]);
    for message in Messages(&control.0[..written]) {
        match (message.level, message.kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => info.stamps = Stamps::read(message.data),
            // A `tpacket_auxdata`, whose first field is the 32-bit status.
            (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                info.status =
                    message.data.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
            }
            _ => {}
        }
    }
    Ok(info)
}

/// A stamp that was taken when a packet left, from the error queue of the socket that sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DepartureInfo {
    /// Bytes of the packet that were put into the buffer: its link header, and the packet.
    pub(super) len: usize,
    /// The number of the packet on its socket (`SOF_TIMESTAMPING_OPT_ID`); `None` for an error that
    /// is no stamp.
    pub(super) key: Option<u32>,
    /// When.
    pub(super) stamps: Stamps,
}

/// Receives one stamp from the error queue of a sending socket, without waiting.
pub(super) fn receive_departure(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<DepartureInfo> {
    let mut control = Control([0; 256]);
    let (len, written) = receive(fd, buffer, None, &mut control, libc::MSG_ERRQUEUE)?;
    let mut info = DepartureInfo { len, key: None, stamps: Stamps::default() };
    for message in Messages(&control.0[..written]) {
        match (message.level, message.kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => info.stamps = Stamps::read(message.data),
            _ => info.key = info.key.or(control::key(message)),
        }
    }
    Ok(info)
}

/// Receives a message without waiting: its length and that of its control messages.
fn receive(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    from: Option<&mut libc::sockaddr_ll>,
    control: &mut Control,
    flags: i32,
) -> io::Result<(usize, usize)> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { zeroed() };
    if let Some(from) = from {
        message.msg_name = ptr::from_mut(from).cast();
        message.msg_namelen = length::<libc::sockaddr_ll>();
    }
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: `message` points at live buffers of the lengths that it states.
    let received =
        unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT | flags) };
    let Ok(len) = usize::try_from(received) else { return Err(io::Error::last_os_error()) };
    Ok((len, (message.msg_controllen as usize).min(size_of::<Control>())))
}

/// An interface request for `name`.
fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: integers, pointers and a union of them, for which zero is a value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // The last byte stays zero: the kernel wants a terminated name.
    if name.len() >= request.ifr_name.len() || name.contains('\0') {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    Ok(request)
}

fn ioctl(fd: BorrowedFd<'_>, code: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every code passed here takes a pointer to an `ifreq`; where that holds a pointer
    // (ethtool, time stamps), the caller has pointed it at a live structure of the command's size.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), code as _, ptr::from_mut(request)) }).map(drop)
}

/// The MTU of an interface, in bytes.
pub(super) fn interface_mtu(fd: BorrowedFd<'_>, name: &str) -> io::Result<u32> {
    let mut request = request(name)?;
    ioctl(fd, libc::SIOCGIFMTU, &mut request)?;
    // SAFETY: SIOCGIFMTU has filled in `ifru_mtu`.
    Ok(u32::try_from(unsafe { request.ifr_ifru.ifru_mtu }).unwrap_or(0))
}

/// The hardware type (`ARPHRD_*`) of an interface, and the first six bytes of its address.
pub(super) fn interface_hardware(fd: BorrowedFd<'_>, name: &str) -> io::Result<(u16, [u8; 6])> {
    let mut request = request(name)?;
    ioctl(fd, libc::SIOCGIFHWADDR, &mut request)?;
    // SAFETY: SIOCGIFHWADDR has filled in `ifru_hwaddr`.
    let address = unsafe { request.ifr_ifru.ifru_hwaddr };
    let mut bytes = [0; 6];
    for (to, from) in bytes.iter_mut().zip(address.sa_data) {
        *to = from.cast_unsigned();
    }
    Ok((address.sa_family, bytes))
}

/// The flags (`IFF_*`) of an interface.
pub(super) fn interface_flags(fd: BorrowedFd<'_>, name: &str) -> io::Result<i32> {
    let mut request = request(name)?;
    ioctl(fd, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS has filled in `ifru_flags`.
    Ok(i32::from(unsafe { request.ifr_ifru.ifru_flags }))
}

/// Brings an interface up.
pub(super) fn interface_up(fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let mut request = request(name)?;
    ioctl(fd, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS has filled in `ifru_flags`; writing an integer field of a union of
    // plain data is sound.
    unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    ioctl(fd, libc::SIOCSIFFLAGS, &mut request)
}

/// The value of an ethtool command that answers with one word: `ETHTOOL_GGRO` and its like.
pub(in crate::net) fn ethtool_value(
    fd: BorrowedFd<'_>,
    name: &str,
    command: u32,
) -> io::Result<u32> {
    let mut words = [command, 0];
    ethtool(fd, name, &mut words)?;
    Ok(words[1])
}

/// The time stamps that an interface can take.
pub(in crate::net) fn ethtool_timestamps(
    fd: BorrowedFd<'_>,
    name: &str,
) -> io::Result<TimestampInfo> {
    const ETHTOOL_GET_TS_INFO: u32 = 0x41;
    // `struct ethtool_ts_info`: command, modes, clock index, modes of sending, three reserved words,
    // filters of receiving, and three more.
    let mut words = [0; 11];
    words[0] = ETHTOOL_GET_TS_INFO;
    ethtool(fd, name, &mut words)?;
    Ok(TimestampInfo {
        modes: words[1],
        hardware_clock: words[2].cast_signed(),
        transmit_modes: words[3],
        receive_filters: words[7],
    })
}

/// How many queues an interface receives by.
pub(in crate::net) fn receive_queues(fd: BorrowedFd<'_>, name: &str) -> io::Result<u32> {
    const ETHTOOL_GCHANNELS: u32 = 0x3c;
    // `struct ethtool_channels`: command, the most of receiving, sending, other and combined ones, and
    // then how many there are of each.
    let mut words = [0; 9];
    words[0] = ETHTOOL_GCHANNELS;
    ethtool(fd, name, &mut words)?;
    Ok(words[5].saturating_add(words[8]))
}

/// Which packets an interface stamps by its hardware at present: `HWTSTAMP_TX_*` and
/// `HWTSTAMP_FILTER_*`. Needs no privilege, and changes nothing.
pub(in crate::net) fn hardware_stamping(fd: BorrowedFd<'_>, name: &str) -> io::Result<(i32, i32)> {
    // SAFETY: `hwtstamp_config` is three integers.
    let mut config: libc::hwtstamp_config = unsafe { zeroed() };
    let mut request = request(name)?;
    request.ifr_ifru.ifru_data = ptr::from_mut(&mut config).cast();
    ioctl(fd, libc::SIOCGHWTSTAMP, &mut request)?;
    Ok((config.tx_type, config.rx_filter))
}

fn ethtool<const N: usize>(fd: BorrowedFd<'_>, name: &str, words: &mut [u32; N]) -> io::Result<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    ioctl(fd, libc::SIOCETHTOOL, &mut request)
}

/// The name of the interface with this index.
pub(super) fn interface_name(index: u32) -> io::Result<String> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the IF_NAMESIZE bytes that the function may write.
    let result = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if result.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: on success the buffer holds a terminated string.
    Ok(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}

/// Whether this process ignores `signal`, as under `nohup`.
pub(super) fn is_ignored(signal: i32) -> bool {
    // SAFETY: `sigaction` is integers and a function address, for which zero is a value.
    let mut action: libc::sigaction = unsafe { zeroed() };
    // SAFETY: a null new action only asks; the kernel fills in `action`.
    let result = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Runs `work` in a child process and returns its answer.
///
/// For what changes the process that tries it, as entering a namespace does. `work` must neither
/// allocate nor take a lock: one that another thread holds stays locked in the child for ever.
///
/// # Errors
/// There is no child to be had, or it was killed.
pub(super) fn in_child(work: impl FnOnce() -> u8) -> io::Result<u8> {
    // SAFETY: the child does nothing but `work`, which keeps to what is said above.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let answer = work();
            // SAFETY: always sound; runs no destructors and flushes no buffers of the parent's.
            unsafe { libc::_exit(answer.into()) }
        }
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Err(nix::Error::EINTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(WaitStatus::Exited(_, code)) => {
                    return Ok(u8::try_from(code).unwrap_or(u8::MAX));
                }
                Ok(_) => return Err(io::Error::other("the child was killed")),
            }
        },
    }
}
