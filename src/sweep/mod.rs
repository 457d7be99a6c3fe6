//! Many targets at the speed of the link, with nothing remembered about any of them.
//!
//! Hosts × ports are one [`space::Space`], whose targets are numbered. A [`walk::Walk`] is a keyed
//! permutation of these numbers, which gives each target its position in the order of sending and
//! back again, so that no list of targets is ever held. What arrives proves itself by a
//! [`cookie::Cookie`]; the [`ledger::Ledger`] credits each position once, in bounded memory.
//!
//! Everything but the [engine]'s two threads is pure: bytes and instants come in, bytes and verdicts
//! go out.

pub mod account;
pub mod answer;
mod block;
pub mod checkpoint;
pub mod conversation;
pub mod cookie;
pub mod engine;
pub mod governor;
pub mod hosts;
pub mod ledger;
pub mod limits;
pub mod loss;
pub mod mark;
pub mod pace;
pub mod packed;
pub mod parking;
pub mod parse;
pub mod plan;
pub mod ports;
pub mod reserved;
mod runs;
pub mod sendlog;
pub mod shard;
pub mod space;
pub mod stamp;
mod sum;
pub mod template;
pub mod walk;
