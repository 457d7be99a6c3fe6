//! Many targets at the speed of the link, with nothing remembered about any of them.
//!
//! Hosts × ports are one [`space::Space`], whose targets are numbered. A [`walk::Walk`] is a keyed
//! permutation of these numbers, which gives each target its position in the order of sending and
//! back again, so that no list of targets is ever held.

pub mod account;
mod block;
pub mod checkpoint;
pub mod flights;
pub mod governor;
pub mod ledger;
pub mod limits;
pub mod loss;
pub mod mark;
pub mod pace;
pub mod packed;
pub mod parking;
pub mod plan;
pub mod sendlog;
