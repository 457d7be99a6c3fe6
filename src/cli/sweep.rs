//! `shakedown sweep`.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::shared::{ColorArgs, FamilyArgs, GuardChoice};
use super::value::{self, Choice, Payload};

/// How fast SYNs leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RateArg {
    /// So many a second.
    Fixed(u64),
    /// The highest rate at which nothing gets lost, found on the way.
    Auto,
    /// As fast as this host can.
    Max,
}

/// The lowest and the highest rate that can be asked for, in SYNs a second.
const RATES: RangeInclusive<u64> = 1..=100_000_000;

impl FromStr for RateArg {
    type Err = String;

    /// Reads `1000`, `50k`, `1.5M`, `auto` or `max`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Self::Auto),
            "max" => return Ok(Self::Max),
            _ => {}
        }
        let (number, unit) = match text.char_indices().last() {
            Some((at, 'k' | 'K')) => (&text[..at], 1_000),
            Some((at, 'M')) => (&text[..at], 1_000_000),
            _ => (text, 1),
        };
        decimal(number, unit).filter(|rate| RATES.contains(rate)).map(Self::Fixed).ok_or_else(
            || "write SYNs a second, as in 1000, 50k or 1.5M, or auto or max".to_owned(),
        )
    }
}

/// A decimal number times `unit`, where that is whole.
fn decimal(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let parts = whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(fraction)?;
    let product = parts.checked_mul(unit)?;
    (product % scale == 0).then_some(product / scale)
}

/// As it is written on the command line.
impl fmt::Display for RateArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(rate) => rate.fmt(f),
            Self::Auto => f.write_str("auto"),
            Self::Max => f.write_str("max"),
        }
    }
}

/// Source ports: one, or a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// The most source ports of a sweep: each is guarded by a socket of its own.
const MOST_SOURCE_PORTS: u16 = 1024;

impl FromStr for PortRange {
    type Err = String;

    /// Reads `40000` or `40000-40015`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let wrong = |_| "write a port from 1 to 65535, or a range, as in 40000-40015".to_owned();
        let (first, last) =
            (value::source_port(first).map_err(wrong)?, value::source_port(last).map_err(wrong)?);
        if last < first {
            return Err(format!("the range runs backwards: write {last}-{first}"));
        }
        if last - first >= MOST_SOURCE_PORTS {
            return Err(format!("{MOST_SOURCE_PORTS} source ports at most"));
        }
        Ok(Self { first, last })
    }
}

/// How packets leave.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TransmitArg {
    /// The fastest that works here, by measurement
    #[default]
    Auto,
    /// An AF_XDP socket
    Xdp,
    /// An AF_PACKET socket, past the queueing discipline
    Packet,
    /// A raw IP socket: the kernel finds the way and the neighbour
    Raw,
}

/// How answers are heard.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReceiveArg {
    /// A ring of memory that is shared with the kernel
    #[default]
    Ring,
    /// An XDP program at the interface
    Xdp,
}

/// Arguments of `sweep`.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)]
pub struct SweepArgs {
    /// Hosts: 192.0.2.0/24, 192.0.2.1-192.0.2.9, 192.0.2.1-9, 2001:db8::/120, a name
    ///
    /// Networks, ranges, addresses and names. Multicast, broadcast and reserved addresses are
    /// refused, and left out of larger networks. Without any, and without --targets, they are read
    /// from stdin where that is a pipe.
    #[arg(value_name = "HOSTS", help_heading = None::<&str>)]
    pub hosts: Vec<String>,

    #[command(flatten)]
    pub space: SweepSpaceArgs,

    #[command(flatten)]
    pub probe: SweepProbeArgs,

    #[command(flatten)]
    pub pace: PaceArgs,

    #[command(flatten)]
    pub source: SweepSourceArgs,

    #[command(flatten)]
    pub output: SweepOutputArgs,
}

/// Which targets, and in which order.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Targets")]
pub struct SweepSpaceArgs {
    /// Ports of every host: 443, 22,80,8000-8010, https
    #[arg(short, long, value_name = "PORTS")]
    pub ports: Option<String>,

    /// Read hosts from FILE, as above, one or more a line; - is stdin
    ///
    /// Empty lines and what follows a # are passed over. A line that cannot be read is named by its
    /// number, and nothing is sent.
    #[arg(long = "targets", value_name = "FILE")]
    pub target_file: Option<PathBuf>,

    /// Leave these hosts out; may be repeated, several with commas
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub exclude: Vec<String>,

    /// Leave out the hosts in FILE, written as in --targets
    #[arg(long, value_name = "FILE")]
    pub exclude_file: Option<PathBuf>,

