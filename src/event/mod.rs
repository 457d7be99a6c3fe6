//! The vocabulary of everything that is reported: what the driver and the commands say, and what
//! the reporters hear.
//!
//! Events carry values, never text: how they read is the reporter's trade. They come in the order
//! of their time for one flow; the transitions that a segment causes follow that segment.

mod check;
mod listen;
mod report;
mod request;
mod rtt;
mod sweep;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::SocketAddr;

pub use check::*;
pub use listen::*;
pub use report::*;
pub use request::*;
pub use rtt::*;
pub use sweep::*;

use crate::net::{Dir, GuardKind};
use crate::tcp::state::{Cause, End, Known, State, Transition};
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{IcmpError, Packet, SeqNum};

/// Which connection or probe of a run an event belongs to: counted from 0 in the order of opening.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FlowId(pub u32);

/// Something worth reporting.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A flow begins. First of its flow.
    Run(Run),
    /// A segment left or arrived.
    Segment(Box<SegmentEvent>),
    /// An ICMP error about a segment of ours arrived.
    Icmp {
        /// When.
        at: Stamp,
        /// What.
        error: IcmpError,
        /// Why it changed nothing, if it did not.
        rejected: Option<&'static str>,
        /// The IP packet, as the capture saw it.
        bytes: Vec<u8>,
    },
    /// A packet of ours of which no other event tells, for whoever keeps packets. What a person
    /// should know of it follows as a notice.
    Packet(Box<PacketEvent>),
    /// An end changed its state.
    Transition(Transition),
    /// What was implied about the far end is now proved; its state did not change.
    Confirmed {
        /// When the proof arrived.
        at: Instant,
        /// Whose state.
        end: End,
        /// The state.
        state: State,
        /// The segment that proves it.
        cause: Cause,
        /// How it is known now.
        known: Known,
    },
    /// What was implied about the far end turned out not to have happened (our segment was lost):
    /// it is still in an earlier state.
    Retracted {
        /// When the proof arrived.
        at: Instant,
        /// Whose state.
        end: End,
        /// The state in which it was believed to be.
        believed: State,
        /// The state in which it is.
        state: State,
        /// The segment that proves it.
        cause: Cause,
    },
    /// One attempt of a command that makes many has its result.
    Probe(ProbeResult),
    /// A client that connected to us has opened, or has come to its end: last of its flow.
    Client(Box<ClientReport>),
    /// What the segment before it carried of HTTP or TLS.
    Http(HttpStep),
    /// A request has come to its end.
    Request(Box<RequestReport>),
    /// A connection that carried requests has: last of its flow.
    Connection(Box<ConnectionReport>),
    /// Something that the user should know and that is no step of the protocol.
    Notice(Notice),
    /// Time has passed, and nothing else: for a display that is drawn in place.
    Tick(Instant),
    /// How it ended. Last of the run.
    Summary(Box<Summary>),
}

/// How a flow begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The subcommand.
    pub command: &'static str,
    /// The target as the user wrote it.
    pub name: String,
    /// The target's address.
    pub target: SocketAddr,
    /// Our address.
    pub source: SocketAddr,
    /// The interface.
    pub interface: String,
    /// The clock that stamps the packets.
    pub clock: Clock,
    /// What keeps the kernel quiet.
    pub guard: GuardKind,
    /// Which end we are.
    pub end: End,
    /// When: the origin of the times that a person reads.
    pub at: Instant,
    /// Wall-clock nanoseconds since the Unix epoch at `at`; absent in virtual time.
    pub unix_ns: Option<i64>,
}

/// A segment that left or arrived.
#[derive(Clone, PartialEq, Debug)]
pub struct SegmentEvent {
    /// Which way it went.
    pub dir: Dir,
    /// When, by which clock.
    pub stamp: Stamp,
    /// The packet.
    pub packet: Packet,
    /// The sequence number from which those of this direction are counted: the sender's initial one.
    pub seq_origin: SeqNum,
    /// The number from which SEG.ACK is counted: the receiver's initial one.
    pub ack_origin: SeqNum,
    /// What is special about it.
    pub note: Option<Note>,
    /// The IP packet, as the capture saw it: with whatever the parsed packet leaves out, and
    /// whatever is wrong with it. Absent where the capture has not shown it: it has not left yet, as
    /// far as we know.
    pub bytes: Option<Vec<u8>>,
}

/// A packet that is no segment of a flow: one that cannot be read, one to a port of ours that no
/// connection claims (its flow is then the run's first), or the late copy of a segment that was
/// reported before it left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PacketEvent {
    /// Which way it went.
    pub dir: Dir,
    /// When, by which clock.
    pub stamp: Stamp,
    /// The IP packet, as the capture saw it.
    pub bytes: Vec<u8>,
    /// Why it is not an event of another kind.
    pub remark: Cow<'static, str>,
}

/// What is special about a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Note {
    /// We sent it before; this is the n-th repetition, from 1.
    Retransmission(u32),
    /// The far end sent it before: all of it was already received.
    Duplicate,
    /// It was not accepted, for this reason (RFC 9293 §3.10.7 and RFC 5961).
    Rejected(&'static str),
    /// Our kernel sent it, not we: the guard failed.
    LocalKernel,
    /// It was withheld on purpose and never sent, or not yet given to our own machine.
    Held,
    /// It acknowledges a segment that is not acceptable (RFC 9293 §3.10.7.4, RFC 5961).
    ChallengeAck,
    /// It arrived out of order: something before it is missing.
    OutOfOrder,
    /// It arrived when its connection was over, and was answered by RST where it was none (RFC 9293
    /// §3.10.7.1).
    Late,
}

/// `retransmission 1`, `duplicate`, `rejected: checksum`.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retransmission(count) => write!(f, "retransmission {count}"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Rejected(reason) => write!(f, "rejected: {reason}"),
            Self::LocalKernel => f.write_str("sent by your own kernel, not by the peer or by us"),
            Self::Held => f.write_str("held back"),
            Self::ChallengeAck => f.write_str("challenge ACK"),
            Self::OutOfOrder => f.write_str("out of order"),
            Self::Late => f.write_str("late: its connection is over"),
        }
    }
}

/// Something that the user should know and that is no step of the protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// When.
    pub at: Instant,
    /// How bad.
    pub severity: Severity,
    /// A word for programs, stable: `local-reset`, `clock-step`, `no-transmit-stamp`, `interrupted`.
    pub code: &'static str,
    /// A sentence for people.
    pub text: String,
}

/// How much a notice matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Good to know.
    Info,
    /// A figure is worth less than it seems.
    Warning,
    /// The measurement is void.
    Error,
}

/// Hears events.
pub trait Sink {
    /// Takes one event of one flow.
    ///
    /// # Errors
    /// The output failed. A closed pipe ends the reporting, not the run: see the reporters.
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()>;
}

impl Sink for Vec<(FlowId, Event)> {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        self.push((flow, event.clone()));
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        (**self).record(flow, event)
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        (**self).record(flow, event)
    }
}
