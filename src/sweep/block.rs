//! What is known of a run of positions: four bits each.
//!
//! Three bits are the [`Mark`]; the fourth says that the position was drawn but its SYN has never
//! left, because a limit holds it back.

use std::time::Duration;

use super::checkpoint::HeldBlock;
use super::mark::{Mark, Marks};
use super::packed::Packed;
use super::plan::MAX_PASSES;
use crate::time::Instant;

const MAX_PASSES_LEN: usize = MAX_PASSES as usize;
/// How often a pass is mended at most: a host that goes on losing what it sends is not helped by more.
const MAX_MENDS: u8 = 3;
/// Runs of torn positions that are kept apart: beyond, they are taken as one with what lies between.
const MAX_TORN: usize = 64;

/// Positions in a word.
const NIBBLES: u32 = 16;
/// The lowest bit of every nibble.
const LOW: u64 = 0x1111_1111_1111_1111;
/// Drawn, but its first SYN has not left.
const UNSENT: u64 = 8;

/// Where a block stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// A pass is under way, or waits for SYNs that a limit holds back.
    Sending,
    /// The next pass, or after a resume the same one again, begins when its turn comes.
    Pausing,
    /// The last pass is over; late answers are waited for.
    Cooling,
    /// Kept for a checkpoint only: the sweep was cut short and this block's turn was not over.
    Shelved,
}

/// What to do with an answer for a position of an open block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    First { pass: u8, once: bool },
    Advanced { from: Mark },
    Known,
    Unasked,
}

#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Its place in the row of blocks.
    pub(super) number: u64,
    /// The position of its first nibble.
    pub(super) first: u64,
    pub(super) len: u32,
    words: Vec<u64>,
    /// Positions of each mark that were probed; those of `Silent` are computed.
    counts: [u32; 8],
    pub(super) stage: Stage,
    /// The pass under way, or the last one; from 1.
    pub(super) pass: u8,
    /// Positions before it were drawn, or passed over, in this pass.
    cursor: u32,
    /// Positions before it were drawn in some pass.
    reach: u32,
    /// Positions before it were drawn before a resume: their send times are not ours.
    before: u32,
    /// The pass is one that a resume begins anew.
    again: bool,
    /// Drawn in this pass and held back by a limit.
    parked: u32,
    /// Of those, the ones that have never been sent.
    unsent: u32,
    /// Those that a checkpoint told of: drawn once, held back, and now to be drawn anew. In order.
    anew: Vec<u32>,
    /// Runs, first to last, of which SYNs of this pass were lost on this host. In order.
    torn: Vec<(u32, u32)>,
    /// The runs that the pass draws from alone, since it mends; none where it does not.
    mend: Vec<(u32, u32)>,
    mends: u8,
    began: [Instant; MAX_PASSES_LEN],
    pub(super) last_sent: Instant,
    last_credit: Instant,
}

impl Block {
    pub(super) fn new(number: u64, first: u64, len: u32, mut words: Vec<u64>) -> Self {
        words.clear();
        words.resize(len.div_ceil(NIBBLES) as usize, 0);
        Self {
            number,
            first,
            len,
            words,
            counts: [0; 8],
            stage: Stage::Pausing,
            pass: 0,
            cursor: 0,
            reach: 0,
            before: 0,
            again: false,
            parked: 0,
            unsent: 0,
            anew: Vec::new(),
            torn: Vec::new(),
            mend: Vec::new(),
            mends: 0,
            began: [Instant::ZERO; MAX_PASSES_LEN],
            last_sent: Instant::ZERO,
            last_credit: Instant::ZERO,
        }
    }

    /// A block as a checkpoint holds it, its pass to be begun anew; `None` where it does not fit.
    /// With `whole`, connections that were not over begin anew, too; their number comes back.
    pub(super) fn resumed(first: u64, len: u32, held: &HeldBlock, whole: bool) -> Option<Self> {
        let mut block = Self::new(held.number, first, len, Vec::new());
        if held.reach > len
            || held.pass == 0
            || (held.pass > 1 && held.reach < len)
            || held.marks.words().len() > block.words.len()
        {
            return None;
        }
        block.words[..held.marks.words().len()].copy_from_slice(held.marks.words());
        block.pass = held.pass;
        block.reach = held.reach;
        block.before = held.reach;
        block.again = true;
        // Marks beyond the reach would be answers to questions never asked.
        let beyond =
            (block.reach..block.len.next_multiple_of(NIBBLES)).any(|o| block.nibble(o) != 0);
        if beyond {
            return None;
        }
        for offset in 0..block.reach {
            let nibble = block.nibble(offset);
            let mark = Mark::of(nibble);
            if nibble & UNSENT != 0 {
                if mark != Mark::Silent || held.pass > 1 {
                    return None;
                }
                block.unsent += 1;
                block.anew.push(offset);
            } else if whole && mark.is_unfinished() {
                block.put(offset, 0);
            } else {
                block.counts[mark.index()] += 1;
            }
        }
        Some(block)
    }

