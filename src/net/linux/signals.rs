//! SIGINT, SIGTERM, SIGHUP and SIGQUIT as events in the poll set.
//!
//! They are blocked and read from a descriptor, so that none can arrive between looking and
//! waiting, and no handler runs in the middle of anything.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::sys;

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Come to an end.
    End,
    /// Show how far it has got.
    Status,
}

/// The signals, blocked for as long as this lives.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Blocks the signals in this thread and opens a descriptor for them. To be called while the
    /// process has one thread.
    ///
    /// # Errors
    /// The kernel gives no descriptor.
    pub fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            // A signal that is ignored (nohup, a background job of a script) stays so: blocking it
            // would make it arrive here.
            if !sys::is_ignored(signal as i32) {
                set.add(signal);
            }
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&set, flags)?;
        let before = set.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        Ok(Self { descriptor, before })
    }

    /// The next signal that has arrived, without waiting.
    ///
    /// After the first that asks for an end, SIGINT and SIGTERM have their usual effect again: a
    /// second Ctrl-C ends a process that does not get ready. SIGHUP stays blocked, since a
    /// terminal that goes away sends it more than once.
    ///
    /// # Errors
    /// The descriptor cannot be read.
    pub fn read(&mut self) -> io::Result<Option<Request>> {
        let Some(info) = self.descriptor.read_signal()? else { return Ok(None) };
        if i32::try_from(info.ssi_signo) == Ok(libc::SIGQUIT) {
            return Ok(Some(Request::Status));
        }
        let mut impatient = SigSet::empty();
        impatient.add(Signal::SIGINT);
        impatient.add(Signal::SIGTERM);
        impatient.thread_unblock()?;
        Ok(Some(Request::End))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Nothing can be done about a failure, and a pending signal takes effect now as it should.
        let _ = self.before.thread_set_mask();
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn the_first_request_to_end_is_an_event_and_the_second_is_deadly() {
        // In a thread of its own, since the mask is a thread's. SIGTERM, since a test run in the
        // background may ignore the others.
        std::thread::spawn(|| {
            let before = SigSet::thread_get_mask().unwrap();
            let mut signals = Signals::take().unwrap();
            assert_eq!(signals.read().unwrap(), None);
            raise(Signal::SIGTERM).unwrap();
            assert_eq!(signals.read().unwrap(), Some(Request::End));
            assert!(!SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM));
            drop(signals);
            assert_eq!(SigSet::thread_get_mask().unwrap(), before);
        })
        .join()
        .unwrap();
    }
}
