//! `shakedown handshake`.

use clap::Args;

use super::expect::{self, Expect};
use super::shared::{
    DataArgs, ExplainArgs, FigureArgs, OfferArgs, OutputArgs, SourceArgs, TargetArgs, TimingArgs,
};
use super::value::Then;

/// Arguments of `handshake`.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)]
pub struct HandshakeArgs {
    #[command(flatten)]
    pub target: TargetArgs,

    #[command(flatten)]
    pub offer: OfferArgs,

    #[command(flatten)]
    pub data: DataArgs,

    /// What comes after: close, rst, or hold=DURATION and then close
    #[arg(long, value_name = "WHAT", default_value = "close", help_heading = "Close")]
    pub then: Then,

    #[command(flatten)]
    pub timing: TimingArgs,

    #[command(flatten)]
    pub source: SourceArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub explain: ExplainArgs,

    #[command(flatten)]
    pub figure: FigureArgs,

    /// Exit with 0 if this is the answer; several with commas [default: open]
    #[arg(long, value_name = "ANSWER", value_delimiter = ',', help_heading = "Output",
          value_parser = expect::parser(expect::OF_HANDSHAKE))]
    pub expect: Vec<Expect>,
}
