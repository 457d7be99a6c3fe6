//! Which target is asked next, and what each of them answered: exactly once, in bounded memory.
//!
//! Positions are worked on in blocks. A block goes through its passes, a pause between them, and a
//! cool-down in which late answers still count; then it is closed and its memory is given back. Only
//! a window of blocks is open at a time, so that memory does not depend on the number of targets;
//! while one block waits, others are sent. At the defaults that is 512 blocks of 2^16 positions at
//! four bits, 16 MiB at most. At a million SYNs a second and one pass, the window holds 33 seconds
//! of sending, far beyond a cool-down's usual 8; at lower rates it never fills.
//!
//! **Passes.** A later pass asks the silent targets again, and those alone. A connection that was
//! begun and does not come to its end is not asked again by SYN: the peer's own retransmissions of
//! its SYN-ACK and its FIN repair it, each of which is answered anew. It is reported as unfinished.
//!
//! **A kill.** What a ledger was is [`Ledger::held`]; a resumed one begins the pass of each open
//! block anew, for its silent targets. What was sent in about the last pause, cool-down and block
//! before the kill is thereby repeated, as far as it had not answered; nothing else is, and nothing
//! is lost. Small blocks at low rates keep that short: see [`Passes::at_rate`].
//!
//! **SYNs that this host lost.** What an interface took and dropped was never sent: [`Ledger::tear`]
//! says so, and the silent ones of those are asked again in the same pass, half a second later.
//!
//! **Held-back SYNs.** Where a limit keeps a drawn SYN from leaving, [`Ledger::park`] says so, and
//! [`Ledger::release`] when it leaves: a pass is not over before.

mod resume;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::account::{Account, PassCount};
use super::block::{Block, Entry, Stage};
use super::mark::{Mark, Marks};
pub use super::plan::{BLOCK, Credit, Draw, MAX_PASSES, Next, Passes, WINDOW};
use crate::time::Instant;

/// A block that waits for long does not let the row of open blocks grow beyond this many windows.
const SPAN: u64 = 16;
/// From the end of a pass to its mending: whoever has not answered by then is asked again.
const MEND: Duration = Duration::from_millis(500);
/// Stands for a block that is closed, in the table of slots.
const NOWHERE: u32 = u32::MAX;

/// See the [module](self).
#[derive(Debug)]
pub struct Ledger {
    plan: Passes,
    /// log2 of the positions in a block.
    shift: u32,
    /// Open blocks; a slot outlives its block.
    slots: Vec<Option<Block>>,
    free: Vec<u32>,
    /// Words of a closed block, for the next.
    spare: Vec<Vec<u64>>,
    /// The slots of the blocks from `oldest` on; [`NOWHERE`] where closed.
    row: VecDeque<u32>,
    oldest: u64,
    /// The first block that was never begun.
    next: u64,
    /// In a pass that is not the first, or begun anew.
    current: Option<u32>,
    /// In its first pass.
    fresh: Option<u32>,
    /// Blocks in their pause, by the end of it.
    pausing: VecDeque<(Instant, u32)>,
    /// No block can be closed before.
    closing: Instant,
    cut: bool,
    done: [u64; 8],
    counts: Vec<PassCount>,
    duplicates: u64,
    late: u64,
    unasked: u64,
    mended: u64,
}

impl Ledger {
    /// A ledger in which nothing was sent.
    #[must_use]
    pub fn new(plan: Passes) -> Self {
        let plan = Passes {
            passes: plan.passes.clamp(1, MAX_PASSES),
            block: plan.block.clamp(16, 1 << 26).next_power_of_two(),
            window: plan.window.max(1),
            ..plan
        };
        Self {
            shift: plan.block.ilog2(),
            slots: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            row: VecDeque::new(),
            oldest: 0,
            next: 0,
            current: None,
            fresh: None,
            pausing: VecDeque::new(),
            closing: Instant::ZERO,
            cut: false,
            done: [0; 8],
            counts: vec![PassCount::default(); usize::from(plan.passes)],
            duplicates: 0,
            late: 0,
            unasked: 0,
            mended: 0,
            plan,
        }
    }