    /// Walk the targets in the order that N gives [default: unpredictable]
    ///
    /// Targets are taken in a pseudo-random order, each exactly once, so that no network gets them
    /// in a row. The same N gives the same order everywhere, which --shard needs.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = value::seed)]
    pub seed: Option<u64>,

    /// Take only part I of N, counted from 0, as in 0/16; needs --seed
    ///
    /// The parts of all I from 0 to N - 1, with the same targets and the same seed, are all targets,
    /// each once. --merge unites their reports and proves it.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,

    /// Note progress in FILE, and continue from it if it is there
    ///
    /// After a kill at any moment the same command goes on: no target is lost, and those of the
    /// last seconds are probed again. An --output file is cut back to where the note was made, so
    /// that nothing stands in it twice.
    #[arg(long, value_name = "FILE", conflicts_with = "parquet")]
    pub resume: Option<PathBuf>,

    /// Unite the JSON reports of shards instead of sweeping
    ///
    /// Proves that they cover the targets: the same targets, options and seed, no part missing, none
    /// twice, none unfinished.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["hosts", "ports",
          "target_file", "exclude", "exclude_file", "ipv4", "ipv6", "seed", "shard", "resume", "full",
          "banner", "send", "no_rst", "mss", "wscale", "no_sack", "no_timestamps", "ecn", "window",
          "rate", "max_per_host", "max_per_net", "passes", "cool_down", "deadline", "source",
          "source_port", "interface", "ttl", "tos", "transmit", "receive", "guard"])]
    pub merge: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub family: FamilyArgs,
}

/// What each target is asked.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Probe")]
pub struct SweepProbeArgs {
    /// Open each connection and close it again: SYN, SYN-ACK, ACK, FIN, FIN, ACK
    #[arg(long)]
    pub full: bool,

    /// The same, and wait for the server's first bytes before closing
    #[arg(long)]
    pub banner: bool,

    /// Send TEXT once a connection is open; knows \r \n \t \0 \\ \xHH
    ///
    /// Implies --banner. 1208 bytes at most, which go into one segment to every host.
    #[arg(long, value_name = "TEXT")]
    pub send: Option<Payload>,

    /// Do not reset the connections that a SYN-ACK has half opened
    #[arg(long, conflicts_with_all = ["full", "banner", "send"])]
    pub no_rst: bool,

    /// Maximum segment size to announce; none leaves it out [default: by the MTU]
    #[arg(long, value_name = "N|none", allow_negative_numbers = true, value_parser = value::mss)]
    pub mss: Option<Choice<u16>>,

    /// Window scale shift, 0 to 14; none leaves it out [default: 7]
    #[arg(long, value_name = "N|none",
          allow_negative_numbers = true, value_parser = value::window_scale)]
    pub wscale: Option<Choice<u8>>,

    /// Do not offer selective acknowledgment
    #[arg(long)]
    pub no_sack: bool,

    /// Do not offer timestamps
    ///
    /// The send time travels in the timestamp option and comes back. Without it a round trip is
    /// taken from the log of what was sent when, which is less exact.
    #[arg(long)]
    pub no_timestamps: bool,

    /// Ask for explicit congestion notification (ECE and CWR on the SYN)
    #[arg(long)]
    pub ecn: bool,

    /// Receive window to announce in the SYN, in bytes [default: 64240]
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = value::window)]
    pub window: Option<u16>,
}

impl SweepProbeArgs {
    /// Whether first bytes are waited for.
    #[must_use]
    pub const fn wants_banner(&self) -> bool {
        self.banner || self.send.is_some()
    }
}

/// How fast, how often, and how long.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Pace")]
pub struct PaceArgs {
    /// SYNs a second: 1000, 50k, 1.5M, auto or max
    ///
    /// auto finds the highest rate at which answers are not lost, and keeps looking. max is as fast
    /// as this host can send: mind the networks on the way.
    #[arg(short, long, value_name = "RATE", default_value = "1000", allow_hyphen_values = true)]
    pub rate: RateArg,

    /// SYNs a second to any one host at most; the others go on
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = value::count)]
    pub max_per_host: Option<u64>,

    /// SYNs a second to any /24 of IPv4 or /64 of IPv6 at most
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = value::count)]
    pub max_per_net: Option<u64>,

    /// Ask silent targets again, up to N times in all
    ///
    /// Finds those whose SYN or answer was lost, and tells how much gets lost: one pass cannot.
    #[arg(long, value_name = "N", default_value = "1",
          allow_negative_numbers = true, value_parser = value::passes)]
    pub passes: u8,

    /// Wait for late answers until none came for this long
    #[arg(long, value_name = "DURATION", default_value = "2s",
          allow_hyphen_values = true, value_parser = value::positive_duration)]
    pub cool_down: Duration,

    /// End the sweep after this long; SYNs leave until a cool-down before it, or half of it
    #[arg(short = 'w', long, value_name = "DURATION",
          allow_hyphen_values = true, value_parser = value::positive_duration)]
    pub deadline: Option<Duration>,
}

