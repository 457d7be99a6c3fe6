//! The arithmetic of repeated probes: when each leaves, what became of it, how long it took.
//!
//! Everything here is pure: no socket, no clock, no text. Times come in as [`crate::time::Instant`]
//! or as nanoseconds, and every figure that could not be measured is `None`, never zero and never
//! NaN.
//!
//! - [`Schedule`] says when each probe of each target leaves, whatever came of those before it.
//! - [`Distribution`] takes intervals in and gives [`Figures`] out.
//! - [`Loss`] accounts for every probe exactly once.
//! - [`Measurement`] states by how much an interval may be wrong, and why.

mod account;
mod bins;
mod distribution;
mod jitter;
mod loss;
mod measurement;
pub mod schedule;

#[cfg(test)]
mod properties;

pub use account::{Account, LeftOut};
pub use bins::Bin;
pub use distribution::{Distribution, EXACT_SAMPLES, Figures, MAX_INTERVAL_NS};
pub use loss::{Answer, Counts, Fate, FirstTry, Loss, Settled};
pub use measurement::{Bound, Measurement};
pub use schedule::{Due, Lateness, Plan, PlanError, Schedule};

/// What an interval was measured for. Kernel phases and application phases are never mixed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// From our SYN to its SYN-ACK or RST: the peer's kernel.
    Handshake,
    /// From our data to the acknowledgment of all of it: the peer's kernel, which may delay it
    /// (RFC 9293 §3.8.6.3).
    DataAck,
    /// From our FIN to its acknowledgment: the peer's kernel.
    FinAck,
    /// From our FIN to the peer's FIN: the peer's application.
    PeerFin,
}

impl Phase {
    /// Every phase, in the order in which a connection goes through them.
    pub const ALL: [Self; 4] = [Self::Handshake, Self::DataAck, Self::FinAck, Self::PeerFin];

    /// The word in machine-readable output: `handshake`, `data-ack`, `fin-ack`, `peer-fin`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::DataAck => "data-ack",
            Self::FinAck => "fin-ack",
            Self::PeerFin => "peer-fin",
        }
    }

    /// Whether the peer's application, and not its kernel alone, decides how long it takes.
    #[must_use]
    pub const fn is_application(self) -> bool {
        matches!(self, Self::PeerFin)
    }
}
