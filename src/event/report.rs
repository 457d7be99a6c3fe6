//! What a run found out: the results that end it.

use std::net::IpAddr;
use std::time::Duration;

use super::{ListenReport, RequestsReport};
use crate::tcp::state::State;
use crate::time::Clock;
use crate::wire::IcmpError;

/// How a run or a probe ended. A peer's misbehaviour is an outcome, never an error.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The handshake completed, or a SYN-ACK proved that it would.
    Open,
    /// A RST answered our SYN.
    Refused,
    /// Nothing answered, through all retransmissions.
    Filtered,
    /// A router or the host said by ICMP that the packet could not be delivered.
    Unreachable,
    /// A firewall said by ICMP that the packet may not be delivered.
    Prohibited,
    /// Something answered that cannot be an answer to what we sent.
    Invalid,
    /// The connection was closed by FIN from both ends.
    Closed,
    /// The peer ended an open connection by RST.
    Reset,
    /// The peer went silent after the connection was open.
    TimedOut,
    /// The peer acknowledged our FIN and never sent its own.
    StillOpen,
    /// The shape of close that was asked for could not be brought about.
    OtherShape,
    /// The user interrupted the run.
    Interrupted,
    /// We ended the connection by RST, as we were asked to.
    Aborted,
    /// Our own kernel interfered: nothing can be said of the peer.
    LocalInterference,
    /// Every request was answered.
    Answered,
    /// The peer does not speak the protocol that was asked for.
    Declined,
    /// The peer's certificate was not believed, or it did not get along with our TLS.
    Untrusted,
    /// A request was answered by a status that says that it failed, and that was not wanted.
    BadStatus,
}

impl Outcome {
    /// The word in the JSON stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Filtered => "filtered",
            Self::Unreachable => "unreachable",
            Self::Prohibited => "prohibited",
            Self::Invalid => "invalid",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::TimedOut => "timeout",
            Self::StillOpen => "still-open",
            Self::OtherShape => "other-shape",
            Self::Interrupted => "interrupted",
            Self::Aborted => "aborted",
            Self::LocalInterference => "local-interference",
            Self::Answered => "answered",
            Self::Declined => "declined",
            Self::Untrusted => "untrusted",
            Self::BadStatus => "bad-status",
        }
    }
}

/// One interval and the clocks at its two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// The interval.
    pub value: Duration,
    /// The worse of the clocks that stamped its ends.
    pub clock: Clock,
}

/// What one end offers in its SYN or SYN-ACK.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// The receive window, unscaled (RFC 7323 §2.2).
    pub window: u16,
    /// MSS.
    pub mss: Option<u16>,
    /// Window scale shift.
    pub window_scale: Option<u8>,
    /// SACK-permitted.
    pub sack: bool,
    /// Timestamps: TSval.
    pub timestamps: Option<u32>,
    /// ECN: the handshake bits ask for it (ECE and CWR on a SYN) or grant it (ECE alone on a
    /// SYN-ACK).
    pub ecn: bool,
    /// TCP Fast Open cookie; empty where one is asked for.
    pub fast_open: Option<Vec<u8>>,
    /// The TTL with which the segment left or arrived.
    pub ttl: u8,
}

/// What a handshake found out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HandshakeReport {
    /// From our SYN to its SYN-ACK; absent where a retransmission made it ambiguous (Karn) or no
    /// answer came.
    pub rtt: Option<Measured>,
    /// Why there is no `rtt` although an answer came.
    pub rtt_absent: Option<&'static str>,
    /// SYNs sent.
    pub attempts: u32,
    /// What we offered.
    pub offered: Offer,
    /// What the peer answered; absent where it did not.
    pub granted: Option<Offer>,
    /// Who answered, and from how far.
    pub answered_by: Option<Answerer>,
    /// The ICMP error that ended the attempt.
    pub icmp: Option<IcmpError>,
    /// Data that we sent and how it went.
    pub exchange: Option<Exchange>,
}

/// Who answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answerer {
    /// The address.
    pub address: IpAddr,
    /// The TTL with which the answer arrived.
    pub ttl: u8,
    /// The likely initial TTL: the next of 32, 64, 128 and 255.
    pub initial_ttl: u8,
}

impl Answerer {
    /// The likely number of routers between; 0 on the same link.
    #[must_use]
    pub const fn hops(&self) -> u8 {
        self.initial_ttl - self.ttl
    }

