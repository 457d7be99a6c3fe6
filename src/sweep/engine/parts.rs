//! What a sweep works with.

use std::io;
use std::time::Duration;

use super::mission::Mission;
use super::tally::Tally;
use super::track::Track;
use crate::net::bulk::{Collect, Discards};
use crate::sweep::checkpoint::Held;
use crate::sweep::ledger::Ledger;
use crate::sweep::limits::Limits;
use crate::sweep::loss::Loss;
use crate::time::Instant;

/// How fast SYNs leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rate {
    /// So many a second.
    Fixed(u64),
    /// As many as get through, found out on the way.
    Auto,
    /// As many as this host can send.
    Max,
}

/// Keeps how far a sweep has come.
pub trait Keeper {
    /// Keeps this, replacing what was kept before. Everything that was told has been flushed; the
    /// last words, too, where it is `finished`.
    ///
    /// # Errors
    /// It cannot be kept.
    fn keep(&mut self, ledger: Held, tally: &Tally, finished: bool) -> io::Result<()>;
}

/// What a sweep works with.
pub struct Parts<'a, S> {
    /// What is to be done.
    pub mission: &'a Mission,
    /// What has been done.
    pub ledger: Ledger,
    /// What has been counted.
    pub tally: Tally,
    /// What the passes tell of loss.
    pub loss: Loss,
    /// A way out.
    pub track: Track,
    /// Others; where it matters, the fastest of all is found out.
    pub others: Vec<Track>,
    /// What arrives.
    pub collect: Box<dyn Collect>,
    /// What the interface drops of what leaves, where that can be known.
    pub discards: Option<Box<dyn Discards>>,
    /// Who hears of it.
    pub sink: S,
    /// The clock.
    pub now: &'a (dyn Fn() -> Instant + Sync),
    /// Wall clock minus our axis, in nanoseconds.
    pub wall: Option<i64>,
    /// How fast.
    pub rate: Rate,
    /// How fast to any host or network.
    pub limits: Limits,
    /// How long the sweep may take.
    pub deadline: Option<Duration>,
    /// Who keeps how far it has come.
    pub keeper: Option<&'a mut dyn Keeper>,
    /// Whether nobody reads any more.
    pub reader_gone: &'a dyn Fn() -> bool,
    /// How long earlier parts of this sweep took.
    pub before: Duration,
    /// Whether there were any.
    pub resumed: bool,
}
