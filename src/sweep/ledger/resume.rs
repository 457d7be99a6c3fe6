//! A ledger out of a checkpoint, and into one.

use super::{Ledger, NOWHERE, SPAN};
use crate::sweep::block::Block;
use crate::sweep::checkpoint::{CheckpointError, Held, HeldBlock};
use crate::sweep::plan::Passes;
use crate::time::Instant;

impl Ledger {
    /// The ledger that `held` was taken of, with the pass of each open block to be begun anew. The
    /// size of its blocks is taken from `held`.
    ///
    /// # Errors
    /// It was taken of other positions or passes, or contradicts itself.
    pub fn resume(plan: Passes, held: &Held) -> Result<Self, CheckpointError> {
        let mut ledger = Self::new(Passes { block: held.block, ..plan });
        let plan = &ledger.plan;
        if (held.start, held.end) != (plan.positions.start, plan.positions.end) {
            return Err(CheckpointError::OtherPlan("positions"));
        }
        if held.passes != plan.passes || held.counts.len() != usize::from(plan.passes) {
            return Err(CheckpointError::OtherPlan("passes"));
        }
        if held.block != plan.block {
            return Err(CheckpointError::Damaged("its blocks have no possible size"));
        }
        if held.next > ledger.blocks() {
            return Err(CheckpointError::Damaged("it has more blocks than there are targets"));
        }
        let span = SPAN * ledger.plan.window.max(1 << 16) as u64;
        if held.blocks.iter().any(|block| held.next.saturating_sub(block.number) > span) {
            return Err(CheckpointError::Damaged("its open blocks are too far apart"));
        }
        ledger.next = held.next;
        ledger.oldest = held.blocks.first().map_or(held.next, |block| block.number);
        ledger.done = held.done;
        ledger.counts.clone_from(&held.counts);
        (ledger.duplicates, ledger.late, ledger.unasked) =
            (held.duplicates, held.late, held.unasked);
        for block in &held.blocks {
            ledger.take_back(block)?;
        }
        ledger.oldest_to(held.next);
        // Every target once: those of the closed blocks, and the positions of the open ones.
        let open: u64 = ledger.open().map(|block| u64::from(block.len)).sum();
        let begun = ledger.before(held.next) - ledger.plan.positions.start;
        let closed = held.done.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        if closed.and_then(|closed| closed.checked_add(open)) != Some(begun) {
            return Err(CheckpointError::Damaged("its targets do not add up"));
        }
        Ok(ledger)
    }

    /// What a checkpoint keeps. Take it when every SYN that was drawn was handed to the kernel, or
    /// is parked; it copies the open blocks and nothing more.
    #[must_use]
    pub fn held(&self) -> Held {
        let mut blocks: Vec<HeldBlock> = self.open().map(Block::held).collect();
        blocks.sort_unstable_by_key(|block| block.number);
        Held {
            start: self.plan.positions.start,
            end: self.plan.positions.end,
            block: self.plan.block,
            passes: self.plan.passes,
            next: self.next,
            blocks,
            done: self.done,
            counts: self.counts.clone(),
            duplicates: self.duplicates,
            late: self.late,
            unasked: self.unasked,
        }
    }

    /// A block from a checkpoint.
    fn take_back(&mut self, held: &HeldBlock) -> Result<(), CheckpointError> {
        const WRONG: CheckpointError = CheckpointError::Damaged("a block does not fit");
        if held.number >= self.next || held.pass > self.plan.passes {
            return Err(WRONG);
        }
        let row = held.number.checked_sub(self.oldest).ok_or(WRONG)?;
        if row < self.row.len() as u64 {
            return Err(WRONG);
        }
        let (first, len) = self.place(held.number);
        let block = Block::resumed(first, len, held, self.plan.whole).ok_or(WRONG)?;
        // Connections that begin anew have not answered.
        let answered: u64 = block.counts()[1..].iter().sum();
        self.forget(held.answered().saturating_sub(answered));
        let slot = self.seat(block);
        self.oldest_to(held.number);
        self.row.push_back(slot);
        self.pausing.push_back((Instant::ZERO, slot));
        Ok(())
    }

    /// Takes first answers back, of the latest passes first: which they were is not kept.
    fn forget(&mut self, mut answers: u64) {
        for pass in self.counts.iter_mut().rev() {
            for count in [&mut pass.open, &mut pass.refused, &mut pass.unreachable] {
                let taken = answers.min(*count);
                *count -= taken;
                answers -= taken;
            }
        }
    }

    /// Marks the blocks up to `number` in the row as closed.
    fn oldest_to(&mut self, number: u64) {
        while self.oldest + (self.row.len() as u64) < number {
            if self.row.is_empty() {
                self.oldest = number;
            } else {
                self.row.push_back(NOWHERE);
            }
        }
    }
}
