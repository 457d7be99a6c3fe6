//! What a sweep tells of one target.

use std::net::IpAddr;

use crate::wire::IcmpKind;

/// What became of a target that answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SweepOutcome {
    /// A SYN-ACK; of a whole handshake nothing more is known yet.
    Open,
    /// A RST answered our SYN.
    Refused,
    /// ICMP said that the SYN could not be delivered.
    Unreachable,
    /// ICMP said that the SYN may not be delivered: a firewall.
    Prohibited,
    /// The connection was closed by FIN from both ends.
    Closed,
    /// Our FIN was acknowledged, theirs never came.
    StillOpen,
    /// Our FIN was neither acknowledged nor answered.
    FinIgnored,
    /// The peer reset the open connection.
    Reset,
}

impl SweepOutcome {
    /// Every outcome, in the order in which they are listed.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Closed,
        Self::StillOpen,
        Self::FinIgnored,
        Self::Reset,
        Self::Refused,
        Self::Unreachable,
        Self::Prohibited,
    ];

    /// The word in every report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Prohibited => "prohibited",
            Self::Closed => "closed",
            Self::StillOpen => "still-open",
            Self::FinIgnored => "fin-ignored",
            Self::Reset => "reset",
        }
    }

    /// Whether a SYN-ACK proved that somebody listens, whatever came of it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Refused | Self::Unreachable | Self::Prohibited)
    }
}

/// How the time of a SYN was known when its answer came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RttBy {
    /// It came back in the timestamp option.
    Timestamp,
    /// From the log of what was sent when.
    Log,
}

impl RttBy {
    /// The word in every report: `timestamp`, `log`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Log => "log",
        }
    }
}

/// A round-trip time that no state was kept for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SweepRtt {
    /// Nanoseconds from the SYN to its answer.
    pub nanos: u64,
    /// How the SYN's time was known.
    pub by: RttBy,
    /// By how many nanoseconds it may be wrong, in either direction.
    pub error_nanos: u64,
}

/// What a SYN-ACK said of its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SweepOffer {
    /// The window, unscaled.
    pub window: u16,
    /// The maximum segment size.
    pub mss: Option<u16>,
    /// The shift of later windows.
    pub wscale: Option<u8>,
    /// Whether selective acknowledgments are understood.
    pub sack: bool,
    /// Whether it carries timestamps.
    pub timestamps: bool,
}

/// The ICMP error that answered a SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SweepIcmp {
    /// What it means.
    pub kind: IcmpKind,
    /// Who sent it: a router, or the target itself.
    pub by: IpAddr,
    /// Type and code, where they are known.
    pub number: Option<(u8, u8)>,
}

/// How long the steps of a whole handshake took, in nanoseconds; absent where it did not come to them,
/// or their times were not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SweepPhases {
    /// From the SYN to the SYN-ACK.
    pub handshake: Option<u64>,
    /// From our FIN to its acknowledgment: the peer's kernel.
    pub ack_of_fin: Option<u64>,
    /// From our FIN to theirs: the peer's application.
    pub fin: Option<u64>,
}

/// A target that answered. One for each, when nothing more is expected of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The address.
    pub addr: IpAddr,
    /// The port.
    pub port: u16,
    /// What became of it.
    pub outcome: SweepOutcome,
    /// The pass in which its first answer came, from 1.
    pub pass: Option<u8>,
    /// The round-trip time.
    pub rtt: Option<SweepRtt>,
    /// The TTL with which its first answer arrived.
    pub ttl: Option<u8>,
    /// What its SYN-ACK said.
    pub offer: Option<SweepOffer>,
    /// The ICMP error that was its answer.
    pub icmp: Option<SweepIcmp>,
    /// How long the steps took; all absent where only the port was asked for.
    pub phases: SweepPhases,
    /// The first bytes that it sent.
    pub banner: Option<Box<[u8]>>,
    /// When its first answer came: wall-clock nanoseconds since the Unix epoch; absent in virtual time.
    pub unix_ns: Option<i64>,
}

impl Found {
    /// Someone of whom nothing further is known: fill in the rest.
    #[must_use]
    pub const fn new(addr: IpAddr, port: u16, outcome: SweepOutcome) -> Self {
        Self {
            addr,
            port,
            outcome,
            pass: None,
            rtt: None,
            ttl: None,
            offer: None,
            icmp: None,
            phases: SweepPhases { handshake: None, ack_of_fin: None, fin: None },
            banner: None,
            unix_ns: None,
        }
    }
}
