//! The command line: its structs and its help texts, and nothing that acts on them.
//!
//! One file for each subcommand; what several share is in [`shared`], and how single values are
//! written in [`value`].

// Help texts are doc comments, in which an address in brackets is no link and a URL needs to be none.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::bare_urls)]

mod check;
mod close;
mod demo;
mod doctor;
mod expect;
mod explain;
mod handshake;
mod help;
mod listen;
mod probe;
mod request;
mod rtt;
pub mod shared;
mod sweep;
pub mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use check::{CheckArgs, CheckReportArgs, CheckTargetArgs, ConductArgs, SelectionArgs};
pub use close::{CloseArgs, DEFAULT_PATIENCE, Shape, ShapeArgs};
pub use demo::DemoArgs;
pub use doctor::DoctorArgs;
pub use expect::Expect;
pub use explain::ExplainTermArgs;
pub use handshake::HandshakeArgs;
pub use listen::{BehaviourArgs, FaultArgs, LimitArgs, ListenArgs};
pub use probe::ProbeArgs;
pub use request::{CompareArgs, HttpArg, HttpArgs, RequestArgs, TlsArgs};
pub use rtt::{DisplayArg, MethodArg, ResultArgs, RttArgs, ScheduleArgs};
pub use sweep::{
    PaceArgs, PortRange, RateArg, ReceiveArg, SweepArgs, SweepOutputArgs, SweepProbeArgs,
    SweepSourceArgs, SweepSpaceArgs, TransmitArg,
};

/// Speak TCP by hand, and see what both ends do
///
/// shakedown opens, uses and closes TCP connections by hand-made segments, and shows every step of
/// both ends: the states of ours, the states of theirs and how each of them is known, every segment
/// with its options, and the times between. It works against any host, over IPv4 and IPv6.
#[derive(Parser, Clone, Debug)]
#[command(name = "shakedown", version, propagate_version = true, max_term_width = 100,
          subcommand_value_name = "COMMAND", after_help = help::ROOT_SHORT,
          after_long_help = help::ROOT)]
pub struct Cli {
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Open a connection and show every step of both ends
    ///
    /// Sends SYN, awaits the SYN-ACK and answers it, all by hand-made segments. Shows each
    /// transition of both ends, how each state of the server is known, and each segment with its
    /// options, its TTL and its time; then what was offered and granted, the round-trip time and
    /// the clock that took it, and who answered. By default it offers what a current Linux offers,
    /// and closes the connection at the end.
    #[command(after_long_help = help::HANDSHAKE)]
    Handshake(Box<HandshakeArgs>),

    /// Close a connection in the shape asked for, and say what the peer did
    ///
    /// Opens a connection, exchanges data if asked to, and closes it: we first, they first, both
    /// at once, or our direction alone. Says what the peer did: how soon it acknowledged our FIN
    /// (its kernel), how soon it sent its own (its application), whether in one segment or two,
    /// by RST in place of FIN, or never.
    #[command(after_long_help = help::CLOSE)]
    Close(Box<CloseArgs>),

    /// Find out whether ports are open, half-open: SYN, SYN-ACK, RST
    ///
    /// Sends a SYN to each port and resets what answers, so that no connection ever reaches the
    /// server's application. Says of each port whether it is open, refused, filtered, unreachable,
    /// prohibited, or answered by something that is no answer.
    #[command(after_long_help = help::PROBE)]
    Probe(Box<ProbeArgs>),

