//! `shakedown probe`.

use super::target::{self, Family, HostPorts, Services};
use super::{Environment, ExitStatus};
use crate::cli::ProbeArgs;

/// Runs the command.
///
/// # Errors
/// What kept it from measuring.
pub fn run(args: &ProbeArgs, _environment: &Environment) -> anyhow::Result<ExitStatus> {
    let hosts = HostPorts::parse_all(&args.targets, args.ports.as_deref(), &Services::of_host())?;
    for host in &hosts {
        target::resolve_host(&host.host, Family::of(&args.family))?;
    }
    anyhow::bail!("not built yet")
}
