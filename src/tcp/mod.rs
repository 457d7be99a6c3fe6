//! The pure TCP machine of RFC 9293: no socket, no clock, no randomness.
pub mod state;
