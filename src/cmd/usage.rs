//! From the words of the command line to [`Cli`], or to one clear line.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use super::exit::ExitStatus;
use super::line::escaped;
use crate::cli::Cli;

/// Reads the command line. Help and version go to stdout, what is wrong to stderr.
///
/// # Errors
/// The status to exit with at once.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    Cli::try_parse_from(words).map_err(|error| {
        // A reader that has gone away does not turn help into a failure.
        if error.use_stderr() && !is_help(&error) {
            super::complain(&one_line(&error));
            eprint_hint();
        } else {
            let _ = error.print();
        }
        let status = if error.use_stderr() { ExitStatus::NotMeasured } else { ExitStatus::AsAsked };
        status.into()
    })
}

fn is_help(error: &clap::Error) -> bool {
    error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

fn eprint_hint() {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "For more information, try '--help'.");
}

/// The paragraphs that clap writes about an error, as one line without its usage blurb.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut line = String::new();
    for part in text.lines().map(str::trim) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        let part = part.strip_prefix("error: ").unwrap_or(part);
        if let Some(tip) = part.strip_prefix("tip: ") {
            line.push_str(&format!(" ({tip})"));
        } else if !part.is_empty() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(part);
        }
    }
    escaped(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(words: &[&str]) -> String {
        one_line(&Cli::try_parse_from([&["shakedown"], words].concat()).expect_err("wrong usage"))
    }

    #[test]
    fn what_clap_spreads_over_paragraphs_becomes_one_line() {
        assert_eq!(
            wrong(&["handshake"]),
            "the following required arguments were not provided: <HOST:PORT>"
        );
        assert_eq!(
            wrong(&["probe", "h:1", "--colour"]),
            "unexpected argument '--colour' found (a similar argument exists: '--color')"
        );
        assert_eq!(
            wrong(&["probe", "h:1", "--color", "blue"]),
            "invalid value 'blue' for '--color <WHEN>' [possible values: auto, always, never]"
        );
        assert_eq!(
            wrong(&["probe", "h:1", "--ttl", "\u{9b}1m\r"]),
            "invalid value '\\u{9b}1m\\u{d}' for '--ttl <N>': write a number from 1 to 255"
        );
    }
}