    /// Measure round-trip times by the kernel's own stamps, and tell loss from latency
    ///
    /// Sends a probe to each target at every interval, each with a sequence number and, unless asked
    /// otherwise, a source port of its own, so that every answer is credited to the probe that asked.
    /// An interval is the difference of two stamps of the same clock: of exactly that SYN leaving and
    /// of exactly its answer arriving, as a capture would show them. Lost probes are counted, never
    /// timed. Ends with ping's summary, percentiles and a histogram.
    #[command(after_long_help = help::RTT, mut_arg("isn", |arg| arg.hide(true)),
              mut_arg("absolute", |arg| arg.hide(true)))]
    Rtt(Box<RttArgs>),

    /// Check how a server opens, closes and aborts connections, clause by clause
    ///
    /// Runs a battery of small exchanges, each after one rule of RFC 9293 or a neighbour of it, and
    /// says what the server did, with the segments that show it. Nothing has to be installed on the
    /// server. What the path and the server allow is found out first; silence on a path that swallows
    /// such segments proves nothing, and a failure counts only where it repeats.
    #[command(after_long_help = help::CHECK,
              mut_arg("pcap", |arg| arg.hide(true)), mut_arg("source_port", |arg| arg.hide(true)),
              mut_arg("ttl", |arg| arg.hide(true)), mut_arg("tos", |arg| arg.hide(true)))]
    Check(Box<CheckArgs>),

    /// Probe many targets at the link's speed: networks, ranges, lists
    ///
    /// Sends a SYN to every port of every host, in an order that nobody can foretell, and proves each
    /// answer by its acknowledgment number, without keeping anything of what was sent: memory does
    /// not grow with the number of targets. Half-open by default; with --full every connection is
    /// opened and closed by FIN. Ends with an account in which each target is open, refused,
    /// unreachable or silent, and the sum is exact.
    #[command(after_long_help = help::SWEEP,
              mut_arg("ipv4", |arg| arg.help_heading("Targets")),
              mut_arg("ipv6", |arg| arg.help_heading("Targets")))]
    Sweep(Box<SweepArgs>),

    /// Be the other side: let clients connect, and show what each of them does
    ///
    /// Opens passively by hand-made segments and shows every client's handshake, its data and its
    /// close: what it offers, how it retransmits, whether it closes by FIN or RST, what it does in
    /// half-close; the states of both ends and how each state of the client is known. Serves many
    /// clients at a time, closes first where asked to, and does on purpose what clients have to cope
    /// with. No socket of this host's TCP takes part.
    #[command(after_long_help = help::LISTEN,
              mut_arg("source", |arg| arg.hide(true)),
              mut_arg("source_port", |arg| arg.hide(true)),
              mut_arg("tfo", |arg| arg.hide(true)),
              mut_arg("mss", |arg| arg.visible_alias("synack-mss")),
              mut_arg("retries", |arg| arg.default_value("5")))]
    Listen(Box<ListenArgs>),

    /// Explain a term: a state, a flag, a field, an option, a timer, a check
    ///
    /// Says what it means, with its clause in the RFCs. Of a state it says which end is in it, how it
    /// is entered and left, how long it lasts, how shakedown knows it of the far end, and how to see
    /// it with ss. 'segment' draws the header bit by bit. Without TERM it lists what there is.
    #[command(after_long_help = help::EXPLAIN)]
    Explain(ExplainTermArgs),
    /// Ask for web pages, and show what HTTP does with the connection
    ///
    /// Speaks HTTP/1.0, HTTP/1.1 or HTTP/2, in the clear or by TLS, over connections made by hand.
    /// Shows for each request what the time went into (the look-up of the name, the TCP handshake,
    /// the TLS handshake, the request, the wait, the response), which connection carried it, who
    /// closed that and how, and what opening and closing cost. With --compare all versions are asked
    /// the same. Redirects are reported and not followed; bodies are counted and dropped.
    #[command(after_long_help = help::REQUEST,
              mut_arg("ipv4", |arg| arg.help_heading("Source")),
              mut_arg("ipv6", |arg| arg.help_heading("Source")),
              mut_arg("timeout", |arg| arg.default_value("10s")
                  .help(help::REQUEST_TIMEOUT)
                  .long_help(help::REQUEST_TIMEOUT)))]
    Request(Box<RequestArgs>),

    /// Say what this host can measure, and what is missing
    ///
    /// One line for each thing that a measurement needs or gains by: capabilities, the guard that
    /// keeps the kernel quiet, route and interface, kinds of timestamps, user namespaces,
    /// offloads, signs of a local firewall. Each with the remedy where it is missing.
    #[command(after_long_help = help::DOCTOR)]
    Doctor(DoctorArgs),

    /// Show all of it against real servers in a private network, without root
    ///
    /// Enters a user and a network namespace of its own, starts servers of the kernel's TCP there
    /// (one that closes after us, one that closes first, a port that is closed, one that drops
    /// everything) and runs handshake, close, probe and rtt against them.
    #[command(after_long_help = help::DEMO)]
    Demo(DemoArgs),

    /// Print the completion script of a shell
    #[command(after_long_help = help::COMPLETIONS)]
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
