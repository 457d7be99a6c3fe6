//! `shakedown doctor`.

use super::{Environment, ExitStatus};
use crate::cli::DoctorArgs;

/// Runs the command.
///
/// # Errors
/// What kept it from measuring.
pub fn run(_args: &DoctorArgs, _environment: &Environment) -> anyhow::Result<ExitStatus> {
    anyhow::bail!("not built yet")
}
