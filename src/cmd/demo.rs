//! `shakedown demo`.

use super::{Environment, ExitStatus};
use crate::cli::DemoArgs;

/// Runs the command.
///
/// # Errors
/// What kept it from measuring.
pub fn run(_args: &DemoArgs, _environment: &Environment) -> anyhow::Result<ExitStatus> {
    anyhow::bail!("not built yet")
}
