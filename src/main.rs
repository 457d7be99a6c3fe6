//! The command line of shakedown: parse, run, exit status.

use std::process::ExitCode;

use shakedown::cmd;

fn main() -> ExitCode {
    match cmd::parse(std::env::args_os()) {
        Ok(cli) => cmd::run(&cli),
        Err(status) => status,
    }
}
