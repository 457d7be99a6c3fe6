//! `shakedown close`.

use std::time::Duration;

use clap::Args;

use super::expect::{self, Expect};
use super::shared::{
    DataArgs, ExplainArgs, FigureArgs, OfferArgs, OutputArgs, SourceArgs, TargetArgs, TimingArgs,
};
use super::value;

/// Arguments of `close`.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)]
pub struct CloseArgs {
    #[command(flatten)]
    pub target: TargetArgs,

    #[command(flatten)]
    pub shape: ShapeArgs,

    #[command(flatten)]
    pub data: DataArgs,

    #[command(flatten)]
    pub offer: OfferArgs,

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

    /// Exit with 0 if this is the answer; several with commas [default: closed]
    #[arg(long, value_name = "ANSWER", value_delimiter = ',', help_heading = "Output",
          value_parser = expect::parser(expect::OF_CLOSE))]
    pub expect: Vec<Expect>,
}

/// How long `close` waits for a peer that does not close its end, where no deadline was given.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);

impl CloseArgs {
    /// The end of the whole run, counted from its start.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.timing.deadline.unwrap_or(DEFAULT_PATIENCE)
    }
}

/// In which shape to close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// We close first.
    Active,
    /// They close first.
    Passive,
    /// Both at once.
    Simultaneous,
    /// We close our direction and go on receiving.
    Half,
}

/// The shape of the close.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Close")]
pub struct ShapeArgs {
    /// Wait for them to close first: we go through CLOSE-WAIT and LAST-ACK
    #[arg(long, conflicts_with_all = ["simultaneous", "half"])]
    pub passive: bool,

    /// Make both FINs cross: both ends go through CLOSING
    #[arg(long, conflicts_with = "half")]
    pub simultaneous: bool,

    /// Close our direction, and go on receiving until they close theirs
    #[arg(long)]
    pub half: bool,

    /// Maximum segment lifetime: TIME-WAIT lasts twice this long
    ///
    /// At most 2m, which is the value of RFC 9293. The default is shortened on purpose: nothing
    /// here reuses the port, and a repeated FIN of the peer shows up within a second or two.
    #[arg(long, value_name = "DURATION", default_value = "1s",
          allow_hyphen_values = true, value_parser = value::msl)]
    pub msl: Duration,
}

impl ShapeArgs {
    /// The shape asked for.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        if self.passive {
            Shape::Passive
        } else if self.simultaneous {
            Shape::Simultaneous
        } else if self.half {
            Shape::Half
        } else {
            Shape::Active
        }
    }
}