/// Where packets leave from, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Source")]
pub struct SweepSourceArgs {
    /// Source address: one of this host's, or a spare one of the link [default: by the route]
    ///
    /// For a spare address, which no host has, shakedown answers ARP and Neighbour Discovery
    /// while the sweep runs.
    #[arg(short = 'S', long, value_name = "ADDRESS", value_parser = value::address)]
    pub source: Option<IpAddr>,

    /// Source port, or a range: 40000-40015 [default: a free one, chosen at random]
    #[arg(short = 'g', long, value_name = "PORT[-PORT]", allow_hyphen_values = true)]
    pub source_port: Option<PortRange>,

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

    /// How packets leave: auto (the fastest, by measurement), xdp, packet or raw
    #[arg(long, value_name = "PATH", default_value = "auto", hide_possible_values = true)]
    pub transmit: TransmitArg,

    /// How answers are heard: ring, or xdp, at the interface itself
    ///
    /// xdp hears the most: answers no longer go through this host's IP and TCP. It attaches a
    /// program to the interface for as long as the sweep runs, however that ends, which makes some
    /// network cards begin anew; other programs that capture do not see what it takes. It needs
    /// CAP_NET_ADMIN and CAP_BPF beside CAP_NET_RAW, and Linux 5.9.
    #[arg(long, value_name = "HOW", default_value = "ring", hide_possible_values = true)]
    pub receive: ReceiveArg,

    /// What keeps the kernel from answering for our port
    #[arg(long, value_name = "KIND", default_value = "auto", hide = true)]
    pub guard: GuardChoice,
}

/// What is printed, and where.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct SweepOutputArgs {
    /// Print JSON Lines: a run, each answer as it comes, a summary
    #[arg(short, long)]
    pub json: bool,

    /// Print a row for each answer, with commas between
    #[arg(long, conflicts_with_all = ["json", "plain"])]
    pub csv: bool,

    /// Print HOST:PORT for each answer, one a line (the default but on a terminal)
    #[arg(long, conflicts_with = "json")]
    pub plain: bool,

    /// Which fields of an answer to print, in this order, with commas between
    ///
    /// For --json, --csv and --parquet: addr, port, outcome, rtt_ns, rtt_by, rtt_error_ns, pass, ttl,
    /// win, mss, wscale, sack, timestamps, icmp_type, icmp_code, icmp_kind, icmp_from, handshake_ns,
    /// ack_of_fin_ns, fin_ns, banner, banner_hex, unix_ns.
    #[arg(long, value_name = "FIELDS")]
    pub fields: Option<String>,

    /// Print open ports only; the account at the end has all
    #[arg(long)]
    pub open_only: bool,

    /// Write answers to FILE instead of stdout
    ///
    /// Whole lines at any moment; only a kill in the midst of a write may cut the last one, and
    /// --resume mends that.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Write answers to FILE as Parquet
    ///
    /// The file appears when the sweep is over.
    #[arg(long, value_name = "FILE")]
    pub parquet: Option<PathBuf>,

    /// Print answers only: neither progress nor summary
    #[arg(short, long)]
    pub quiet: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub color: ColorArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_as_people_say_them() {
        let rate = |text: &str| text.parse::<RateArg>();
        assert_eq!(rate("1000"), Ok(RateArg::Fixed(1_000)));
        assert_eq!(rate("50k"), Ok(RateArg::Fixed(50_000)));
        assert_eq!(rate("1.5M"), Ok(RateArg::Fixed(1_500_000)));
        assert_eq!(rate("auto"), Ok(RateArg::Auto));
        for wrong in ["", "0", "k", "1.5", "-3", "1e6", "fast", "99999999999999999999M", "1.k5"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn source_ports_are_one_or_a_range() {
        let range = |text: &str| text.parse::<PortRange>();
        assert_eq!(range("40000"), Ok(PortRange { first: 40_000, last: 40_000 }));
        assert_eq!(range("40000-40015"), Ok(PortRange { first: 40_000, last: 40_015 }));
        assert!(range("40015-40000").is_err_and(|why| why.contains("40000-40015")));
        for wrong in ["0", "1-70000", "-", "a", "1-65535"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
