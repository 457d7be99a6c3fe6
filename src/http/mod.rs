//! HTTP and TLS over bytes that somebody else carries.
//!
//! [`Client`] is one connection's worth of hyper and rustls, without a socket, a clock or a thread:
//! give it what arrived ([`Client::receive`], [`Client::end`]), send what it has to say
//! ([`Client::take_outgoing`]), and hear what came of it ([`Client::next_moment`]). It is driven from
//! the same loop as the TCP machine below it, so that whatever it has found was found in the very
//! segment that has just arrived.

mod client;
mod executor;
mod frames;
mod pipe;
mod tasks;
mod terms;
#[cfg(test)]
mod tests;
mod tls;

pub use client::Client;
pub use terms::{Ask, Failure, Head, Moment, Wish};
pub use tls::{Trust, TrustError};
