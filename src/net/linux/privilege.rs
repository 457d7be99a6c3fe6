//! The one capability that we need, and letting go of it.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};
use nix::sys::prctl;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Gid, Uid, geteuid, setfsgid, setfsuid};

/// How `CAP_NET_RAW` is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Privilege {
    /// It was in effect.
    Effective,
    /// It was permitted, and has been put into effect.
    Raised,
}

/// Why packets cannot be made by hand here. Its `Display` is one line: what is missing, and the
/// command that remedies it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrivilegeError {
    executable: PathBuf,
    obstacle: Option<&'static str>,
}

impl PrivilegeError {
    /// `CAP_NET_RAW` is missing from this process.
    #[must_use]
    pub fn missing_net_raw() -> Self {
        let executable =
            std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/path/to/shakedown"));
        let nosuid = || {
            let directory = executable.parent().unwrap_or(&executable);
            statvfs(directory).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOSUID))
        };
        let bounded =
            || !caps::has_cap(None, CapSet::Bounding, Capability::CAP_NET_RAW).unwrap_or(true);
        let obstacle = if bounded() {
            Some("this container or service forbids it: it is outside the bounding set")
        } else if prctl::get_no_new_privs().unwrap_or(false) {
            Some("this shell has no_new_privs set, under which neither sudo nor setcap works")
        } else if nosuid() {
            Some("the program is on a nosuid mount, where setcap has no effect: copy it elsewhere")
        } else {
            None
        };
        Self { executable, obstacle }
    }

    /// What is missing.
    pub(super) const WHAT: &'static str = "CAP_NET_RAW is missing, which hand-made packets need";

    /// What to do about it, and what stands in the way.
    #[must_use]
    pub fn remedy(&self) -> String {
        let obstacle = self.obstacle.map(|text| format!("{text}; else ")).unwrap_or_default();
        let setcap = self.setcap_line();
        format!("{obstacle}run `{setcap}` once, or use sudo; `shakedown demo` needs neither")
    }

    /// The command that grants the capability for good.
    #[must_use]
    pub fn setcap_line(&self) -> String {
        format!("sudo setcap cap_net_raw+p {}", quoted(&self.executable.to_string_lossy()))
    }
}

impl fmt::Display for PrivilegeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Self::WHAT, self.remedy())
    }
}

impl std::error::Error for PrivilegeError {}

/// This program's file, as a shell reads it.
pub(super) fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("shakedown"));
    quoted(&path.to_string_lossy())
}

/// A path as a shell reads it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%".contains(c);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// Puts `CAP_NET_RAW` into effect.
///
/// # Errors
/// The process does not have it.
pub fn ensure_net_raw() -> Result<Privilege, PrivilegeError> {
    let has = |set| caps::has_cap(None, set, Capability::CAP_NET_RAW).unwrap_or(false);
    if has(CapSet::Effective) {
        return Ok(Privilege::Effective);
    }
    let raised = has(CapSet::Permitted)
        && caps::raise(None, CapSet::Effective, Capability::CAP_NET_RAW).is_ok();
    if raised { Ok(Privilege::Raised) } else { Err(PrivilegeError::missing_net_raw()) }
}

/// Puts into effect what loading a program into the kernel needs, as far as it is permitted.
pub fn raise_for_programs() {
    for capability in [Capability::CAP_NET_ADMIN, Capability::CAP_BPF] {
        // What is missing, the kernel will say.
        let _ = caps::raise(None, CapSet::Effective, capability);
    }
}

/// Makes files from now on be opened and renamed as by the owner of the directory that `path` lies in,
/// where that is not root: to be called before [`drop_all`], by a run that replaces files later. Root
/// without capabilities could not do it in another user's directory.
pub fn keep_to_directory_of(path: &Path) {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let Ok(metadata) = std::fs::metadata(directory) else { return };
    if geteuid().is_root() && metadata.uid() != 0 {
        // Both never fail: they give the identity before, which is not of interest.
        let _ = setfsgid(Gid::from_raw(metadata.gid()));
        let _ = setfsuid(Uid::from_raw(metadata.uid()));
    }
}

/// Drops every capability of this thread for good, root's included, and forbids getting any by
/// running another program.
///
/// Root without capabilities is bound by file permissions: open output files first.
///
/// # Errors
/// The kernel refuses, which it has no reason to.
pub fn drop_all() -> Result<(), caps::errors::CapsError> {
    // Kernels before 4.3 have no ambient set, and then nothing to drop.
    let _ = caps::clear(None, CapSet::Ambient);
    caps::clear(None, CapSet::Effective)?;
    caps::clear(None, CapSet::Permitted)?;
    caps::clear(None, CapSet::Inheritable)?;
    // Since Linux 3.5; a kernel without it has nothing more to offer.
    let _ = prctl::set_no_new_privs();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_can_be_pasted() {
        let error =
            PrivilegeError { executable: "/home/me/my tools/shakedown".into(), obstacle: None };
        assert_eq!(
            error.to_string(),
            "CAP_NET_RAW is missing, which hand-made packets need: run `sudo setcap cap_net_raw+p \
             '/home/me/my tools/shakedown'` once, or use sudo; `shakedown demo` needs neither"
        );
        assert_eq!(quoted("/opt/it's"), r"'/opt/it'\''s'");
    }

    #[test]
    fn an_obstacle_to_the_remedy_is_told() {
        let error = PrivilegeError { executable: "/x".into(), obstacle: Some("nosuid") };
        assert!(error.to_string().contains("need: nosuid; else run `sudo setcap"));
    }

    #[test]
    fn what_is_dropped_is_gone() {
        // In a thread of its own: capabilities are a thread's, and the other tests keep theirs.
        std::thread::spawn(|| {
            drop_all().unwrap();
            for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
                assert!(caps::read(None, set).unwrap().is_empty(), "{set:?}");
            }
            assert!(prctl::get_no_new_privs().unwrap());
            assert!(ensure_net_raw().is_err());
        })
        .join()
        .unwrap();
    }
}
