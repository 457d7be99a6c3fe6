//! What this host can do: facts, without a word of output.

use std::net::IpAddr;

/// How good a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// As it should be.
    Good,
    /// It works, with a restriction.
    Limited,
    /// Something cannot be measured without it.
    Missing,
    /// Neither good nor bad.
    Info,
}

/// One thing about this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is about, in a word.
    pub topic: &'static str,
    /// How good it is.
    pub status: Status,
    /// It, in one line.
    pub text: String,
    /// What to do about it, in one line.
    pub remedy: Option<String>,
}

/// Looks at this host, and at the way to `target` if there is one.
#[must_use]
pub fn examine(target: Option<IpAddr>, interface: Option<&str>) -> Vec<Finding> {
    let _ = (target, interface);
    Vec::new()
}
