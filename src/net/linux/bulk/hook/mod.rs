//! Hears what arrives for a sweep at the interface itself, by an XDP program that hands it to AF_XDP
//! sockets: past the kernel's IP and TCP, which take most of the time of an answer.
//!
//! What the program does not take goes its usual way, and is heard by the [ring](super::ring): ICMP
//! errors, fragments, and what comes by queues without a socket.

mod bpf;
mod program;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::link::ETHERNET;
use super::records::without_padding;
use super::ring::{Interest, Ring};
use super::xdp::{self, Sending, XdpError, open_patiently};
use super::xsk::{Frames, Receiver};
use crate::net::ChecksumTrust;
use crate::net::bulk::{Collect, Collected, Packet, SLOT, Wake};
use crate::net::linux::{Interface, LinkKind, clock, privilege, sys};
use crate::time::Instant;

/// Frames of all queues together, 32 MB: as many answers as come within 30 ms at half a million a
/// second.
const FRAMES: u32 = 16_384;
/// Frames of a queue at least, and queues at most: what comes by others is left to the ring.
const LEAST: u32 = 512;
const QUEUES: u32 = FRAMES / LEAST;
/// Bytes of a frame that the kernel keeps free in front of the packet.
const HEADROOM: u32 = 256;
/// Packets of a queue that are handed over at once: whoever has them is to answer them soon.
const MOST: u32 = 1_024;
/// How long what arrives may wait for us while more arrives: to be woken for each packet would cost more
/// than the packet.
const NAP: Duration = Duration::from_micros(500);
/// How long nothing has to arrive for us to be woken by the next packet.
const LULL: Duration = Duration::from_millis(10);

