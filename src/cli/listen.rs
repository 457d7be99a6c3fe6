//! `shakedown listen`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::expect::{self, Expect};
use super::shared::{
    ExplainArgs, FamilyArgs, FigureArgs, OfferArgs, OutputArgs, SourceArgs, TimingArgs,
};
use super::value::{self, Choice, Trigger};

/// Arguments of `listen`.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)]
pub struct ListenArgs {
    /// Port, alone or behind an address of this host: 8080, 192.0.2.1:8080, [::1]:8080
    ///
    /// A port alone is every address of this host, of both IP versions; 0.0.0.0 and [::] are all of
    /// one. Each client is answered from the address that it called. Port 0 is a free one.
    #[arg(value_name = "[ADDR:]PORT", required = true, help_heading = None::<&str>)]
    pub at: String,

    #[command(flatten)]
    pub family: FamilyArgs,

    #[command(flatten)]
    pub behaviour: BehaviourArgs,

    #[command(flatten)]
    pub fault: FaultArgs,

    #[command(flatten)]
    pub limit: LimitArgs,

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

    /// Exit with 0 if all clients end so; several with commas [default: open]
    #[arg(long, value_name = "ANSWER", value_delimiter = ',', help_heading = "Output",
          value_parser = expect::parser(expect::OF_LISTEN))]
    pub expect: Vec<Expect>,
}

/// What the application behind the port does.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Behaviour")]
pub struct BehaviourArgs {
    /// Send everything back, and close after the client
    #[arg(long, conflicts_with_all = ["reply", "discard"])]
    pub echo: bool,

    /// Send the contents of FILE once the client has said something, then close
    ///
    /// The bytes go out as they are: a client that speaks HTTP wants its header at their beginning,
    /// or is told to do without (curl --http0.9). A client that closes without a word gets them too.
    #[arg(long, value_name = "FILE", conflicts_with = "discard")]
    pub reply: Option<PathBuf>,

    /// Read everything, say nothing, and close after the client (the default)
    #[arg(long)]
    pub discard: bool,

    /// Close first: so long after the handshake, or after so many bytes (10B, 64KiB)
    ///
    /// Bytes are counted in the direction that has carried more of them.
    #[arg(long, value_name = "DURATION|BYTES", allow_hyphen_values = true,
          value_parser = value::trigger)]
    pub close_after: Option<Trigger>,

    /// Answer each SYN by a SYN, as if both ends had opened at the same time
    #[arg(long)]
    pub simultaneous_open: bool,

    /// Close first, and make both FINs cross: the client's is held back until ours has left
    #[arg(long)]
    pub simultaneous_close: bool,

    /// Maximum segment lifetime: TIME-WAIT lasts twice this long
    #[arg(long, value_name = "DURATION", default_value = "1s",
          allow_hyphen_values = true, value_parser = value::msl)]
    pub msl: Duration,
}

/// What goes wrong on purpose.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Faults on purpose")]
pub struct FaultArgs {
    /// Treat the first N SYNs of each client as lost
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true,
          allow_negative_numbers = true, value_parser = value::retries)]
    pub drop_syn: u32,

    /// Send the SYN-ACK so much later
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
          value_parser = value::positive_duration)]
    pub delay_synack: Option<Duration>,

    /// Never acknowledge the client's FIN
    #[arg(long)]
    pub no_final_ack: bool,

    /// Never close: after the client's FIN we stay in CLOSE-WAIT
    #[arg(long, conflicts_with_all = ["close_after", "simultaneous_close"])]
    pub never_close: bool,

    /// Reset the connection so long after the handshake, or after so many bytes
    #[arg(long, value_name = "DURATION|BYTES", allow_hyphen_values = true,
          value_parser = value::trigger)]
    pub rst_after: Option<Trigger>,

    /// Refuse every SYN by RST
    #[arg(long, conflicts_with_all = ["echo", "reply", "close_after", "rst_after",
          "simultaneous_open", "drop_syn", "delay_synack"])]
    pub refuse: bool,
}

/// How many, and how long.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// End after N connections
    #[arg(short, long, value_name = "N", allow_negative_numbers = true,
          value_parser = value::count)]
    pub count: Option<u64>,

    /// Keep this many connections at a time, 1 to 65536
    ///
    /// Half-open ones and those in TIME-WAIT included. When the table is full and some are half-open,
    /// further SYNs are answered by SYN cookies, which take no memory, and whoever brings one back
    /// has the place of the oldest half-open one; when none is, SYNs are refused by RST.
    /// All connections together buffer 256 MiB at most.
    #[arg(long, value_name = "N", default_value = "1024", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub max_connections: u32,

    /// Close a connection on which nothing has moved for this long; none never does
    ///
    /// Something moves when the client sends new data, acknowledges some of ours, or changes its
    /// state; bare acknowledgments are nothing. Such a connection is closed by FIN, and reset after
    /// the same time again, so that a silent client holds a place in the table for twice this long
    /// at most. A longer --close-after or --rst-after takes its place. A client that has not opened
    /// holds a place until our SYN-ACK has been repeated in vain, and one that does not close after
    /// us for a minute.
    #[arg(long, value_name = "DURATION|none", default_value = "5m",
          allow_hyphen_values = true, value_parser = value::limit)]
    pub idle_timeout: Choice<Duration>,
}
