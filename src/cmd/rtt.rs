//! `shakedown rtt`: round-trip times, again and again.

use super::{Environment, ExitStatus};
use crate::cli::RttArgs;

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from measuring.
pub fn run(_args: &RttArgs, _environment: &Environment) -> anyhow::Result<ExitStatus> {
    anyhow::bail!("not yet")
}
