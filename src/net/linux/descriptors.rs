//! How many descriptors this process may have: each guarded port is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Where the kernel does not say.
const USUAL: u64 = 1024;

/// Raises the soft limit of open files to the hard one, which needs no privilege, and gives what
/// holds from now on. Ends with the process.
#[must_use]
pub fn raise_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return USUAL };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft }
}