    /// Draws up to `room` positions to send to, onto `out`: later passes first, where their pause is
    /// over. Call [`Ledger::expire`] before, so that there is room for new blocks.
    pub fn draw(&mut self, now: Instant, room: usize, out: &mut Vec<Draw>) -> Next {
        let mut left = room;
        while left > 0 {
            let Some(slot) = self.work(now) else { break };
            let Some(block) = self.slots[slot as usize].as_mut() else { break };
            let pass = block.pass;
            let drawn = block.draw(left, now, &mut |from, to| {
                out.extend((from..to).map(|position| Draw { position, pass }));
            });
            let drawn_out = block.is_drawn();
            let over = block.pass_is_over();
            let mending = block.is_mending();
            self.counts[usize::from(pass) - 1].sent += drawn as u64;
            if mending {
                self.mended += drawn as u64;
            }
            left -= drawn;
            if drawn_out {
                let place =
                    if self.current == Some(slot) { &mut self.current } else { &mut self.fresh };
                *place = None;
            }
            if over {
                self.end_pass(slot, now);
            }
        }
        if left < room || room == 0 { Next::Drawn } else { self.idle() }
    }

    /// A SYN that was just drawn cannot leave yet.
    pub fn park(&mut self, position: u64) {
        let Some((slot, offset)) = self.find(position) else { return };
        let Some(block) = self.slots[slot as usize].as_mut() else { return };
        // A pass that had ended with it has not.
        if !self.cut && block.stage != Stage::Sending {
            block.stage = Stage::Sending;
            self.pausing.retain(|(_, pausing)| *pausing != slot);
        }
        block.park(offset);
    }

    /// A SYN that was parked leaves now.
    pub fn release(&mut self, position: u64, now: Instant) {
        let Some((slot, offset)) = self.find(position) else { return };
        let Some(block) = self.slots[slot as usize].as_mut() else { return };
        block.release(offset, now);
        if block.pass_is_over() {
            self.end_pass(slot, now);
        }
    }

    /// Of the SYNs that were drawn last for these positions, first to last, some were lost on this host.
    pub fn tear(&mut self, first: u64, last: u64, now: Instant) {
        let mut from = first;
        while from <= last {
            let place = from.saturating_sub(self.plan.positions.start);
            let to = last.min(from + (self.plan.block - 1 - (place & (self.plan.block - 1))));
            if let Some((slot, offset)) = self.find(from)
                && let Some(block) = self.slots[slot as usize].as_mut()
                && block.stage != Stage::Shelved
            {
                let length = u32::try_from(to - from).unwrap_or(u32::MAX);
                block.tear(offset, offset.saturating_add(length));
                // A pass that had ended has not.
                if block.stage != Stage::Sending {
                    self.pausing.retain(|(_, pausing)| *pausing != slot);
                    self.end_pass(slot, now);
                }
            }
            from = to + 1;
        }
    }

    /// How long a block is waited for in quiet.
    #[must_use]
    pub const fn quiet(&self) -> Duration {
        self.plan.quiet
    }

    /// SYNs that were sent again since this host had lost the first.
    #[must_use]
    pub const fn mended(&self) -> u64 {
        self.mended
    }

    /// Credits an answer that its cookie has proven.
    pub fn hear(&mut self, position: u64, mark: Mark, now: Instant) -> Credit {
        self.hear_echo(position, mark, now, None)
    }

    /// The same, where the answer echoes the time at which its SYN was sent.
    pub fn hear_echo(
        &mut self,
        position: u64,
        mark: Mark,
        now: Instant,
        sent: Option<Instant>,
    ) -> Credit {
        let entry = match self.find(position) {
            Some((slot, offset)) => match self.slots[slot as usize].as_mut() {
                Some(block) if block.stage != Stage::Shelved => block.hear(offset, mark, now, sent),
                _ => return self.too_late(),
            },
            None if self.is_closed(position) => return self.too_late(),
            None => Entry::Unasked,
        };
        match entry {
            Entry::First { pass, once } => {
                self.counts[usize::from(pass) - 1].credit(mark);
                Credit::First { pass, once }
            }
            Entry::Advanced { from } => Credit::Advanced { from },
            Entry::Known => {
                self.duplicates += 1;
                Credit::Duplicate
            }
            Entry::Unasked => {
                self.unasked += 1;
                Credit::Unasked
            }
        }
    }