    pub(super) fn held(&self) -> HeldBlock {
        let words = Packed::new(self.words.clone());
        HeldBlock { number: self.number, pass: self.pass, reach: self.reach, marks: words }
    }

    /// Gives the memory back for the next block.
    pub(super) fn into_words(self) -> Vec<u64> {
        self.words
    }

    /// Begins the next pass, or the same one again.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.again {
            self.again = false;
            // Even if all have answered: their connections may be under way, from before.
            self.last_sent = now;
        } else {
            self.pass += 1;
            self.torn.clear();
            self.mends = 0;
        }
        self.mend = std::mem::take(&mut self.torn);
        self.cursor = 0;
        self.stage = Stage::Sending;
        // A pass that is mended began when it began.
        let began =
            &mut self.began[usize::from(self.pass).saturating_sub(1).min(MAX_PASSES_LEN - 1)];
        if *began == Instant::ZERO {
            *began = now;
        }
    }

    /// SYNs to some of these, first to last, were lost on this host in the pass under way.
    pub(super) fn tear(&mut self, first: u32, last: u32) {
        let last = last.min(self.len.saturating_sub(1));
        let near = self.torn.iter().position(|run| first <= run.1 + 1 && run.0 <= last + 1);
        match near {
            Some(at) => {
                let run = &mut self.torn[at];
                *run = (run.0.min(first), run.1.max(last));
            }
            None if self.torn.len() < MAX_TORN => self.torn.push((first, last)),
            None => {
                let ends = self
                    .torn
                    .iter()
                    .fold((first, last), |(a, b), run| (a.min(run.0), b.max(run.1)));
                self.torn = vec![ends];
            }
        }
        self.torn.sort_unstable();
    }

    /// Makes the pass, which has drawn all it can, one that is begun again for what is torn; says
    /// whether there is anything to mend.
    pub(super) fn turn_to_mending(&mut self) -> bool {
        let silent = |offset: u32| Mark::of(self.nibble(offset)) == Mark::Silent;
        let any = self.torn.iter().any(|&(first, last)| (first..=last).any(silent));
        if !any || self.mends == MAX_MENDS {
            self.torn.clear();
            return false;
        }
        self.mends += 1;
        self.again = true;
        // Whoever answers from now on may have been asked twice.
        self.before = self.reach;
        true
    }

    /// Whether what is drawn mends.
    pub(super) fn is_mending(&self) -> bool {
        !self.mend.is_empty()
    }

    /// Draws up to `room` positions of the pass under way and hands out the runs and single ones.
    pub(super) fn draw(
        &mut self,
        room: usize,
        now: Instant,
        out: &mut dyn FnMut(u64, u64),
    ) -> usize {
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let drawn = if self.pass == 1 && self.cursor >= self.before {
            // Never asked before, so that all are silent: no need to look.
            let drawn = room.min(self.len - self.cursor);
            let from = self.first + u64::from(self.cursor);
            out(from, from + u64::from(drawn));
            self.cursor += drawn;
            drawn
        } else {
            self.draw_silent(room, out)
        };
        self.reach = self.reach.max(self.cursor);
        if drawn > 0 {
            self.last_sent = now;
        }
        drawn as usize
    }

    fn draw_silent(&mut self, room: u32, out: &mut dyn FnMut(u64, u64)) -> u32 {
        // In a first pass begun anew, what lies beyond is drawn without looking.
        let end = if self.pass == 1 { self.before } else { self.len };
        let mut drawn = 0;
        while drawn < room && self.cursor < end {
            self.cursor = self.next_to_mend(self.cursor).min(end);
            if self.cursor == end {
                break;
            }
            let base = self.cursor / NIBBLES * NIBBLES;
            let word = self.words[(base / NIBBLES) as usize];
            let silent = !(word | word >> 1 | word >> 2) & LOW;
            let left = silent & (u64::MAX << (4 * (self.cursor - base)));
            if left == 0 {
                self.cursor = (base + NIBBLES).min(end);
                continue;
            }
            let offset = base + left.trailing_zeros() / 4;
            if offset >= end {
                self.cursor = end;
                break;
            }
            if self.next_to_mend(offset) != offset {
                self.cursor = offset;
                continue;
            }
            if self.unsent > 0 && self.nibble(offset) & UNSENT != 0 {
                self.put(offset, 0);
                self.unsent -= 1;
            }
            let position = self.first + u64::from(offset);
            out(position, position + 1);
            self.cursor = offset + 1;
            drawn += 1;
        }
        drawn
    }

    /// The first place from `offset` on that the pass is for: any, unless it mends.
    fn next_to_mend(&self, offset: u32) -> u32 {
        if self.mend.is_empty() {
            return offset;
        }
        let run = self.mend.iter().find(|run| offset <= run.1);
        run.map_or(self.len, |run| run.0.max(offset))
    }

    /// Whether the pass under way has drawn all it can and every SYN of it has left.
    pub(super) fn pass_is_over(&self) -> bool {
        self.stage == Stage::Sending && self.is_drawn() && self.parked == 0
    }

    pub(super) fn is_drawn(&self) -> bool {
        self.cursor == self.len
    }

    /// Whether a later pass would have anything to do.
    pub(super) fn has_silent(&self) -> bool {
        self.counts[1..].iter().sum::<u32>() < self.len
    }

    /// A SYN just drawn is held back.
    pub(super) fn park(&mut self, offset: u32) {
        self.parked += 1;
        let first = offset >= self.before || self.anew.binary_search(&offset).is_ok();
        if self.pass == 1 && first && self.nibble(offset) == 0 {
            self.put(offset, UNSENT);
            self.unsent += 1;
        }
    }

    /// A SYN that was held back leaves.
    pub(super) fn release(&mut self, offset: u32, now: Instant) {
        self.parked = self.parked.saturating_sub(1);
        if self.nibble(offset) & UNSENT != 0 {
            self.put(offset, 0);
            self.unsent -= 1;
        }
        self.last_sent = self.last_sent.max(now);
    }

    /// Takes an answer in. `sent` is when the SYN left that it echoes, where that is known.
    pub(super) fn hear(
        &mut self,
        offset: u32,
        mark: Mark,
        now: Instant,
        sent: Option<Instant>,
    ) -> Entry {
        if offset >= self.reach {
            return Entry::Unasked;
        }
        let nibble = self.nibble(offset);
        if nibble & UNSENT != 0 {
            return Entry::Unasked;
        }
        let from = Mark::of(nibble);
        if mark.rank() <= from.rank() {
            return Entry::Known;
        }
        self.put(offset, mark as u64);
        self.counts[from.index()] = self.counts[from.index()].saturating_sub(1);
        self.counts[mark.index()] += 1;
        self.last_credit = self.last_credit.max(now);
        if from != Mark::Silent {
            return Entry::Advanced { from };
        }
        let (pass, once) = self.pass_of(offset, sent);
        Entry::First { pass, once }
    }

    /// Which pass an answer belongs to, and whether its SYN left only once.
    fn pass_of(&self, offset: u32, sent: Option<Instant>) -> (u8, bool) {
        // Drawn in the pass under way, or not yet.
        let latest =
            if offset < self.cursor { self.pass } else { self.pass.saturating_sub(1) }.max(1);
        let once = latest == 1 && offset >= self.before;
        let Some(sent) = sent else { return (latest, once) };
        let echoed = self.began[..usize::from(latest)].iter().rposition(|began| *began <= sent);
        let pass = echoed.and_then(|index| u8::try_from(index + 1).ok()).unwrap_or(1);
        (pass, once)
    }

    /// When nothing more is waited for.
    pub(super) fn closes_at(&self, quiet: Duration, longest: Duration) -> Instant {
        let patient = self.last_sent.max(self.last_credit) + quiet;
        patient.min(self.last_sent + longest.max(quiet))
    }

    /// Positions whose SYN has left at least once.
    pub(super) fn probed(&self) -> u64 {
        u64::from(self.reach - self.unsent)
    }

    /// Probed positions of each mark.
    pub(super) fn counts(&self) -> [u64; 8] {
        let mut counts = self.counts.map(u64::from);
        counts[0] = self.probed().saturating_sub(counts[1..].iter().sum());
        counts
    }

    /// Hands out every probed position whose mark is wanted.
    pub(super) fn tell(&self, wanted: Marks, each: &mut dyn FnMut(u64, Mark)) {
        let none = |(index, count): (usize, u64)| count == 0 || !wanted.has(Mark::ALL[index]);
        if self.counts().into_iter().enumerate().all(none) {
            return;
        }
        for (index, &word) in self.words.iter().enumerate() {
            if word == 0 && !wanted.has(Mark::Silent) {
                continue;
            }
            for nth in 0..16_u32 {
                let offset = u32::try_from(index).unwrap_or(u32::MAX) * NIBBLES + nth;
                let nibble = word >> (4 * nth) & 15;
                let mark = Mark::of(nibble);
                if offset < self.reach && nibble & UNSENT == 0 && wanted.has(mark) {
                    each(self.first + u64::from(offset), mark);
                }
            }
        }
    }

    fn nibble(&self, offset: u32) -> u64 {
        self.words[(offset / NIBBLES) as usize] >> (4 * (offset % NIBBLES)) & 15
    }

    fn put(&mut self, offset: u32, nibble: u64) {
        let (word, shift) = ((offset / NIBBLES) as usize, 4 * (offset % NIBBLES));
        self.words[word] = self.words[word] & !(15 << shift) | nibble << shift;
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
