//! What the machine answers: verdicts on what arrived, what to send, what happened.

use super::state::Transition;
use crate::wire::Segment;

/// What became of a segment that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It was processed.
    Accepted,
    /// All of it had been received before. It was acknowledged again.
    Duplicate,
    /// Its data or FIN is kept; something before it is missing.
    OutOfOrder,
    /// It changed nothing, for this reason; it may have been answered.
    Rejected(Rejection),
}

/// Why a segment changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// Its ports are those of another connection.
    OtherConnection,
    /// There is no connection any more.
    NoConnection,
    /// RST at a listener.
    ResetOfListener,
    /// ACK at a listener, which has sent nothing.
    AckOfListener,
    /// No SYN at a listener.
    NoSyn,
    /// SYN-SENT: it acknowledges something other than our SYN.
    AckNotOfSyn,
    /// SYN-SENT: RST that does not acknowledge our SYN.
    ResetNotOfSyn,
    /// SYN-SENT: neither SYN nor RST.
    NeitherSynNorReset,
    /// All of it lies before the receive window, and it holds nothing.
    BeforeWindow,
    /// All of it lies behind the receive window.
    BeyondWindow,
    /// Timestamps were agreed on and it has none.
    TimestampMissing,
    /// Its timestamp is older than the last: a segment of the past.
    TimestampOld,
    /// RST outside the window.
    ResetOutsideWindow,
    /// RST in the window but not at its start.
    ResetInsideWindow,
    /// RST in TIME-WAIT.
    ResetInTimeWait,
    /// SYN on a connection that is synchronized.
    SynOfSynchronized,
    /// No ACK bit.
    NoAck,
    /// SYN-RECEIVED: it acknowledges something other than our SYN.
    HandshakeAck,
    /// It acknowledges what was never sent.
    AckOfUnsent,
    /// Its acknowledgment is older than any that can still be on its way.
    AckAncient,
    /// Data behind the far end's FIN.
    TextAfterFin,
}

impl Rejection {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::OtherConnection,
        Self::NoConnection,
        Self::ResetOfListener,
        Self::AckOfListener,
        Self::NoSyn,
        Self::AckNotOfSyn,
        Self::ResetNotOfSyn,
        Self::NeitherSynNorReset,
        Self::BeforeWindow,
        Self::BeyondWindow,
        Self::TimestampMissing,
        Self::TimestampOld,
        Self::ResetOutsideWindow,
        Self::ResetInsideWindow,
        Self::ResetInTimeWait,
        Self::SynOfSynchronized,
        Self::NoAck,
        Self::HandshakeAck,
        Self::AckOfUnsent,
        Self::AckAncient,
        Self::TextAfterFin,
    ];

    /// The reason in a short sentence, with its clause.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OtherConnection => "ports of another connection (RFC 9293 3.10.7)",
            Self::NoConnection => "no such connection (RFC 9293 3.10.7.1)",
            Self::ResetOfListener => "RST while listening (RFC 9293 3.10.7.2)",
            Self::AckOfListener => "ACK while listening (RFC 9293 3.10.7.2)",
            Self::NoSyn => "no SYN while listening (RFC 9293 3.10.7.2)",
            Self::AckNotOfSyn => "ack is not of our SYN (RFC 9293 3.10.7.3)",
            Self::ResetNotOfSyn => "RST that does not acknowledge our SYN (RFC 9293 3.10.7.3)",
            Self::NeitherSynNorReset => "neither SYN nor RST (RFC 9293 3.10.7.3)",
            Self::BeforeWindow => "before the receive window (RFC 9293 3.10.7.4)",
            Self::BeyondWindow => "beyond the receive window (RFC 9293 3.10.7.4)",
            Self::TimestampMissing => "timestamps agreed on but missing (RFC 7323 3.2)",
            Self::TimestampOld => "timestamp older than the last (RFC 7323 5.3)",
            Self::ResetOutsideWindow => "RST outside the window (RFC 5961 3.2)",
            Self::ResetInsideWindow => "RST in the window but not at its start (RFC 5961 3.2)",
            Self::ResetInTimeWait => "RST in TIME-WAIT (RFC 1337 3)",
            Self::SynOfSynchronized => "SYN on an open connection (RFC 5961 4.2)",
            Self::NoAck => "no ACK bit (RFC 9293 3.10.7.4)",
            Self::HandshakeAck => "ack is not of our SYN-ACK (RFC 9293 3.10.7.4)",
            Self::AckOfUnsent => "ack of what was never sent (RFC 9293 3.10.7.4)",
            Self::AckAncient => "ack older than the largest window (RFC 5961 5.2)",
            Self::TextAfterFin => "data after FIN (RFC 9293 3.10.7.4)",
        }
    }
}

/// What became of an ICMP error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpVerdict {
    /// It ended the attempt.
    Aborted,
    /// It is about a segment of ours that is on its way, and changed no state.
    Noted,
    /// It cannot be about a segment that is on its way, for this reason.
    Rejected(&'static str),
}

/// A segment to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// The segment.
    pub segment: Segment,
    /// What it is.
    pub kind: TransmitKind,
}

/// What a segment to be sent is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransmitKind {
    /// Sent for the first time; every plain ACK is one.
    First,
    /// Sent before; the n-th repetition since the far end last acknowledged anything, from 1.
    Retransmission(u32),
    /// An ACK that asks the far end whether it meant what it sent (RFC 5961), or that answers an
    /// empty segment outside the window.
    ChallengeAck,
    /// RST.
    Reset,
}

/// Something that happened to the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionEvent {
    /// Our state changed.
    Transition(Transition),
    /// The handshake is over; data may flow.
    Established,
    /// A RST answered our SYN or SYN-ACK.
    Refused,
    /// A RST ended the open connection.
    ResetByPeer,
    /// So many more bytes of our data are acknowledged.
    DataAcknowledged(u32),
    /// So many more bytes are there for [`take_received`](super::Connection::take_received).
    DataReceived(u32),
    /// Our FIN is acknowledged.
    FinAcknowledged,
    /// The far end's FIN came, with everything before it.
    PeerFin,
    /// All retransmissions went unanswered.
    GaveUp(GaveUp),
    /// The state is CLOSED; nothing more will happen.
    Closed,
}

/// What went unanswered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GaveUp {
    /// Our SYN.
    Syn,
    /// Our SYN-ACK.
    SynAck,
    /// Our data, or probes of a closed window.
    Data,
    /// Our FIN.
    Fin,
}

/// Why data cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// CLOSED or LISTEN: there is nobody to send to.
    #[error("not connected")]
    NotConnected,
    /// The user closed already (RFC 9293 §3.10.2: "connection closing").
    #[error("connection closing")]
    Closing,
    /// More would be queued than a sequence number can tell apart.
    #[error("send buffer full")]
    Full,
}

/// Why a connection cannot be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CloseError {
    /// It is CLOSED.
    #[error("not connected")]
    NotConnected,
    /// The user closed already.
    #[error("connection closing")]
    Closing,
}