    /// Closes the blocks whose cool-down is over, and hands out each of their probed positions whose
    /// mark is `wanted`. After [`Ledger::cut_short`], all are closed together once all have cooled.
    pub fn expire(&mut self, now: Instant, wanted: Marks, each: &mut dyn FnMut(u64, Mark)) {
        if now < self.closing || (self.cut && !self.is_cool(now)) {
            return;
        }
        let (quiet, longest) = (self.plan.quiet, self.plan.longest);
        let mut closing = Instant::from_nanos(u64::MAX);
        for slot in 0..u32::try_from(self.slots.len()).unwrap_or(NOWHERE) {
            let Some(block) = &mut self.slots[slot as usize] else { continue };
            let at = block.closes_at(quiet, longest);
            match block.stage {
                Stage::Cooling if now >= at => {
                    block.tell(wanted, each);
                    self.close(slot);
                }
                Stage::Cooling => closing = closing.min(at),
                // Its turn was cut short: a checkpoint can still take it up.
                Stage::Sending | Stage::Pausing if self.cut => {
                    block.tell(wanted, each);
                    block.stage = Stage::Shelved;
                }
                _ => {}
            }
        }
        self.closing = closing;
    }

    /// Draws nothing more: what was sent is given its cool-down. SYNs that are parked never leave.
    /// For a checkpoint from which the sweep can go on, take it when [`Ledger::is_cool`] says so,
    /// before [`Ledger::expire`] hands the rest out: records of that belong behind its length.
    pub fn cut_short(&mut self) {
        self.cut = true;
        self.current = None;
        self.fresh = None;
        self.pausing.clear();
        self.closing = Instant::ZERO;
    }

    /// After [`Ledger::cut_short`]: the cool-down of every block is over.
    #[must_use]
    pub fn is_cool(&self, now: Instant) -> bool {
        self.cut && self.cool_at().is_none_or(|at| now >= at)
    }

    /// Every target, exactly once.
    #[must_use]
    pub fn account(&self) -> Account {
        let mut marks = self.done;
        for block in self.open() {
            for (sum, count) in marks.iter_mut().zip(block.counts()) {
                *sum += count;
            }
        }
        let targets = self.plan.positions.end.saturating_sub(self.plan.positions.start);
        Account {
            targets,
            marks,
            not_probed: targets.saturating_sub(marks.iter().sum()),
            passes: self.counts.clone(),
            duplicates: self.duplicates,
            late: self.late,
            unasked: self.unasked,
        }
    }

    /// Octets that the open blocks take, and those kept for the next.
    #[must_use]
    pub fn memory(&self) -> usize {
        let words = self.plan.block.div_ceil(16);
        let blocks = self.open().count() + self.spare.len();
        usize::try_from(words).unwrap_or(usize::MAX).saturating_mul(8 * blocks)
            + self.slots.len() * size_of::<Option<Block>>()
            + self.row.len() * size_of::<u32>()
    }
}

/// Blocks.
impl Ledger {
    /// The block to draw from, if there is any.
    fn work(&mut self, now: Instant) -> Option<u32> {
        if self.cut {
            return None;
        }
        if self.current.is_some() {
            return self.current;
        }
        if let Some((due, slot)) = self.pausing.front().copied()
            && due <= now
        {
            self.pausing.pop_front();
            self.slots[slot as usize].as_mut()?.begin(now);
            self.current = Some(slot);
            return self.current;
        }
        if self.fresh.is_none() && self.may_open() {
            let slot = self.open_next();
            self.slots[slot as usize].as_mut()?.begin(now);
            self.fresh = Some(slot);
        }
        self.fresh
    }

    fn may_open(&self) -> bool {
        let span = SPAN.saturating_mul(self.plan.window as u64);
        let open = self.slots.len() - self.free.len();
        self.next < self.blocks() && open < self.plan.window && self.next - self.oldest < span
    }

    fn open_next(&mut self) -> u32 {
        let words = self.spare.pop().unwrap_or_default();
        let (first, len) = self.place(self.next);
        let slot = self.seat(Block::new(self.next, first, len, words));
        self.row.push_back(slot);
        self.next += 1;
        slot
    }

