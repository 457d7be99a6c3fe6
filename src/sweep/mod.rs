//! Half-open probes and whole handshakes of many targets, without memory of any one of them.
//!
//! Everything here is pure: bytes and instants come in, bytes and verdicts go out.

pub mod answer;
pub mod conversation;
pub mod cookie;
pub mod space;
mod sum;
pub mod template;
