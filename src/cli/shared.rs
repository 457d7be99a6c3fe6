//! Options that several subcommands share, each written once.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::value::{self, Choice, Payload};

/// One host and one port.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Target")]
pub struct TargetArgs {
    /// Host and port: example.org:443, 192.0.2.1:ssh, [2001:db8::1]:80
    ///
    /// A name or an address, a colon, and a port number or the name of a service. An IPv6 address
    /// needs brackets before the colon; a link-local one names its interface:
    /// [fe80::1%eth0]:80. The port may also stand by itself, as a second word or after -p.
    #[arg(value_name = "HOST:PORT", required = true, help_heading = None::<&str>)]
    pub target: String,

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

impl TargetArgs {
    /// The port that stands by itself, as the user wrote it.
    #[must_use]
    pub fn separate_port(&self) -> Option<&str> {
        self.port_word.as_deref().or(self.port.as_deref())
    }
}

/// Which addresses of a name are wanted.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Target")]
pub struct FamilyArgs {
    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    pub ipv6: bool,
}

/// What the SYN offers.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Offer")]
pub struct OfferArgs {
    /// Maximum segment size to announce; none leaves it out
    ///
    /// 1 to 65535. By default what the interface's MTU allows: 1460 on Ethernet over IPv4, 1440
    /// over IPv6.
    #[arg(long, value_name = "N|none", allow_negative_numbers = true, value_parser = value::mss)]
    pub mss: Option<Choice<u16>>,

    /// Window scale shift, 0 to 14; none leaves it out [default: 7]
    #[arg(long, value_name = "N|none",
          allow_negative_numbers = true, value_parser = value::window_scale)]
    pub wscale: Option<Choice<u8>>,

    /// Offer selective acknowledgment (the default)
    #[arg(long, overrides_with = "no_sack")]
    pub sack: bool,

    /// Do not offer selective acknowledgment
    #[arg(long, overrides_with = "sack")]
    pub no_sack: bool,

    /// Offer timestamps (the default)
    #[arg(long, overrides_with = "no_timestamps")]
    pub timestamps: bool,

    /// Do not offer timestamps
    #[arg(long, overrides_with = "timestamps")]
    pub no_timestamps: bool,

    /// Ask for explicit congestion notification (ECE and CWR on the SYN)
    #[arg(long)]
    pub ecn: bool,

    /// Ask for a TCP Fast Open cookie
    #[arg(long)]
    pub tfo: bool,

    /// Receive window to announce in the SYN, in bytes [default: 64240]
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = value::window)]
    pub window: Option<u16>,

    /// Initial sequence number, decimal or 0x… [default: unpredictable]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = value::isn)]
    pub isn: Option<u32>,
}

impl OfferArgs {
    /// Whether SACK-permitted is offered.
    #[must_use]
    pub const fn wants_sack(&self) -> bool {
        !self.no_sack
    }

    /// Whether timestamps are offered.
    #[must_use]
    pub const fn wants_timestamps(&self) -> bool {
        !self.no_timestamps
    }
}

/// What is sent once the connection is open.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// Send TEXT once the connection is open; knows \r \n \t \0 \\ \xHH
    ///
    /// The text goes out as it is, without a line end of its own. Escapes: \r \n \t \0 (a zero
    /// byte), \\ (a backslash) and \xHH (the byte with that hexadecimal value).
    #[arg(long, value_name = "TEXT", conflicts_with = "send_file")]
    pub send: Option<Payload>,

    /// Send the contents of FILE once the connection is open; - is stdin
    #[arg(long, value_name = "FILE")]
    pub send_file: Option<PathBuf>,
}

/// How long, and how often.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Timing")]
pub struct TimingArgs {
    /// Wait this long for the answer to the last attempt
    ///
    /// Durations are written 200ms, 50us, 2s or '1m 30s'; a bare number is seconds, as in 0.2.
    #[arg(short = 'W', long, value_name = "DURATION", default_value = "2s",
          allow_hyphen_values = true, value_parser = value::positive_duration)]
    pub timeout: Duration,

    /// Repeat an unanswered SYN, data segment or FIN up to N times
    ///
    /// The first repetition comes after 1s (for a SYN) or after the retransmission timeout that
    /// the measured round trips give; each further one waits twice as long (RFC 6298).
    #[arg(long, value_name = "N", default_value = "2",
          allow_negative_numbers = true, value_parser = value::retries)]
    pub retries: u32,

    /// End the whole run after this long
    ///
    /// Without it, a run ends when its retries are used up. A close waits 30s at most for
    /// a peer that does not close its end.
    #[arg(short = 'w', long, value_name = "DURATION",
          allow_hyphen_values = true, value_parser = value::positive_duration)]
    pub deadline: Option<Duration>,
}