    fn seat(&mut self, block: Block) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(block);
            return slot;
        }
        self.slots.push(Some(block));
        u32::try_from(self.slots.len() - 1).unwrap_or(NOWHERE)
    }

    /// A pass of a block is over: on to its pause, or to its cool-down.
    fn end_pass(&mut self, slot: u32, now: Instant) {
        let Some(block) = self.slots[slot as usize].as_mut() else { return };
        if self.cut {
            return;
        }
        let again = block.turn_to_mending();
        if again || (block.pass < self.plan.passes && block.has_silent()) {
            block.stage = Stage::Pausing;
            let due = now + if again { MEND.min(self.plan.pause) } else { self.plan.pause };
            let place = self.pausing.partition_point(|(other, _)| *other <= due);
            self.pausing.insert(place, (due, slot));
        } else {
            block.stage = Stage::Cooling;
            self.closing = self.closing.min(block.closes_at(self.plan.quiet, self.plan.longest));
        }
    }

    fn close(&mut self, slot: u32) {
        let Some(block) = self.slots[slot as usize].take() else { return };
        for (sum, count) in self.done.iter_mut().zip(block.counts()) {
            *sum += count;
        }
        if let Some(place) = usize::try_from(block.number - self.oldest)
            .ok()
            .and_then(|place| self.row.get_mut(place))
        {
            *place = NOWHERE;
        }
        while self.row.front() == Some(&NOWHERE) {
            self.row.pop_front();
            self.oldest += 1;
        }
        self.free.push(slot);
        // One to hand, and the rest back to the system: the window is seldom full.
        if self.spare.len() < 2 {
            self.spare.push(block.into_words());
        }
    }

    /// When there is something to do again.
    fn idle(&self) -> Next {
        let cool = self.open().any(|block| block.stage != Stage::Shelved);
        if !cool && (self.cut || self.next == self.blocks()) {
            return Next::Finished;
        }
        let end = Instant::from_nanos(u64::MAX);
        if self.cut {
            return Next::Wait(self.cool_at().unwrap_or(end));
        }
        let pause = self.pausing.front().map_or(end, |(due, _)| *due);
        let close = self
            .open()
            .filter(|block| block.stage == Stage::Cooling)
            .map(|block| block.closes_at(self.plan.quiet, self.plan.longest))
            .min();
        Next::Wait(pause.min(close.unwrap_or(end)))
    }

    /// When the last cool-down is over.
    fn cool_at(&self) -> Option<Instant> {
        self.open()
            .filter(|block| block.stage != Stage::Shelved)
            .map(|block| block.closes_at(self.plan.quiet, self.plan.longest))
            .max()
    }

    fn open(&self) -> impl Iterator<Item = &Block> {
        self.slots.iter().flatten()
    }

    fn too_late(&mut self) -> Credit {
        self.late += 1;
        Credit::Late
    }

    /// The slot of an open block, and the place in it.
    fn find(&self, position: u64) -> Option<(u32, u32)> {
        if position >= self.plan.positions.end {
            return None;
        }
        let place = position.checked_sub(self.plan.positions.start)?;
        let row = (place >> self.shift).checked_sub(self.oldest)?;
        let slot = *self.row.get(usize::try_from(row).ok()?)?;
        let offset = u32::try_from(place & (self.plan.block - 1)).ok()?;
        (slot != NOWHERE).then_some((slot, offset))
    }

    /// Whether the position lies in a block that was closed, given that it is in no open one.
    fn is_closed(&self, position: u64) -> bool {
        self.plan.positions.contains(&position)
            && (position - self.plan.positions.start) >> self.shift < self.next
    }

    fn blocks(&self) -> u64 {
        let Range { start, end } = self.plan.positions;
        end.saturating_sub(start).div_ceil(self.plan.block)
    }

    /// The first position of a block; after the last block, the end.
    fn before(&self, number: u64) -> u64 {
        let Range { start, end } = self.plan.positions;
        number
            .checked_mul(self.plan.block)
            .and_then(|at| at.checked_add(start))
            .map_or(end, |at| at.min(end))
    }

    fn place(&self, number: u64) -> (u64, u32) {
        let (first, end) = (self.before(number), self.before(number + 1));
        (first, u32::try_from(end.saturating_sub(first)).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
