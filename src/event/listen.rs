//! What is told of clients that connected to us.

use std::net::SocketAddr;
use std::time::Duration;

use super::{CloseReport, HalfClose, Measured, Offer, Outcome};
use crate::time::Instant;

/// How far a client has got when it is told of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientStage {
    /// Its handshake is over.
    Opened,
    /// Its connection is over: nothing more is told of it.
    Ended,
}

impl ClientStage {
    /// `opened` or `ended`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Ended => "ended",
        }
    }
}

/// What a client did, as far as it has got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientReport {
    /// Its number in the run, from 1.
    pub number: u64,
    /// Its address.
    pub client: SocketAddr,
    /// The address that it called.
    pub server: SocketAddr,
    /// How far it has got.
    pub stage: ClientStage,
    /// When this is told.
    pub at: Instant,
    /// How it ended; of one that has only opened, [`Outcome::Open`].
    pub outcome: Outcome,
    /// Whether its handshake completed.
    pub established: bool,
    /// Its SYN: what it offers; absent where a SYN cookie has forgotten it.
    pub offered: Option<Offer>,
    /// The options of its SYN, in order, in packetdrill's words.
    pub options: Vec<String>,
    /// What our SYN-ACK granted.
    pub granted: Option<Offer>,
    /// From our SYN-ACK to its acknowledgment, where that is unambiguous.
    pub rtt: Option<Measured>,
    /// What its system may be, by TTL and options: a suspicion.
    pub suspect: Option<&'static str>,
    /// The times between the copies of its SYN: how patiently it tries again.
    pub syn_gaps: Vec<Duration>,
    /// The times between the copies of its FIN.
    pub fin_gaps: Vec<Duration>,
    /// Payload bytes received.
    pub received: u64,
    /// Payload bytes of ours that it acknowledged.
    pub acknowledged: u64,
    /// Segments of ours with data that were sent again.
    pub resent: u32,
    /// Segments of the client with data that had been received before: it sent them again, or the
    /// network doubled them.
    pub repeated: u32,
    /// We closed or reset it because nothing had moved for this long.
    pub idle: Option<Duration>,
    /// How it was closed, where it was open.
    pub close: Option<CloseReport>,
    /// What the client did with our data after its own FIN, where there was any.
    pub after_its_fin: Option<HalfClose>,
    /// From the first SYN to now.
    pub lasted: Duration,
}

/// What a listener saw altogether.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListenReport {
    /// How many clients ended how.
    pub outcomes: Vec<(Outcome, u64)>,
    /// Handshakes that completed.
    pub opened: u64,
    /// The most connections at a time.
    pub most: u64,
    /// Payload bytes received.
    pub received: u64,
    /// Payload bytes of ours that were acknowledged.
    pub acknowledged: u64,
    /// SYNs that were refused because the table was full.
    pub turned_away: u64,
    /// SYNs that were answered by a cookie, because it was full of half-open connections.
    pub cookies: u64,
    /// Cookies that came back.
    pub cookies_redeemed: u64,
    /// Half-open connections given up for clients that had proved themselves.
    pub evicted: u64,
    /// Connections that we ended because nothing had moved for too long.
    pub idle: u64,
    /// Segments of no connection that were answered by RST.
    pub strays: u64,
    /// Segments dropped because more waited than could be looked at.
    pub overflow: u64,
    /// Packets that this host would not send.
    pub unsent: u64,
}
