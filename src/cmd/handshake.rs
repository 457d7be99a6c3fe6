//! `shakedown handshake`.

use super::{Environment, ExitStatus, target};
use crate::cli::HandshakeArgs;

/// Runs the command.
///
/// # Errors
/// What kept it from measuring.
pub fn run(args: &HandshakeArgs, _environment: &Environment) -> anyhow::Result<ExitStatus> {
    let (target, _addresses) = target::one(&args.target)?;
    let _payload = super::data::payload(&args.data)?;
    anyhow::bail!("{target}: not built yet")
}
