//! Bytes ⇄ meaning: sequence numbers, TCP segments and options, IP headers, ICMP quotes, checksums.
//!
//! Everything here is a pure function of bytes. Parsing never panics whatever the bytes, and what is
//! parsed can be emitted again unchanged, malformed options included.

pub mod checksum;
mod flags;
mod icmp;
mod ip;
mod options;
mod segment;
mod seq;

pub use flags::Flags;
pub use icmp::{IcmpError, IcmpKind, Quote, emit_icmp_error};
pub use ip::{IpHeader, IpPayload, Packet, parse_ip};
pub use options::{TcpOption, emit_options, parse_options};
pub use segment::{HEADER_LEN, MAX_OPTIONS_LEN, Segment};
pub use seq::SeqNum;

/// Why a run of bytes is not the packet that it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    /// Fewer bytes than the header needs.
    #[error("truncated {what}: {have} bytes where {need} are needed")]
    Truncated {
        /// The header that was cut short.
        what: &'static str,
        /// Bytes that the header needs.
        need: usize,
        /// Bytes that there are.
        have: usize,
    },
    /// The version nibble is neither 4 nor 6.
    #[error("IP version {0}")]
    Version(u8),
    /// A length field contradicts the bytes that are there.
    #[error("{what} says {says} bytes, which cannot be")]
    Length {
        /// The field that lies.
        what: &'static str,
        /// What it says, in bytes.
        says: usize,
    },
}
