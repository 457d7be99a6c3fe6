//! Sends frames by an AF_XDP socket, in the mode that every driver has: the kernel copies each
//! frame and gives it to the driver, past everything in between.
//!
//! No program is loaded, so that it needs no more than `CAP_NET_RAW`, and what arrives takes its
//! usual way.

use std::io;
use std::time::Duration;

use nix::poll::ppoll;
use nix::sys::time::TimeSpec;

use super::link::{Headers, offset};
use super::refusal::{conclude, refusal};
use super::xsk::{self, Failure, Frames, Receiver, Sender, Step};
use crate::net::SendTrouble;
use crate::net::bulk::{Flushed, Refusal, Transmit};
use crate::net::linux::privilege::PrivilegeError;
use crate::net::linux::{Interface, clock};

/// Frames per system call: what one call sends at most before Linux 6.13, and not slower than
/// more.
const BATCH: u32 = 16;
/// Frames in memory that the kernel shares, 2 MB. Their memory is locked, of which some hosts let
/// an ordinary user have 64 kB: then fewer, and slower.
pub(super) const FRAMES: [u32; 3] = [1024, 128, 16];
/// How long to wait for a queue that is taken: the kernel gives it back a little after a process
/// that had it has ended.
const PATIENCE: Duration = Duration::from_millis(200);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// Why there is no AF_XDP here.
#[derive(Debug, thiserror::Error)]
pub enum XdpError {
    /// A capability is missing.
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// The kernel was built without it.
    #[error("this kernel has no AF_XDP")]
    Kernel,
    /// The loopback and whatever has no Ethernet header.
    #[error("{0} has no Ethernet header, without which AF_XDP does not tell the protocol")]
    NoHeader(String),
    /// The limit of locked memory.
    #[error("AF_XDP needs 32 kB of locked memory; raise it with `ulimit -l`")]
    Memory,
    /// Another AF_XDP socket has the queue.
    #[error("another program sends on {0} by AF_XDP")]
    Busy(String),
    /// The kernel refuses it for this interface.
    #[error("the kernel offers no AF_XDP on {interface}: {source}")]
    Interface {
        /// Its name.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The sending half of an AF_XDP socket whose other half is used for something else.
#[derive(Debug)]
pub struct Sending(pub(super) Sender);

/// The way of frames through AF_XDP.
pub struct XdpPath {
    socket: Sender,
    /// The frame that the caller is writing.
    open: Option<u32>,
    headers: Headers,
    interface: Interface,
}

impl XdpPath {
    /// Opens the way out of `interface`, for frames with one of `headers`. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// [`XdpError`].
    pub fn open(interface: &Interface, headers: &Headers) -> Result<Self, XdpError> {
        if headers.are_empty() {
            return Err(XdpError::NoHeader(interface.name.clone()));
        }
        for to_send in FRAMES {
            match open_patiently(interface, 0, Frames { to_send, to_receive: 0 }) {
                Ok((Some(socket), _)) => return Self::with(Sending(socket), interface, headers),
                Ok((None, _)) | Err(XdpError::Memory) => {}
                Err(error) => return Err(error),
            }
        }
        Err(XdpError::Memory)
    }

    /// The way out by a socket that is open already.
    ///
    /// # Errors
    /// [`XdpError::NoHeader`].
    pub fn with(
        Sending(socket): Sending,
        interface: &Interface,
        headers: &Headers,
    ) -> Result<Self, XdpError> {
        if headers.are_empty() {
            return Err(XdpError::NoHeader(interface.name.clone()));
        }
        Ok(Self { socket, open: None, headers: headers.clone(), interface: interface.clone() })
    }

    /// What the kernel's answer means, when it has taken nothing or not all.
    fn refused(&mut self, sent: usize, error: io::Error) -> io::Result<Flushed> {
        let full = |kept| Refusal {
            error: io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("the transmit queue of {} is full; send more slowly", self.interface.name),
            ),
            trouble: Some(SendTrouble::QueueFull),
            kept,
        };
        match error.raw_os_error() {
            // The driver took the last one, and dropped it: it is sent again.
            Some(libc::EBUSY) if sent > 0 => {
                let again = self.socket.again()?;
                Ok(Flushed { sent: sent - 1, refused: Some(full(again)) })
            }
            Some(libc::EBUSY) => Ok(Flushed { sent, refused: Some(full(true)) }),
            _ => conclude(sent, refusal(error, &[], &self.interface.name)),
        }
    }
}

/// Opens a socket at a queue, which may be somebody's for a moment still.
pub(super) fn open_patiently(
    interface: &Interface,
    queue: u32,
    frames: Frames,
) -> Result<(Option<Sender>, Option<Receiver>), XdpError> {
    let deadline = clock::now() + PATIENCE;
    loop {
        match xsk::open(interface.index, queue, frames).map_err(|it| explain(it, &interface.name)) {
            Err(XdpError::Busy(_)) if clock::now() < deadline => {
                // A signal only shortens the pause.
                let _ = ppoll(&mut [], Some(TimeSpec::from_duration(PAUSE)), None);
            }
            result => return result,
        }
    }
}

fn explain(Failure { step, error }: Failure, interface: &str) -> XdpError {
    let interface = interface.to_owned();
    match (step, error.raw_os_error()) {
        (Step::Socket, Some(libc::EPERM | libc::EACCES)) => {
            XdpError::Privilege(PrivilegeError::missing_net_raw())
        }
        (Step::Socket, _) | (Step::Rings, Some(libc::EOPNOTSUPP)) => XdpError::Kernel,
        (Step::Memory, Some(libc::ENOBUFS | libc::ENOMEM | libc::EPERM)) => XdpError::Memory,
        (Step::Bind, Some(libc::EBUSY)) => XdpError::Busy(interface),
        (_, _) => XdpError::Interface { interface, source: error },
    }
}

impl Transmit for XdpPath {
    fn name(&self) -> &'static str {
        "af_xdp"
    }

