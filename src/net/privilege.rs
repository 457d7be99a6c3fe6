//! The one capability that we need, and getting rid of it.

use std::path::PathBuf;

use caps::errors::CapsError;
use caps::{CapSet, Capability};

/// Why we may not do what we need to do.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The capability is missing.
    #[error(
        "CAP_NET_RAW is missing, which raw sockets need: run 'sudo setcap cap_net_raw+p {}', or use \
         sudo; 'shakedown demo' needs neither",
        .program.display()
    )]
    NetRaw {
        /// This program's file.
        program: PathBuf,
    },
    /// The kernel does not tell, or does not let go.
    #[error("cannot change the capabilities of this process: {0}")]
    Caps(String),
}

impl From<CapsError> for PrivilegeError {
    fn from(error: CapsError) -> Self {
        Self::Caps(error.to_string())
    }
}

/// Makes CAP_NET_RAW effective, if we have it at all.
///
/// # Errors
/// [`PrivilegeError::NetRaw`] where we do not, with the remedy.
pub fn ensure_net_raw() -> Result<(), PrivilegeError> {
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_NET_RAW)? {
        return Ok(());
    }
    if caps::has_cap(None, CapSet::Permitted, Capability::CAP_NET_RAW)? {
        return Ok(caps::raise(None, CapSet::Effective, Capability::CAP_NET_RAW)?);
    }
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("shakedown"));
    Err(PrivilegeError::NetRaw { program })
}

/// Gives up every capability, for good. The sockets that are open stay open.
///
/// # Errors
/// [`PrivilegeError::Caps`].
pub fn drop_all() -> Result<(), PrivilegeError> {
    caps::clear(None, CapSet::Effective)?;
    caps::clear(None, CapSet::Permitted)?;
    Ok(())
}
