//! The pure TCP machine of RFC 9293: no socket, no clock, no randomness.
//!
//! [`Connection`] is one end of one connection; [`PeerView`] is what the other end must be doing,
//! as far as the segments tell.

mod challenge;
mod config;
mod congestion;
mod connection;
mod icmp;
mod options;
mod outcome;
mod peer;
mod reassembly;
mod receive;
mod recovery;
mod recv;
mod rto;
mod send;
pub mod state;
mod timers;
mod transmit;

pub use config::{Config, Offered, Timers};
pub use connection::Connection;
pub use options::Negotiated;
pub use outcome::{
    CloseError, ConnectionEvent, GaveUp, IcmpVerdict, Rejection, SendError, Transmit, TransmitKind,
    Verdict,
};
pub use peer::{PeerEvent, PeerView};
pub use state::{Cause, End, Known, State, Transition};
