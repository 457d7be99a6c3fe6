//! Records that a continued run has written a second time.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;

use crate::event::Found;

/// Records before a continuation that it may repeat: more than are written between two checkpoints.
const KEPT: usize = 1 << 18;

type Key = (IpAddr, u16);

/// Knows the last records before the run was continued, and takes them once. Bounded memory: a run that
/// was never killed repeats nothing, and one that was repeats only what came after its last checkpoint.
#[derive(Debug, Default)]
pub(super) struct Recent {
    last: VecDeque<Key>,
    before: HashSet<Key>,
    repeated: u64,
}

impl Recent {
    /// The run begins, or is continued.
    pub(super) fn continues(&mut self) {
        self.before = self.last.iter().copied().collect();
    }

    /// Whether a record is the first of its target.
    pub(super) fn is_new(&mut self, found: &Found) -> bool {
        let key = (found.addr, found.port);
        if self.before.contains(&key) {
            self.repeated += 1;
            return false;
        }
        if self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back(key);
        true
    }

    /// Records that were none of their own.
    pub(super) const fn repeated(&self) -> u64 {
        self.repeated
    }
}
