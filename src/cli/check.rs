//! `shakedown check`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::shared::{FamilyArgs, OutputArgs, SourceArgs, TargetArgs};
use super::value::{self, Payload};

/// Arguments of `check`.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)]
pub struct CheckArgs {
    #[command(flatten)]
    pub target: CheckTargetArgs,

    #[command(flatten)]
    pub selection: SelectionArgs,

    #[command(flatten)]
    pub conduct: ConductArgs,

    #[command(flatten)]
    pub source: SourceArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub reports: CheckReportArgs,
}

/// One host and one port, as [`TargetArgs`] has them, or none where nothing is sent.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Target")]
pub struct CheckTargetArgs {
    /// Host and port: example.org:443, 192.0.2.1:ssh, [2001:db8::1]:80
    ///
    /// A name or an address, a colon, and a port number or the name of a service. An IPv6 address
    /// needs brackets before the colon; a link-local one names its interface:
    /// [fe80::1%eth0]:80. The port may also stand by itself, as a second word or after -p. Without
    /// --list and --explain there must be one.
    #[arg(value_name = "HOST:PORT", required_unless_present_any = ["list", "explain"],
          help_heading = None::<&str>)]
    pub target: Option<String>,

    /// Port, where it is not part of the target
    #[arg(value_name = "PORT", conflicts_with = "port", help_heading = None::<&str>)]
    pub port_word: Option<String>,

    /// Port, where it is not part of the target
    #[arg(short, long, value_name = "PORT")]
    pub port: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub family: FamilyArgs,
}

impl CheckTargetArgs {
    /// The target, where there is one.
    #[must_use]
    pub fn given(&self) -> Option<TargetArgs> {
        let Self { target, port_word, port, family } = self.clone();
        target.map(|target| TargetArgs { target, port_word, port, family })
    }
}

/// Which checks.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Checks")]
pub struct SelectionArgs {
    /// Run these checks only: names, with * and ?, and commas between
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Leave these checks out
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub skip: Vec<String>,

    /// Run the checks of these groups: fin, rst, syn, options, time-wait … (see --list)
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    pub group: Vec<String>,

    /// Also run checks that take minutes
    #[arg(long)]
    pub slow: bool,

    /// Also run checks at which intrusion detection may raise an alarm
    #[arg(long)]
    pub noisy: bool,

    /// Also run checks that may crash a weak target; asks first, on a terminal
    #[arg(long)]
    pub intrusive: bool,

    /// Do not ask
    #[arg(short = 'y', long)]
    pub yes: bool,
}

/// How they run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Conduct")]
pub struct ConductArgs {
    /// Give the server this to answer; knows \r \n \t \0 \\ \xHH
    ///
    /// Some rules show only at a server that sends something, or that closes once it has answered. By
    /// default it is asked for a page as HTTP/1.0 does it, which other servers take for a line of
    /// text or close at; with an empty text it is asked nothing.
    #[arg(long, value_name = "TEXT", default_value = r"GET / HTTP/1.0\r\n\r\n")]
    pub send: Payload,

    /// A port of the target where nobody listens [default: one of the highest that refuses]
    #[arg(long, value_name = "PORT", allow_negative_numbers = true,
          value_parser = value::source_port)]
    pub closed_port: Option<u16>,

    /// Wait this long for what the server's application decides
    #[arg(short = 'W', long, value_name = "DURATION", default_value = "5s",
          allow_hyphen_values = true, value_parser = value::positive_duration)]
    pub timeout: Duration,

    /// Run so many quick checks at the same time, each on ports of its own
    #[arg(long, value_name = "N", default_value = "8", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub parallel: u16,

    /// End the whole run after this long
    #[arg(short = 'w', long, value_name = "DURATION",
          allow_hyphen_values = true, value_parser = value::positive_duration)]
    pub deadline: Option<Duration>,
}

/// Where the verdicts go.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct CheckReportArgs {
    /// Write the verdicts as JUnit XML into FILE
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Print the verdicts in the Test Anything Protocol
    #[arg(long, conflicts_with = "json")]
    pub tap: bool,

    /// Write the segments of each check as pcapng into DIR
    #[arg(long, value_name = "DIR")]
    pub pcap_dir: Option<PathBuf>,

    /// Compare with an earlier run, written by --json into FILE
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,

    /// List the checks, and run none
    #[arg(long, conflicts_with_all = ["tap", "explain"])]
    pub list: bool,

    /// Explain a check: its rule, its trace, what breaks where it is violated
    #[arg(long, value_name = "ID", conflicts_with_all = ["tap", "json"])]
    pub explain: Option<String>,
}
