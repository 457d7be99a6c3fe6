//! A private network: a fresh network namespace with nothing but its own loopback, in which we may
//! do everything and disturb nobody.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::sys;

/// Why there is no private network. One line, with the way round it.
#[derive(Debug, thiserror::Error)]
#[error("this system refuses a private network ({step}: {source}); run it as root: sudo {command}")]
pub struct NamespaceError {
    /// What was refused.
    step: &'static str,
    /// What the kernel said.
    source: io::Error,
    /// This program and its arguments.
    command: String,
}

impl NamespaceError {
    fn of(step: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| {
            let words: Vec<_> =
                std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
            Self { step, source, command: words.join(" ") }
        }
    }
}

/// Enters a new user and network namespace, with every capability over the latter, and brings its
/// loopback up. An ordinary user may do it on most systems.
///
/// To be called while the process has one thread; there is no way back. Our user becomes root in
/// there, and stays who it was towards files.
///
/// # Errors
/// The system refuses: user namespaces are switched off, or used up, or an `AppArmor` profile
/// denies them their capabilities.
pub fn enter_private() -> Result<(), NamespaceError> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|errno| NamespaceError::of("user namespace")(errno.into()))?;
    let write = |file: &str, text: String| std::fs::write(format!("/proc/self/{file}"), text);
    // Mandatory before an ordinary user may write a gid_map; kernels before 3.19 do not have it.
    match write("setgroups", "deny".to_owned()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(NamespaceError::of("setgroups")(error));
        }
        _ => {}
    }
    write("uid_map", format!("0 {user} 1")).map_err(NamespaceError::of("user map"))?;
    write("gid_map", format!("0 {group} 1")).map_err(NamespaceError::of("group map"))?;
    loopback_up()
}

/// Enters a new network namespace and brings its loopback up, for who has `CAP_SYS_ADMIN`.
///
/// # Errors
/// The process lacks the capability.
pub fn enter_network_only() -> Result<(), NamespaceError> {
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|errno| NamespaceError::of("network namespace")(errno.into()))?;
    loopback_up()
}

/// With it come 127.0.0.1 and ::1.
fn loopback_up() -> Result<(), NamespaceError> {
    UnixDatagram::unbound()
        .and_then(|socket| sys::interface_up(socket.as_fd(), "lo"))
        .map_err(NamespaceError::of("its loopback"))
}
