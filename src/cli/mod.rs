//! The command line: its structs and its help texts, and nothing that acts on them.
//!
//! One file for each subcommand; what several share is in [`shared`], and how single values are
//! written in [`value`].

mod close;
mod demo;
mod doctor;
mod expect;
mod handshake;
mod probe;
pub mod shared;
pub mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use close::{CloseArgs, DEFAULT_PATIENCE, Shape, ShapeArgs};
pub use demo::DemoArgs;
pub use doctor::DoctorArgs;
pub use expect::Expect;
pub use handshake::HandshakeArgs;
pub use probe::ProbeArgs;

/// The whole command line.
#[derive(Parser, Clone, Debug)]
#[command(name = "shakedown", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Open a connection by hand and show every step of both ends
    Handshake(Box<HandshakeArgs>),
    /// Open a connection, close it in the shape asked for, and say what the peer did
    Close(Box<CloseArgs>),
    /// Ask half-open whether ports are open: SYN, SYN-ACK, RST
    Probe(Box<ProbeArgs>),
    /// Say what this host can measure, and what is missing
    Doctor(DoctorArgs),
    /// Show all of it against servers in a private network, without root
    Demo(DemoArgs),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
    /// Write the manual pages into a directory
    #[command(hide = true)]
    GenerateMan(GenerateManArgs),
}

/// Arguments of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell: bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `generate-man`.
#[derive(Args, Clone, Debug)]
pub struct GenerateManArgs {
    /// The directory, which must exist
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_left_out_has_the_documented_value() {
        let cli = Cli::parse_from(["shakedown", "close", "host:80"]);
        let Command::Close(args) = cli.command else { panic!("not a close") };
        assert_eq!(args.shape.shape(), Shape::Active);
        assert_eq!(args.shape.msl.as_secs(), 1);
        assert_eq!(args.deadline(), DEFAULT_PATIENCE);
        assert!(args.offer.wants_sack() && args.offer.wants_timestamps());
        assert_eq!((args.source.ttl, args.source.tos), (64, 0));
        assert_eq!((args.timing.retries, args.timing.timeout.as_secs()), (2, 2));
        assert!(args.expect.is_empty());
    }

    #[test]
    fn of_two_opposite_switches_the_last_one_counts() {
        let parse = |words: &[&str]| {
            let cli = Cli::parse_from([&["shakedown", "handshake", "h:1"], words].concat());
            let Command::Handshake(args) = cli.command else { panic!("not a handshake") };
            (args.offer.wants_sack(), args.offer.wants_timestamps())
        };
        assert_eq!(parse(&["--no-sack"]), (false, true));
        assert_eq!(parse(&["--no-sack", "--sack"]), (true, true));
        assert_eq!(parse(&["--timestamps", "--no-timestamps"]), (true, false));
    }
}
