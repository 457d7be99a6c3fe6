//! The subcommands: arguments and environment give a plan, and the plan is run.

mod capture;
pub mod check;
pub mod close;
mod completions;
pub mod data;
pub mod demo;
pub mod doctor;
pub mod env;
pub mod exit;
mod explain;
mod figure;
mod file;
mod findings;
mod ground;
pub mod handshake;
mod line;
pub mod listen;
pub mod man;
pub mod probe;
pub mod request;
pub mod rtt;
mod session;
mod sim;
pub mod sweep;
mod talk;
pub mod target;
mod usage;

use std::io::{self, Write};
use std::process::ExitCode;

pub use env::Environment;
pub use exit::{ExitStatus, Wanted};
pub use line::escaped;
pub use usage::parse;

use crate::cli::{Cli, Command};

/// Runs a command line to its exit status.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    report_panics();
    let environment = Environment::of_process();
    let result = match &cli.command {
        Command::Handshake(args) => handshake::run(args, &environment),
        Command::Close(args) => close::run(args, &environment),
        Command::Probe(args) => probe::run(args, &environment),
        Command::Rtt(args) => rtt::run(args, &environment),
        Command::Check(args) => check::run(args, &environment),
        Command::Sweep(args) => sweep::run(args, &environment),
        Command::Listen(args) => listen::run(args, &environment),
        Command::Explain(args) => explain::run(args, &environment),
        Command::Request(args) => request::run(args, &environment),
        Command::Doctor(args) => doctor::run(args, &environment),
        Command::Demo(args) => demo::run(args, &environment),
        Command::Completions(args) => completions::run(args),
        Command::GenerateMan(args) => man::run(args),
    };
    match result {
        Ok(status) => status.into(),
        // Whoever closed the pipe has read enough.
        Err(error) if is_closed_pipe(&error) => ExitStatus::AsAsked.into(),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitStatus::NotMeasured.into()
        }
    }
}

/// Whether an error comes from writing to a pipe that nobody reads any more.
#[must_use]
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Says in one line on stderr what went wrong.
fn complain(what: &str) {
    // Nobody is left to hear that stderr is closed.
    let _ = writeln!(io::stderr(), "shakedown: {}", escaped(what));
}

/// Makes a defect of ours one line and exit status 2, in place of a backtrace and a core file.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        complain(&format!("internal error, please report it: {panic}"));
        std::process::exit(ExitStatus::NotMeasured.code().into());
    }));
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_closed_pipe_is_found_below_whatever_was_said_about_it() {
        let failure = |kind| Err::<(), _>(io::Error::from(kind)).context("cannot write");
        let error = failure(io::ErrorKind::BrokenPipe).context("handshake").expect_err("pipe");
        assert!(is_closed_pipe(&error));
        let error = failure(io::ErrorKind::StorageFull).expect_err("disk");
        assert!(!is_closed_pipe(&error));
    }
}