    /// The answerer at `address`, whose packet arrived with `ttl`.
    #[must_use]
    pub const fn new(address: IpAddr, ttl: u8) -> Self {
        let initial_ttl = match ttl {
            0..=32 => 32,
            33..=64 => 64,
            65..=128 => 128,
            _ => 255,
        };
        Self { address, ttl, initial_ttl }
    }
}

/// Data sent after the handshake and what came back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exchange {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes of them acknowledged.
    pub acknowledged: u64,
    /// From the first data segment to the acknowledgment of all of it.
    pub ack_delay: Option<Measured>,
    /// Bytes received.
    pub received: u64,
    /// The beginning of what was received, at most 4096 bytes.
    pub reply: Vec<u8>,
}

/// The shape of a close.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CloseShape {
    /// We close first.
    Active,
    /// They close first.
    Passive,
    /// Both at once.
    Simultaneous,
    /// We close our direction and go on receiving.
    Half,
    /// By RST, from either end.
    Abort,
}

impl CloseShape {
    /// `active`, `passive`, `simultaneous`, `half` or `abort`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Simultaneous => "simultaneous",
            Self::Half => "half",
            Self::Abort => "abort",
        }
    }
}

/// What the peer made of our FIN while it still had something to say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HalfClose {
    /// It acknowledged our FIN, sent data after it, and closed in its own time.
    Honoured,
    /// It closed at once: our end of file ended its direction too.
    Collapsed,
    /// It reset the connection.
    Reset,
    /// It acknowledged our FIN, and neither sent nor closed until the deadline.
    Ignored,
}

impl HalfClose {
    /// `honoured`, `collapsed`, `reset` or `ignored`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Collapsed => "collapsed",
            Self::Reset => "reset",
            Self::Ignored => "ignored",
        }
    }
}

/// How a connection was closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloseReport {
    /// The shape that was asked for.
    pub asked: CloseShape,
    /// The shape that came about; absent where the close did not complete.
    pub took_place: Option<CloseShape>,
    /// Whether the peer's ACK of our FIN and its own FIN were one segment.
    pub merged: Option<bool>,
    /// From our FIN to the acknowledgment of it: the peer's kernel.
    pub ack_of_fin: Option<Measured>,
    /// From the acknowledgment of our FIN to the peer's FIN: its application, the CLOSE-WAIT dwell.
    /// Zero where both came in one segment.
    pub close_wait: Option<Measured>,
    /// Bytes received after our FIN left.
    pub bytes_after_fin: u64,
    /// The verdict on half-close, where it was asked for.
    pub half_close: Option<HalfClose>,
    /// Times that our FIN was sent.
    pub fin_attempts: u32,
    /// Times that a repeated FIN of the peer was acknowledged again in TIME-WAIT.
    pub fins_reacknowledged: u32,
    /// How long we stayed in TIME-WAIT: 2 MSL, shortened from the RFC's four minutes.
    pub time_wait: Option<Duration>,
    /// Our state at the end.
    pub our_state: State,
    /// The peer's state at the end, as far as it is known.
    pub peer_state: State,
}

/// The result of one probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeResult {
    /// Its number in the run, from 1.
    pub seq: u64,
    /// The target's name as the user wrote it, with its port.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
    /// From our SYN to the answer, where it is unambiguous.
    pub rtt: Option<Measured>,
    /// SYNs sent.
    pub attempts: u32,
    /// Who answered.
    pub answered_by: Option<Answerer>,
    /// What an open port offered.
    pub granted: Option<Offer>,
    /// The ICMP error that decided it.
    pub icmp: Option<IcmpError>,
    /// Why an answer was invalid.
    pub reason: Option<&'static str>,
}

/// The end of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether that is what was asked for: exit status 0.
    pub as_expected: bool,
    /// Whether the user cut it short.
    pub interrupted: bool,
    /// From the start of the run to its end.
    pub elapsed: Duration,
    /// Segments and bytes.
    pub traffic: Traffic,
    /// What the handshake found out.
    pub handshake: Option<HandshakeReport>,
    /// How it was closed.
    pub close: Option<CloseReport>,
    /// Outcomes of all probes, with their counts.
    pub probes: Vec<(Outcome, u64)>,
    /// What a listener saw.
    pub listen: Option<ListenReport>,
    /// What requests found out.
    pub requests: Option<RequestsReport>,
}

/// What went over the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Segments sent, retransmissions included.
    pub sent: u64,
    /// Segments received, rejected ones included.
    pub received: u64,
    /// Retransmissions among those sent.
    pub retransmitted: u64,
    /// Segments received and not accepted.
    pub rejected: u64,
}
