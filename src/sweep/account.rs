//! What became of every target: the final account, and the same sum at any moment before.

use serde::{Deserialize, Serialize};

use super::mark::Mark;

/// First answers of one pass, by what answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PassCount {
    /// SYNs that were drawn for it, those repeated after a resume included.
    pub sent: u64,
    /// Targets whose first answer was a SYN-ACK.
    pub open: u64,
    /// Targets whose first answer was a RST.
    pub refused: u64,
    /// Targets whose first answer was an ICMP error.
    pub unreachable: u64,
}

impl PassCount {
    /// Targets that answered first in this pass.
    #[must_use]
    pub const fn answers(&self) -> u64 {
        self.open + self.refused + self.unreachable
    }

    pub(super) fn credit(&mut self, mark: Mark) {
        match mark {
            Mark::Silent => {}
            Mark::Unreachable => self.unreachable += 1,
            Mark::Refused => self.refused += 1,
            _ => self.open += 1,
        }
    }
}

/// Every target once: by its mark, or not probed. See [`Account::sum`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// Targets of this sweep, or of this shard of it.
    pub targets: u64,
    /// Probed targets by mark, in the order of [`Mark::ALL`].
    pub marks: [u64; 8],
    /// Targets to which no SYN has left: the sweep is not over, or was interrupted.
    pub not_probed: u64,
    /// By pass, from the first.
    pub passes: Vec<PassCount>,
    /// Proven answers that told nothing new.
    pub duplicates: u64,
    /// Proven answers that came after their block was closed; they changed nothing.
    pub late: u64,
    /// Answers for positions that were never asked: proven by the cookie, so of an earlier run with
    /// the same secret.
    pub unasked: u64,
}

impl Account {
    /// Probed targets of this mark.
    #[must_use]
    pub const fn of(&self, mark: Mark) -> u64 {
        self.marks[mark.index()]
    }

    /// Targets from which a SYN-ACK came, whatever followed.
    #[must_use]
    pub fn answered(&self) -> u64 {
        Mark::ALL.into_iter().filter(|mark| mark.is_open()).map(|mark| self.of(mark)).sum()
    }

    /// Targets that answered with a RST.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.of(Mark::Refused)
    }

    /// Targets for which an ICMP error came and nothing else.
    #[must_use]
    pub const fn unreachable(&self) -> u64 {
        self.of(Mark::Unreachable)
    }

    /// Targets that were probed and did not answer.
    #[must_use]
    pub const fn silent(&self) -> u64 {
        self.of(Mark::Silent)
    }

    /// Targets whose connection was begun and did not end; for half-open probes, all open ones.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        Mark::ALL.into_iter().filter(|mark| mark.is_unfinished()).map(|mark| self.of(mark)).sum()
    }

    /// Targets to which a SYN has left.
    #[must_use]
    pub fn probed(&self) -> u64 {
        self.marks.iter().sum()
    }

    /// SYNs that left, over all passes.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.passes.iter().map(|pass| pass.sent).sum()
    }

    /// Answered, refused, unreachable, silent and not probed: always exactly [`Account::targets`].
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.answered() + self.refused() + self.unreachable() + self.silent() + self.not_probed
    }
}
