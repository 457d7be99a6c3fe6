//! A private network: a fresh network namespace with nothing but its own loopback, in which we may
//! do everything and disturb nobody.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, getegid, geteuid, setresgid, setresuid};

use super::{privilege, sys};

/// Whom a trial by root stands in for: `nobody`, who owns nothing.
const ORDINARY: u32 = 65534;
/// Marks, in the answer of a trial, an error of setting up what was granted.
const SET_UP: u8 = 0x80;
/// The answer of a trial that could not become an ordinary user: no error has this number.
const UNTRIED: u8 = 0x7f;

/// Why there is no private network to be had.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// This system does not let us have one.
    #[error("{} ({}): {}", Refused, reason(*.0), remedy())]
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

/// What is refused, by who asks.
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if geteuid().is_root() {
            "not even root may have a private network here"
        } else {
            "this system refuses ordinary users a private network"
        })
    }
}

/// What to do about a refusal.
fn remedy() -> String {
    if geteuid().is_root() {
        "run it outside of this container".to_owned()
    } else {
        format!("run `sudo {} demo`", privilege::program())
    }
}

/// Why the kernel refuses a namespace, by the setting that is the likeliest cause.
pub(crate) fn reason(errno: nix::Error) -> String {
    let setting = |name: &str| {
        let value = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
        value.trim().parse::<u64>().ok()
    };
    for name in
        ["kernel.unprivileged_userns_clone", "user.max_user_namespaces", "user.max_net_namespaces"]
    {
        if setting(name) == Some(0) {
            return format!("{name} is 0");
        }
    }
    let restricted = setting("kernel.apparmor_restrict_unprivileged_userns") == Some(1);
    if restricted && matches!(errno, nix::Error::EPERM | nix::Error::EACCES) {
        return "kernel.apparmor_restrict_unprivileged_userns is 1".to_owned();
    }
    format!("user namespaces are refused: {}", errno.desc())
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
    // Allocates nothing: it also runs in a copy of a process that had several threads.
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(NamespaceError::Refused)?;
    // Where a security module grants the namespace and none of its powers, it shows only here.
    let granted = |what| {
        move |error: io::Error| match error.raw_os_error() {
            Some(errno @ (libc::EPERM | libc::EACCES)) => {
                NamespaceError::Refused(nix::Error::from_raw(errno))
            }
            _ => set_up(what, error),
        }
    };
    map_user(uid, gid).map_err(granted("its user mapping"))?;
    loopback_up().map_err(granted("its loopback"))
}

/// Enters a new network namespace and brings its loopback up, for who has `CAP_SYS_ADMIN`.
///
/// # Errors
/// The process lacks the capability.
pub fn enter_network_only() -> Result<(), NamespaceError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(NamespaceError::Refused)?;
    loopback_up().map_err(|error| set_up("its loopback", error))
}

fn set_up(what: &'static str, source: io::Error) -> NamespaceError {
    NamespaceError::SetUp { what, source }
}

/// Makes us root of our own user namespace.
fn map_user(uid: Uid, gid: Gid) -> io::Result<()> {
    // The files of a process that may not be dumped belong to root, and one that has changed its
    // user may not be.
    prctl::set_dumpable(true)?;
    // An ordinary user may map itself only, and only once it can no longer drop groups.
    // Kernels before 3.19 neither have this file nor need it.
    match fs::write("/proc/self/setgroups", "deny") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for (file, id) in [("/proc/self/uid_map", uid.as_raw()), ("/proc/self/gid_map", gid.as_raw())] {
        let mut line = [0u8; 16];
        let mut rest = &mut line[..];
        write!(rest, "0 {id} 1")?;
        let unused = rest.len();
        fs::write(file, &line[..line.len() - unused])?;
    }
    Ok(())
}

/// With it come 127.0.0.1 and ::1.
fn loopback_up() -> io::Result<()> {
    sys::interface_up(UnixDatagram::unbound()?.as_fd(), "lo")
}

/// Whether an ordinary user may have a private network here, tried in a process of its own. Root
/// tries it as an ordinary user. `None` where that is not possible.
///
/// # Errors
/// The trial itself failed: no process is to be had.
pub(crate) fn trial() -> io::Result<Option<Result<(), NamespaceError>>> {
    let answer = sys::in_child(|| {
        if geteuid().is_root() {
            let (user, group) = (Uid::from_raw(ORDINARY), Gid::from_raw(ORDINARY));
            if setresgid(group, group, group).and_then(|()| setresuid(user, user, user)).is_err() {
                return UNTRIED;
            }
        }
        match enter_private() {
            Ok(()) => 0,
            Err(NamespaceError::Refused(errno)) => low_bits(errno as i32),
            Err(NamespaceError::SetUp { source, .. }) => {
                SET_UP | low_bits(source.raw_os_error().unwrap_or_default())
            }
        }
    })?;
    let errno = i32::from(answer & !SET_UP);
    Ok(match answer {
        0 => Some(Ok(())),
        UNTRIED => None,
        _ if answer & SET_UP == 0 => {
            Some(Err(NamespaceError::Refused(nix::Error::from_raw(errno))))
        }
        _ => Some(Err(set_up("its mapping or its loopback", io::Error::from_raw_os_error(errno)))),
    })
}

/// An error's number as far as it fits: those that can come here are below 127.
fn low_bits(errno: i32) -> u8 {
    u8::try_from(errno & 0x7f).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_leaves_this_process_where_it_is() {
        let here = || {
            let link = |file| fs::read_link(format!("/proc/self/ns/{file}")).unwrap();
            (link("net"), link("user"), geteuid())
        };
        let before = here();
        // Whether it is granted is the system's business.
        let _ = trial().unwrap();
        assert_eq!(here(), before);
    }

    #[test]
    fn a_refusal_says_who_refuses_and_what_to_do() {
        let text = NamespaceError::Refused(nix::Error::EPERM).to_string();
        let remedy = if geteuid().is_root() { "outside of this container" } else { "run `sudo " };
        assert!(text.contains("private network") && text.contains(remedy), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}
