//! Probes that are over and may still be answered: late, or once more.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::ports::Lease;
use crate::event::{FlowId, RttProbe};
use crate::stats::Fate;
use crate::time::{Instant, Stamp};

/// A probe that was answered is remembered for its duplicates: they come close behind.
const DUPLICATES: Duration = Duration::from_secs(5);
/// One that was not, for as long as a segment may live in the network, there and back: RFC 9293
/// §3.4.2 assumes two minutes for a segment.
const LATE: Duration = Duration::from_secs(240);
/// Probes remembered at most of each kind: what fits into some megabytes.
const MOST_ANSWERED: usize = 1 << 13;
const MOST_SILENT: usize = 1 << 16;

/// A probe that is over.
#[derive(Debug)]
pub(super) struct Ghost {
    /// What became of it so far.
    pub(super) probe: RttProbe,
    /// Whom it asked.
    pub(super) remote: SocketAddr,
    /// Its last SYN, with its TSval.
    pub(super) last_syn: Option<(Stamp, Option<u32>)>,
    /// Its port, which stays guarded.
    pub(super) _lease: Lease,
}

/// The probes that are over and not yet forgotten.
#[derive(Debug, Default)]
pub(super) struct Memory {
    ghosts: HashMap<FlowId, Ghost>,
    /// In the order of ending, with that time.
    answered: VecDeque<(Instant, FlowId)>,
    silent: VecDeque<(Instant, FlowId)>,
}

impl Memory {
    /// Remembers a probe that ended at `now`.
    pub(super) fn remember(&mut self, ghost: Ghost, now: Instant) {
        let id = ghost.probe.id;
        let silent = matches!(ghost.probe.fate, Fate::Lost);
        if silent { &mut self.silent } else { &mut self.answered }.push_back((now, id));
        self.ghosts.insert(id, ghost);
    }

    /// A probe that is over.
    pub(super) fn find(&mut self, id: FlowId) -> Option<&mut Ghost> {
        self.ghosts.get_mut(&id)
    }

    /// The next probe that is old enough to be forgotten at `now`, or has to make room.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Ghost> {
        let due = |queue: &VecDeque<(Instant, FlowId)>, most: usize, age: Duration| {
            queue.len() > most || queue.front().is_some_and(|(ended, _)| *ended + age <= now)
        };
        let queue = if due(&self.answered, MOST_ANSWERED, DUPLICATES) {
            &mut self.answered
        } else if due(&self.silent, MOST_SILENT, LATE) {
            &mut self.silent
        } else {
            return None;
        };
        let (_, id) = queue.pop_front()?;
        self.ghosts.remove(&id)
    }

    /// Forgets the oldest, whose port is needed: one that was answered first.
    pub(super) fn forget_oldest(&mut self) -> Option<Ghost> {
        let (_, id) = self.answered.pop_front().or_else(|| self.silent.pop_front())?;
        self.ghosts.remove(&id)
    }
}
