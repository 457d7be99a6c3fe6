//! `shakedown completions`.

use std::io::{self, Write};

use anyhow::Context;
use clap::CommandFactory;

use super::exit::ExitStatus;
use crate::cli::{Cli, CompletionsArgs};

/// Prints the completion script of a shell.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<ExitStatus> {
    // Generated in memory: the generator panics where its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "shakedown", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script).and_then(|()| out.flush()).context("cannot write the script")?;
    Ok(ExitStatus::AsAsked)
}