    fn link_header(&self, v6: bool) -> &[u8] {
        self.headers.of(v6)
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        if self.open.is_none() {
            self.open = self.socket.take();
        }
        self.socket.frame(self.open?)
    }

    fn commit(&mut self, len: usize) {
        // Below a header's length the kernel calls the descriptor invalid, and skips it.
        let len = len.max(offset(&self.headers));
        if let Some(frame) = self.open.take() {
            // Only where the kernel named a place outside of its own ring, and then it never sends.
            let _ = self.socket.queue(frame, len);
        }
    }

    fn queued(&self) -> usize {
        let waiting = self.socket.waiting().unwrap_or(0);
        usize::try_from(self.socket.hidden() + waiting).unwrap_or(usize::MAX)
    }

    fn flush(&mut self) -> io::Result<Flushed> {
        let begun = self.queued();
        let mut before = self.socket.waiting()?;
        loop {
            self.socket.show(BATCH.saturating_sub(before))?;
            let shown = self.socket.waiting()?;
            if shown == 0 {
                // What is done with makes room; while there is room, it may wait.
                return Ok(Flushed { sent: begun, refused: None });
            }
            let woken = self.socket.wake();
            before = self.socket.waiting()?;
            match woken {
                Ok(()) if before < shown => {}
                Err(error)
                    if before < shown
                        && matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(()) => {
                    let error = io::Error::from_raw_os_error(libc::EAGAIN);
                    return self.refused(begun - self.queued(), error);
                }
                Err(error) => return self.refused(begun - self.queued(), error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_there_is_none_is_said() {
        let said = |step, errno| {
            let error = io::Error::from_raw_os_error(errno);
            explain(Failure { step, error }, "eth0").to_string()
        };
        assert_eq!(said(Step::Socket, libc::EAFNOSUPPORT), "this kernel has no AF_XDP");
        assert!(said(Step::Socket, libc::EPERM).starts_with("CAP_NET_RAW is missing"));
        assert!(said(Step::Memory, libc::ENOBUFS).contains("`ulimit -l`"));
        assert_eq!(said(Step::Bind, libc::EBUSY), "another program sends on eth0 by AF_XDP");
        assert!(
            said(Step::Bind, libc::EOPNOTSUPP).starts_with("the kernel offers no AF_XDP on eth0: ")
        );
    }
}