/// Why answers cannot be taken at the interface.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Capabilities are missing.
    #[error(
        "an XDP program needs CAP_NET_ADMIN and CAP_BPF of the host, not of a user namespace: run \
         `sudo setcap cap_net_raw,cap_net_admin,cap_bpf+p {0}` once, or use sudo"
    )]
    Privilege(String),
    /// The loopback, and whatever has no Ethernet header.
    #[error("{0} has no Ethernet header, which the program reads; leave --receive out")]
    Form(String),
    /// Frames of this MTU do not fit.
    #[error("the MTU of {0} is {1}, and there is room for packets of {2}; leave --receive out")]
    Mtu(String, u32, u32),
    /// Somebody else's program is there.
    #[error("another XDP program is attached to {0}")]
    Busy(String),
    /// Before Linux 5.9 a program would outlive us.
    #[error("this kernel cannot attach an XDP program that goes with its process (Linux 5.9 can)")]
    Kernel,
    /// There is no AF_XDP.
    #[error(transparent)]
    Xdp(#[from] XdpError),
    /// The kernel refuses one of the steps.
    #[error("the kernel refuses {what} for {interface}: {source}")]
    Refused {
        /// The step.
        what: &'static str,
        /// The interface.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A ring, and a program in front of it.
#[derive(Debug)]
pub struct Hook {
    // First to go: the interface is as before, and the sockets get nothing more.
    _link: OwnedFd,
    by_driver: bool,
    receivers: Vec<Receiver>,
    ring: Ring,
    /// When the last packet came.
    last: Instant,
}

impl Hook {
    /// Puts the program in front of `ring`, at `interface`, for what `interest` says; gives a way to send
    /// by the same socket, too, since an interface's queue has one at a time. What privilege is left may
    /// be dropped afterwards.
    ///
    /// # Errors
    /// [`HookError`].
    pub fn open(
        ring: Ring,
        interface: &Interface,
        interest: &Interest,
    ) -> Result<(Self, Sending), HookError> {
        let name = || interface.name.clone();
        if interface.link != LinkKind::Ethernet || interface.is_loopback {
            return Err(HookError::Form(name()));
        }
        let room = SLOT as u32 - HEADROOM - ETHERNET as u32;
        if interface.mtu > room {
            return Err(HookError::Mtu(name(), interface.mtu, room));
        }
        privilege::raise_for_programs();
        let refused = |what| move |source| refusal(what, name(), source);
        let queues = queues(interface).min(QUEUES);
        let map = bpf::map_of_sockets(queues).map_err(refused("a map of sockets"))?;
        let (sender, receivers) = sockets(interface, queues)?;
        for (queue, receiver) in (0..).zip(&receivers) {
            bpf::enter(map.as_fd(), queue, receiver.as_fd())
                .map_err(refused("a socket in a map"))?;
        }
        let sources: Vec<_> = interest.sources.iter().copied().collect();
        let first = interest.ports.first().copied().unwrap_or(0);
        let ports = first..=interest.ports.last().copied().unwrap_or(first);
        let code = program::program(map.as_raw_fd(), &sources, &ports);
        let loaded = bpf::load(&code).map_err(refused("an XDP program"))?;
        let (link, by_driver) =
            bpf::link(loaded.as_fd(), interface.index).map_err(refused(ATTACHING))?;
        let last = Instant::ZERO;
        Ok((Self { _link: link, by_driver, receivers, ring, last }, sender))
    }
}

/// The step that older kernels do not know.
const ATTACHING: &str = "to attach an XDP program";

fn refusal(what: &'static str, interface: String, source: io::Error) -> HookError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => HookError::Privilege(privilege::program()),
        Some(libc::EBUSY | libc::EEXIST) => HookError::Busy(interface),
        Some(libc::EINVAL) if what == ATTACHING => HookError::Kernel,
        _ => HookError::Refused { what, interface, source },
    }
}

/// How many queues an interface receives by; one where its driver does not say.
fn queues(interface: &Interface) -> u32 {
    let Ok(socket) = UnixDatagram::unbound() else { return 1 };
    sys::receive_queues(socket.as_fd(), &interface.name).map_or(1, |count| count.max(1))
}

/// A socket at each queue; that of the first also sends.
fn sockets(interface: &Interface, queues: u32) -> Result<(Sending, Vec<Receiver>), XdpError> {
    let to_receive = FRAMES / queues.next_power_of_two();
    let mut receivers = Vec::new();
    let mut sending = None;
    for queue in 0..queues {
        let to_send = if queue == 0 { xdp::FRAMES[0] } else { 0 };
        let (sender, receiver) = open_patiently(interface, queue, Frames { to_send, to_receive })?;
        sending = sending.or(sender);
        receivers.extend(receiver);
    }
    // Both were asked for.
    sending.map(|sender| (Sending(sender), receivers)).ok_or(XdpError::Kernel)
}

impl Collect for Hook {
    fn name(&self) -> &'static str {
        if self.by_driver { "xdp" } else { "xdp_generic" }
    }

    fn collect(
        &mut self,
        until: Instant,
        each: &mut dyn FnMut(Packet<'_>),
    ) -> io::Result<Collected> {
        loop {
            let (mut packets, mut behind) = (0, false);
            for receiver in &mut self.receivers {
                packets += receiver.drain(MOST, &mut |frame| {
                    if let Some(packet) = packet(frame) {
                        each(packet);
                    }
                })?;
                behind |= receiver.is_behind()?;
            }
            let now = clock::now();
            if packets > 0 {
                self.last = now;
            }
            let mut rest = if packets > 0 {
                self.ring.gather(now, &[], each)?
            } else if now.since(self.last) < LULL {
                self.ring.gather(until.min(now + NAP), &[], each)?
            } else {
                let fds: Vec<BorrowedFd<'_>> = self.receivers.iter().map(AsFd::as_fd).collect();
                self.ring.gather(until, &fds, each)?
            };
            rest.packets += packets;
            rest.behind = behind;
            if rest.packets > 0 && rest.wake == Wake::Deadline {
                rest.wake = Wake::Packets;
            }
            if rest.wake != Wake::Deadline || clock::now() >= until {
                return Ok(rest);
            }
        }
    }

    fn drops(&mut self) -> io::Result<u64> {
        let ours: io::Result<u64> = self.receivers.iter().map(Receiver::drops).sum();
        Ok(self.ring.drops()? + ours?)
    }
}

/// What the program made of a frame: the first eight bytes of its header hold the time.
fn packet(frame: &[u8]) -> Option<Packet<'_>> {
    let at = Instant::from_nanos(u64::from_ne_bytes(*frame.first_chunk()?));
    let bytes = without_padding(frame.get(ETHERNET..)?);
    // Nobody says whether a sender on this host left the sum to hardware.
    Some(Packet { bytes, at, trust: ChecksumTrust::RightOrUnfinished, outgoing: false })
}
