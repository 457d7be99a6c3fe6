//! Notices SYNs that the kernel took and the interface dropped.
//!
//! Nobody says which they were, but they are among those sent since the counter was last read: the
//! silent ones of these are asked again ([`Ledger::tear`](crate::sweep::ledger::Ledger::tear)).

use std::time::Duration;

use super::shared::Shared;
use crate::time::Instant;

/// From one reading to the next, at least.
const LOOK: Duration = Duration::from_millis(1);
/// A reading costs at most one part in so many of a sender's time, however many interfaces there are.
const SHARE: u32 = 100;
/// Positions this near to each other are one run: a second sender draws those between.
const NEAR: u64 = 256;
/// Runs that are told apart between two readings.
const RUNS: usize = 64;

/// What a sender has sent since it last read the counter.
/// Nothing yet, by default.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The counter, when it was last read.
    seen: u64,
    next: Instant,
    runs: Vec<(u64, u64)>,
}

impl Watch {
    /// A SYN to the target at `position` is on its way to the kernel.
    pub(super) fn note(&mut self, position: u64) {
        let full = self.runs.len() == RUNS;
        match self.runs.last_mut() {
            Some((first, last))
                if full
                    || (position.saturating_add(NEAR) >= *first && position <= *last + NEAR) =>
            {
                *first = position.min(*first);
                *last = position.max(*last);
            }
            _ => self.runs.push((position, position)),
        }
    }

    /// Reads the counter, if it is time or `at_once`, and tells the books what may be lost. Gives how
    /// many frames are: a few too many, where another sender is about to say of them that it was told.
    pub(super) fn look(
        &mut self,
        shared: &Shared,
        now: &dyn Fn() -> Instant,
        at_once: bool,
    ) -> u64 {
        let began = now();
        if self.runs.is_empty() || (!at_once && began < self.next) {
            return 0;
        }
        let Some(count) = shared.discarded() else { return 0 };
        let ended = now();
        self.next = ended + LOOK.max(ended.since(began) * SHARE);
        let lost = count.saturating_sub(std::mem::replace(&mut self.seen, count));
        if lost > 0 {
            let mut books = shared.books();
            self.runs.iter().for_each(|&(first, last)| books.ledger.tear(first, last, ended));
        }
        self.runs.clear();
        lost
    }
}
