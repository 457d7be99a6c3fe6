//! The eleven states, the legal moves between them, and how a move is known.

use std::fmt;

use crate::time::Instant;
use crate::wire::Flags;

/// A state of RFC 9293 §3.3.2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for a connection request from any remote end.
    Listen,
    /// Our SYN is out.
    SynSent,
    /// A SYN came and ours is out, not yet acknowledged.
    SynReceived,
    /// Open: data flows both ways.
    Established,
    /// Our FIN is out, not yet acknowledged.
    FinWait1,
    /// Our FIN is acknowledged; the other end's is awaited.
    FinWait2,
    /// The other end's FIN came; our application has yet to close.
    CloseWait,
    /// Both FINs crossed; ours is not yet acknowledged.
    Closing,
    /// The other end closed first; our FIN awaits its acknowledgment.
    LastAck,
    /// Both ends closed; old segments are given 2 MSL to die.
    TimeWait,
}

impl State {
    /// All eleven, in the order of the RFC's list with CLOSED first.
    pub const ALL: [Self; 11] = [
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// The RFC's spelling: `SYN-SENT`, `FIN-WAIT-1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        }
    }

    /// Whether both ends know each other's sequence numbers: ESTABLISHED and everything after it
    /// but CLOSED (RFC 9293 §3.5.2).
    #[must_use]
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, Self::Closed | Self::Listen | Self::SynSent | Self::SynReceived)
    }

    /// Whether the state diagram (RFC 9293 figure 5, with the moves that its text adds: an abort or
    /// a reset from anywhere, SYN-RECEIVED back to LISTEN, FIN-WAIT-1 straight to TIME-WAIT, and
    /// both FINs seen in SYN-RECEIVED) has an arrow from `self` to `to`.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use State::{
            CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen,
            SynReceived, SynSent, TimeWait,
        };
        match (self, to) {
            (Closed, Closed) => false,
            (_, Closed) => true,
            (Closed, Listen | SynSent) => true,
            (Listen, SynReceived | SynSent) => true,
            (SynSent, SynReceived | Established) => true,
            (SynReceived, Listen | Established | FinWait1 | CloseWait) => true,
            (Established, FinWait1 | CloseWait) => true,
            (FinWait1, FinWait2 | Closing | TimeWait) => true,
            (FinWait2 | Closing, TimeWait) => true,
            (CloseWait, LastAck) => true,
            // RFC 9293 §3.10.7.4: a new SYN may reopen from TIME-WAIT (MAY-2).
            (TimeWait, SynReceived) => true,
            _ => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    /// The end that opened actively.
    Client,
    /// The end that was listening.
    Server,
}

impl End {
    /// `client` or `server`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }

    /// The end at the other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// How a state is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Known {
    /// Taken for granted: LISTEN before our SYN.
    Assumed,
    /// A segment of ours must have moved it, if it arrived.
    Implied,
    /// Only an end in this state can have sent the segment that we saw.
    Proved,
    /// It is our own state.
    Own,
}

impl Known {
    /// `assumed`, `implied`, `proved` or `own`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Implied => "implied",
            Self::Proved => "proved",
            Self::Own => "own",
        }
    }
}

/// What made an end change its state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing that we saw: how things stood before the first segment.
    Start,
    /// Its user opened actively.
    ActiveOpen,
    /// Its user opened passively.
    PassiveOpen,
    /// Its user closed.
    Close,
    /// Its user aborted.
    Abort,
    /// It sent a segment with these flags.
    Sent(Flags),
    /// It received a segment with these flags.
    Received(Flags),
    /// 2 MSL passed in TIME-WAIT.
    TimeWaitExpired,
    /// Nothing answered within all retransmissions.
    GaveUp,
    /// An ICMP error ended the attempt.
    Icmp,
}

/// `SYN sent`, `FIN+ACK received`, `2 MSL passed`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::ActiveOpen => f.write_str("active open"),
            Self::PassiveOpen => f.write_str("passive open"),
            Self::Close => f.write_str("close"),
            Self::Abort => f.write_str("abort"),
            Self::Sent(flags) => write!(f, "{flags} sent"),
            Self::Received(flags) => write!(f, "{flags} received"),
            Self::TimeWaitExpired => f.write_str("2 MSL passed"),
            Self::GaveUp => f.write_str("gave up"),
            Self::Icmp => f.write_str("ICMP error"),
        }
    }
}

/// One move of one end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// When. The far end's moves are estimates: the stamp of the segment that tells of it, moved by
    /// half the round trip.
    pub at: Instant,
    /// Which end.
    pub end: End,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// How we know.
    pub known: Known,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_reached_and_left() {
        for state in State::ALL {
            assert!(State::ALL.iter().any(|from| from.may_become(state)), "{state} is unreachable");
            assert!(State::ALL.iter().any(|to| state.may_become(*to)), "{state} is a trap");
        }
    }

    #[test]
    fn a_graceful_close_never_skips_a_state() {
        assert!(!State::Established.may_become(State::LastAck));
        assert!(!State::Established.may_become(State::TimeWait));
        assert!(!State::CloseWait.may_become(State::TimeWait));
        assert!(!State::Listen.may_become(State::Established));
    }
}
