//! Capabilities, the guard, and private networks.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use caps::{CapSet, Capability};
use nix::sched::CloneFlags;
use nix::sys::prctl;

use super::{Finding, Status, read};
use crate::net::GuardKind;
use crate::net::linux::guard::{Guard, GuardChoice};
use crate::net::linux::namespace;
use crate::net::linux::privilege::PrivilegeError;
use crate::net::linux::sys;

pub(super) fn examine() -> Vec<Finding> {
    vec![net_raw(), file_capability(), new_privileges(), guard(), user_namespace()]
}

fn net_raw() -> Finding {
    let has = |set| caps::has_cap(None, set, Capability::CAP_NET_RAW).unwrap_or(false);
    let topic = "capability";
    let error = PrivilegeError::missing_net_raw();
    if has(CapSet::Effective) {
        Finding::new(topic, Status::Good, "CAP_NET_RAW is in effect")
    } else if has(CapSet::Permitted) {
        Finding::new(topic, Status::Good, "CAP_NET_RAW is permitted and is raised when needed")
    } else if has(CapSet::Bounding) {
        Finding::new(topic, Status::Missing, "CAP_NET_RAW is missing: only `demo` works")
            .remedy(error.setcap_line())
    } else {
        let text = "CAP_NET_RAW is outside the bounding set: this container or service forbids it";
        Finding::new(topic, Status::Missing, text)
            .remedy("start the container with --cap-add NET_RAW, or use a shell outside it")
    }
}

fn file_capability() -> Finding {
    let topic = "file capability";
    let stored = std::env::current_exe().ok().and_then(|path| file_permits_net_raw(&path));
    match stored {
        Some(true) => Finding::new(topic, Status::Good, "this program's file grants CAP_NET_RAW"),
        Some(false) => Finding::new(
            topic,
            Status::Limited,
            "this program's file grants capabilities, but not CAP_NET_RAW",
        )
        .remedy(PrivilegeError::missing_net_raw().setcap_line()),
        None => Finding::new(topic, Status::Info, "this program's file grants no capability"),
    }
}

/// Whether a file's stored capabilities permit `CAP_NET_RAW`; `None` where it has none.
fn file_permits_net_raw(path: &Path) -> Option<bool> {
    let stored = sys::extended_attribute(path, c"security.capability").ok()?;
    // `struct vfs_cap_data`, little-endian: revision and flags, then the permitted set.
    let permitted = stored.get(4..8)?.try_into().ok().map(u32::from_le_bytes)?;
    Some(permitted & (1 << Capability::CAP_NET_RAW.index()) != 0)
}

fn new_privileges() -> Finding {
    let topic = "sandbox";
    let status = read("/proc/self/status").unwrap_or_default();
    let seccomp = status.lines().any(|line| line.starts_with("Seccomp:") && !line.ends_with('0'));
    match (prctl::get_no_new_privs().unwrap_or(false), seccomp) {
        (true, _) => Finding::new(
            topic,
            Status::Limited,
            "no_new_privs is set: neither sudo nor file capabilities work in this shell",
        )
        .remedy("use a shell that was not started by a sandbox or a hardened service"),
        (false, true) => Finding::new(
            topic,
            Status::Limited,
            "a seccomp filter is in force and may forbid sockets or namespaces",
        )
        .remedy("in a container: --security-opt seccomp=unconfined"),
        (false, false) => Finding::new(topic, Status::Good, "no seccomp filter, no no_new_privs"),
    }
}

/// Tried out on the loopback.
fn guard() -> Finding {
    let topic = "guard";
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match Guard::take(here, None, 0, GuardChoice::Auto).map(|guard| guard.kind()) {
        Ok(GuardKind::MinTtl) => Finding::new(
            topic,
            Status::Limited,
            "minimum TTL: the kernel is silent, except to a peer that sends with a TTL of 255",
        )
        .remedy("CAP_NET_ADMIN as well gives the socket filter, which has no exception"),
        Ok(_) => Finding::new(topic, Status::Good, "socket filter: the kernel is silent"),
        Err(error) => Finding::new(topic, Status::Missing, error.to_string())
            .remedy("without it the kernel resets our connections: use `probe` only"),
    }
}

/// Tried out in a child process.
fn user_namespace() -> Finding {
    let topic = "user namespace";
    let entered = sys::ask_child(|| namespace::enter_private().is_ok());
    if entered == Some(true) {
        return Finding::new(topic, Status::Good, "allowed: `demo` works without root");
    }
    let as_root = sys::ask_child(|| nix::sched::unshare(CloneFlags::CLONE_NEWNET).is_ok());
    let (reason, remedy) = obstacle();
    let status = if as_root == Some(true) { Status::Limited } else { Status::Missing };
    Finding::new(topic, status, format!("refused{reason}: `demo` needs root")).remedy(remedy)
}

/// Which of the known switches is against user namespaces, and what turns it.
fn obstacle() -> (&'static str, &'static str) {
    let is = |name: &str, value: &str| read(&format!("/proc/sys/{name}")).as_deref() == Some(value);
    if is("kernel/unprivileged_userns_clone", "0") {
        (
            " (kernel.unprivileged_userns_clone is 0)",
            "sudo sysctl kernel.unprivileged_userns_clone=1, or sudo",
        )
    } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        (
            " (AppArmor restricts them)",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or sudo",
        )
    } else if is("user/max_user_namespaces", "0") {
        (" (user.max_user_namespaces is 0)", "sudo sysctl user.max_user_namespaces=100, or sudo")
    } else {
        ("", "use sudo")
    }
}
