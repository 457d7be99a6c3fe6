//! `shakedown rtt`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::expect::{self, Expect};
use super::shared::{ClockArgs, DataArgs, FamilyArgs, OfferArgs, OutputArgs, SourceArgs};
use super::value;

/// How each probe asks.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MethodArg {
    /// SYN, SYN-ACK, RST: the application never hears of it
    #[default]
    Syn,
    /// A whole handshake, closed by FIN
    Handshake,
    /// A handshake, then our FIN: to its ACK (the kernel) and to theirs (the application)
    Fin,
    /// A handshake, then the data of --send: to their acknowledgment
    Data,
}

/// Where the run is shown.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DisplayArg {
    /// A table for several targets on a terminal, otherwise lines
    #[default]
    Auto,
    /// A line for each probe
    Lines,
    /// A table that is updated in place
    Live,
}

/// Arguments of `rtt`.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)]
pub struct RttArgs {
    /// Hosts with their ports: example.org:443, host:22,80
    ///
    /// A name or an address, a colon, and ports: numbers, ranges and names of services, with commas
    /// between. An IPv6 address needs brackets before the colon; a link-local one names its
    /// interface: [fe80::1%eth0]:80. Without any, and without --targets, they are read from stdin
    /// where that is a pipe.
    #[arg(value_name = "TARGET", help_heading = None::<&str>)]
    pub targets: Vec<String>,

    /// Ports of every target that names none
    #[arg(short, long, value_name = "PORTS", help_heading = "Target")]
    pub ports: Option<String>,

    /// Read targets from FILE, one a line; - is stdin
    ///
    /// Empty lines and what follows a # are passed over. A line that is no target, or whose name
    /// cannot be resolved, is named by its number, and the others are probed.
    #[arg(long = "targets", value_name = "FILE", help_heading = "Target")]
    pub target_file: Option<PathBuf>,

    #[command(flatten)]
    pub family: FamilyArgs,

    /// How each probe asks: syn, handshake, fin or data
    ///
    /// syn: a half-open probe, SYN, SYN-ACK, RST. handshake: a whole connection, closed by FIN. fin:
    /// the same, and times our FIN to its acknowledgment, which is the peer's kernel, and to the
    /// peer's own FIN, which is its application. data: sends what --send says, and times it to its
    /// acknowledgment. Each phase has figures of its own.
    #[arg(
        short,
        long,
        value_name = "METHOD",
        default_value = "syn",
        help_heading = "Method",
        hide_possible_values = true
    )]
    pub method: MethodArg,

    #[command(flatten)]
    pub data: DataArgs,

    #[command(flatten)]
    pub offer: OfferArgs,

    #[command(flatten)]
    pub schedule: ScheduleArgs,

    #[command(flatten)]
    pub clock: ClockArgs,

    #[command(flatten)]
    pub source: SourceArgs,

    /// Take N fixed source ports in turn, and show each in its own figures
    ///
    /// Routers that share load choose a path by addresses and ports: each fixed port keeps to one
    /// path, so that paths are seen apart. With -g the ports are that one and those above it.
    /// Otherwise every probe has a fresh, unpredictable port.
    #[arg(long, value_name = "N", help_heading = "Source",
          allow_negative_numbers = true, value_parser = value::flows)]
    pub flows: Option<u16>,

    #[command(flatten)]
    pub results: ResultArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    /// Exit with 0 if every target answered so; several with commas [default: open]
    #[arg(long, value_name = "ANSWER", value_delimiter = ',', help_heading = "Output",
          value_parser = expect::parser(expect::OF_PROBE))]
    pub expect: Vec<Expect>,
}

/// When each probe leaves, and how long it is waited for.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleArgs {
    /// Stop after N probes of each target [default: go on until interrupted]
    #[arg(short, long, value_name = "N",
          allow_negative_numbers = true, value_parser = value::count)]
    pub count: Option<u64>,

    /// From one probe of a target to its next
    ///
    /// The schedule is fixed: probe k leaves at start + k × interval, whether or not those before
    /// it were answered, so that a slow answer does not hide what came in its time. Several targets
    /// share the interval evenly. Below 1ms only with --fast.
    #[arg(short, long, value_name = "DURATION", default_value = "1s",
          allow_hyphen_values = true, value_parser = value::positive_duration)]
    pub interval: Duration,

    /// Allow intervals below 1ms, down to 10us
    #[arg(long)]
    pub fast: bool,

    /// Stop sending, and end the run, after this long
    #[arg(short = 'w', long, value_name = "DURATION",
          allow_hyphen_values = true, value_parser = value::positive_duration)]
    pub deadline: Option<Duration>,

    /// Wait this long for an answer
    ///
    /// A probe without one is lost. An answer that comes later still is shown, credited to the probe
    /// that asked, and counted as late.
    #[arg(short = 'W', long, value_name = "DURATION", default_value = "2s",
          allow_hyphen_values = true, value_parser = value::positive_duration)]
    pub timeout: Duration,

    /// Repeat an unanswered SYN, data segment or FIN up to N times [default: SYN 0, else 2]
    ///
    /// By default a lost SYN is a lost probe with method syn. With repetitions, the first one comes
    /// after 1s, and the timeout counts from the last. An answer to a repeated SYN is counted, but
    /// timed only where the timestamp option proves which SYN it answers.
    #[arg(long, value_name = "N",
          allow_negative_numbers = true, value_parser = value::retries)]
    pub retries: Option<u32>,

    /// Send N probes first that are shown and not counted
    #[arg(long, value_name = "N", default_value = "0",
          allow_negative_numbers = true, value_parser = value::warm_up)]
    pub warm_up: u64,
}

/// What is made of the measurements.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct ResultArgs {
    /// Write a row for each probe to FILE; - is stdout
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Draw the time series and the cumulative distribution as SVG into FILE
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,

    /// Where the run is shown: lines, live (a table in place), or auto
    #[arg(long, value_name = "HOW", default_value = "auto", hide_possible_values = true)]
    pub display: DisplayArg,
}
