//! A private network, for the demo and the tests.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use socket2::{Domain, Socket, Type};

use super::sys;

/// Why there is no private network to be had.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// This system does not let ordinary users have one.
    #[error(
        "this system does not let ordinary users create a private network (user namespaces are \
         refused: {0}): run 'sudo shakedown demo'"
    )]
    Refused(nix::Error),
    /// It was created and could not be set up.
    #[error("cannot set up the private network: {what}")]
    SetUp {
        /// What failed.
        what: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Moves this process into a network namespace of its own, with loopback up and every capability
/// over it. As root that is all; as an ordinary user it takes a user namespace as well. To be called
/// while the process has one thread.
///
/// # Errors
/// [`NamespaceError`], in one line with the remedy.
pub fn enter_private() -> Result<(), NamespaceError> {
    let (uid, gid) = (geteuid(), getegid());
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
            .map_err(NamespaceError::Refused)?;
        // An ordinary user may map itself only, and only once it can no longer drop groups.
        let write = |file: &'static str, text: String| {
            let what = "its user mapping";
            fs::write(file, text).map_err(|source| NamespaceError::SetUp { what, source })
        };
        write("/proc/self/setgroups", "deny".to_owned())?;
        write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    loopback_up().map_err(|source| NamespaceError::SetUp { what: "its loopback", source })
}

fn loopback_up() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    sys::set_interface_up(socket.as_fd(), "lo")
}