/// Which guard keeps the kernel quiet.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GuardChoice {
    /// The best that works here.
    #[default]
    Auto,
    /// A socket filter.
    Filter,
    /// A minimum TTL.
    Minttl,
}

/// Which clock stamps packets.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClockArg {
    /// The interface's own where it is switched on for both ways, else the kernel's
    #[default]
    Auto,
    /// The interface's own, at the wire
    Hardware,
    /// The kernel's, at the packet tap, as a capture shows it
    Kernel,
    /// Our own, around the system calls: late by tens of microseconds
    User,
}

/// The clock alone.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Timing")]
pub struct ClockArgs {
    /// Clock that stamps packets
    ///
    /// Both ends of an interval are stamped by the same clock; a packet that it missed is said to
    /// have none. Interfaces are never reconfigured: 'shakedown doctor' tells whether hardware
    /// stamps are on, and how to switch them on.
    #[arg(long, value_name = "CLOCK", default_value = "auto")]
    pub clock: ClockArg,
}

/// Where packets leave from, and what their IP header says.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// Source address: one of this host's [default: by the route]
    #[arg(short = 'S', long, value_name = "ADDRESS", value_parser = value::address)]
    pub source: Option<IpAddr>,

    /// Source port [default: a free one, chosen at random]
    #[arg(short = 'g', long, value_name = "PORT",
          allow_negative_numbers = true, value_parser = value::source_port)]
    pub source_port: Option<u16>,

    /// Network interface [default: by the route]
    #[arg(short = 'I', long, value_name = "NAME", value_parser = value::interface)]
    pub interface: Option<String>,

    /// TTL or hop limit of what is sent, 1 to 255
    #[arg(long, value_name = "N", default_value = "64",
          allow_negative_numbers = true, value_parser = value::ttl)]
    pub ttl: u8,

    /// Type of service or traffic class, 0 to 255, decimal or 0x…
    #[arg(long, value_name = "N", default_value = "0",
          allow_negative_numbers = true, value_parser = value::tos)]
    pub tos: u8,

    /// What keeps the kernel from answering for our port
    #[arg(long, value_name = "KIND", default_value = "auto", hide = true)]
    pub guard: GuardChoice,
}

/// How a figure's distances stand for times.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FigureScaleArg {
    /// To scale; long gaps are cut, with a mark, and short ones widened until labels fit
    #[default]
    Time,
    /// Every step takes the same room; the times are written beside it
    Even,
}

/// A picture of the run.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct FigureArgs {
    /// Draw the connection as the textbook's sequence diagram, as SVG
    ///
    /// Both lifelines with the states of each end, an arrow for each segment, the times. Of a
    /// listener, the first client that opens is drawn, when its connection is over; of several
    /// probes none can be. The file is put in its place when it is whole; until then, what stood
    /// there stays.
    #[arg(long, value_name = "FILE")]
    pub figure: Option<PathBuf>,

    /// How distances in the figure stand for times: time or even
    #[arg(long, value_name = "SCALE", default_value = "time", requires = "figure")]
    pub figure_scale: FigureScaleArg,
}

/// When to colour.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Colour alone, for commands that have no other choice of output.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct ColorArgs {
    /// When to colour: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorChoice,
}

/// A language in which is explained.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum LangArg {
    /// English.
    En,
    /// Chinese.
    Zh,
}

/// Whether each step is explained.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct ExplainArgs {
    /// Explain below each step what it means, and each term where it is first used
    ///
    /// What the segment says and by which fields, what each end may do now, how its state is known,
    /// and what would happen if it were lost. With --json the records have a field 'explain'.
    #[arg(long, conflicts_with = "quiet")]
    pub explain: bool,

    /// Language of the explanations, en or zh [default: by the locale]
    #[arg(long, value_name = "LANG", requires = "explain", hide_possible_values = true)]
    pub lang: Option<LangArg>,
}

/// What is printed, and how.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print JSON Lines: one object for each step, times in nanoseconds
    #[arg(short, long)]
    pub json: bool,

    /// Print the result only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more; twice for everything
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,

    /// Write our packets, commented, as pcapng; - is stdout
    ///
    /// For Wireshark and its family: exactly our packets, in both directions, as they were on the
    /// wire, with the kernel's time in nanoseconds. Transitions, retransmissions and rejections are
    /// packet comments: in Wireshark, filter with frame.comment contains "ESTABLISHED". Packets have
    /// no link header. With -, the report goes to stderr.
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,

    /// Show addresses instead of the names given
    #[arg(short, long)]
    pub numeric: bool,

    /// Print sequence numbers as they are on the wire, not counted from 0
    #[arg(long)]
    pub absolute: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub color: ColorArgs,
}
