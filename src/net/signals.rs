//! Signals as something to wait for beside packets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::Received;

/// The signals that end a run politely.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// A descriptor that becomes readable when a signal comes.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
    asked: bool,
}

impl Signals {
    /// Takes SIGINT, SIGTERM, SIGHUP and SIGQUIT over from their usual effects.
    pub(crate) fn open() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in ENDING {
            mask.add(signal);
        }
        mask.add(Signal::SIGQUIT);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self { fd: SignalFd::with_flags(&mask, flags)?, asked: false })
    }

    /// The signal that came, if one did.
    pub(crate) fn next(&mut self) -> io::Result<Option<Received>> {
        let Some(signal) = self.fd.read_signal()? else { return Ok(None) };
        if signal.ssi_signo == Signal::SIGQUIT as u32 {
            return Ok(Some(Received::StatusRequested));
        }
        if !self.asked {
            // Whoever asks twice does not want to wait for our politeness: from now on the signals
            // have their usual effect.
            self.asked = true;
            let mask: SigSet = ENDING.into_iter().collect();
            sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&mask), None)?;
        }
        Ok(Some(Received::Interrupted))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
