//! `shakedown probe`.

use clap::Args;

use super::expect::{self, Expect};
use super::shared::{
    ExplainArgs, FamilyArgs, FigureArgs, OfferArgs, OutputArgs, SourceArgs, TimingArgs,
};
use super::value;

/// Arguments of `probe`.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)]
pub struct ProbeArgs {
    /// Hosts with their ports: example.org:443, host:22,80,8000-8010
    ///
    /// A name or an address, a colon, and ports: numbers, ranges and names of services, with
    /// commas between. An IPv6 address needs brackets before the colon; a link-local one names
    /// its interface: [fe80::1%eth0]:80. A word of digits, commas and hyphens after a host
    /// without ports is that host's ports.
    #[arg(value_name = "TARGET", required = true, help_heading = None::<&str>)]
    pub targets: Vec<String>,

    /// Ports of every target that names none
    #[arg(short, long, value_name = "PORTS", help_heading = "Target")]
    pub ports: Option<String>,

    #[command(flatten)]
    pub family: FamilyArgs,

    #[command(flatten)]
    pub offer: OfferArgs,

    #[command(flatten)]
    pub timing: TimingArgs,

    /// Probe this many at the same time, 1 to 1024
    #[arg(long, value_name = "N", default_value = "32", help_heading = "Timing",
          allow_negative_numbers = true, value_parser = value::parallel)]
    pub parallel: u16,

    #[command(flatten)]
    pub source: SourceArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub explain: ExplainArgs,

    #[command(flatten)]
    pub figure: FigureArgs,

    /// Exit with 0 if all answer so; several with commas [default: open]
    #[arg(long, value_name = "ANSWER", value_delimiter = ',', help_heading = "Output",
          value_parser = expect::parser(expect::OF_PROBE))]
    pub expect: Vec<Expect>,
}
