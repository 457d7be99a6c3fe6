//! Recovery from losses that the far end's acknowledgments tell of: fast retransmit (RFC 5681 §3.2)
//! with selective acknowledgments (RFC 2018, RFC 6675), or, where those were not agreed on, with the
//! partial acknowledgments of NewReno (RFC 6582).

use crate::wire::SeqNum;

/// DupThresh: so many acknowledgments of the same number are a loss, and no reordering.
const DUP_THRESHOLD: u32 = 3;
/// Blocks that are remembered: more holes than that are found again when the first are filled.
const MAX_BLOCKS: usize = 512;

/// What the far end has out of order, and how far its holes have been filled.
#[derive(Clone, Debug, Default)]
pub(super) struct Recovery {
    /// Blocks that it has beyond SND.UNA: ascending, neither overlapping nor touching.
    sacked: Vec<(SeqNum, SeqNum)>,
    /// Acknowledgments in a row that covered nothing new.
    duplicates: u32,
    /// RecoveryPoint: SND.NXT when the loss was noticed. Absent while nothing is taken for lost.
    until: Option<SeqNum>,
    /// HighRxt: the first number behind what was sent again.
    resent: SeqNum,
    /// What is at SND.UNA is to be sent again, whatever the blocks say.
    first_due: bool,
    /// No other recovery before this is acknowledged: what was lost in the last one, or before
    /// a time-out, may still be acknowledged again and again (RFC 6582 §3.2, `recover`).
    quiet_until: Option<SeqNum>,
}

impl Recovery {
    /// Whether losses are being repaired.
    pub(super) fn is_active(&self) -> bool {
        self.until.is_some()
    }

    /// Takes in the blocks of an acknowledgment, as far as they lie in `una..nxt`; whether any of
    /// them was new.
    pub(super) fn note_blocks(
        &mut self,
        blocks: &[(SeqNum, SeqNum)],
        una: SeqNum,
        nxt: SeqNum,
    ) -> bool {
        let flight = nxt.offset_from(una);
        let mut news = false;
        for &(from, to) in blocks {
            let (start, end) = (from.offset_from(una), to.offset_from(una));
            // Behind SND.UNA it is about what came twice (RFC 2883), beyond SND.NXT it is nonsense.
            if start < end && end <= flight {
                news |= self.insert(from, to, una);
            }
        }
        news
    }

    fn insert(&mut self, from: SeqNum, to: SeqNum, una: SeqNum) -> bool {
        let at = |seq: SeqNum| seq.offset_from(una);
        let (first, last) = (at(from), at(to));
        // Those that overlap or touch it lie side by side.
        let begin = self.sacked.partition_point(|(_, end)| at(*end) < first);
        let end = self.sacked.partition_point(|(start, _)| at(*start) <= last).max(begin);
        let touched = self.sacked.get(begin..end).unwrap_or_default();
        if touched.iter().any(|(start, end)| at(*start) <= first && last <= at(*end)) {
            return false;
        }
        let (mut joined_from, mut joined_to) = (from, to);
        if let (Some((start, _)), Some((_, end))) = (touched.first(), touched.last()) {
            joined_from = if at(*start) < first { *start } else { from };
            joined_to = if at(*end) > last { *end } else { to };
        } else if self.sacked.len() == MAX_BLOCKS {
            return false;
        }
        self.sacked.splice(begin..end, [(joined_from, joined_to)]);
        true
    }

    /// An acknowledgment covered nothing new. Whether that is the sign of a loss that nobody repairs
    /// yet; `mss` is what a segment holds.
    pub(super) fn on_duplicate(&mut self, una: SeqNum, mss: u32) -> bool {
        self.duplicates = self.duplicates.saturating_add(1);
        let is_lost = self.duplicates >= DUP_THRESHOLD || self.lost_below(mss).is_some();
        is_lost && !self.is_active() && self.quiet_until.is_none_or(|quiet| una.is_after(quiet))
    }

    /// A loss was noticed, with `una..nxt` on its way.
    pub(super) fn begin(&mut self, una: SeqNum, nxt: SeqNum) {
        self.until = Some(nxt);
        self.quiet_until = Some(nxt);
        self.resent = una;
        self.first_due = true;
    }

    /// Forgets the blocks before `una`, to which SND.UNA has moved.
    pub(super) fn forget_before(&mut self, una: SeqNum) {
        self.sacked.retain_mut(|(start, end)| {
            *start = start.later(una);
            start.is_before(*end)
        });
    }

    /// SND.UNA moved to `una`, over `acked` numbers, and what the acknowledgment says of blocks was
    /// noted. Whether a recovery came to its end by that.
    pub(super) fn on_progress(&mut self, una: SeqNum, acked: u32, mss: u32) -> bool {
        if self.quiet_until.is_some_and(|quiet| una.is_after(quiet)) {
            self.quiet_until = None;
        }
        match self.until {
            Some(until) if until.is_at_or_before(una) => {
                self.until = None;
                self.duplicates = 0;
                true
            }
            Some(_) => {
                // Each duplicate stood for a segment that had arrived; those are covered now, but for
                // the one that was sent again.
                let covered = (acked / mss.max(1)).saturating_sub(1);
                self.duplicates = self.duplicates.saturating_sub(covered);
                // Without blocks, a partial acknowledgment tells of the next hole (RFC 6582 §3.2).
                self.first_due = self.sacked.is_empty();
                self.resent = if self.first_due { una } else { self.resent.later(una) };
                false
            }
            None => {
                self.duplicates = 0;
                false
            }
        }
    }

    /// The retransmission timer expired with everything before `nxt` sent: what the blocks said is
    /// no longer relied on (RFC 2018 §8).
    pub(super) fn on_timeout(&mut self, nxt: SeqNum) {
        *self = Self { quiet_until: Some(nxt), ..Self::default() };
    }

    /// Segments that may leave beyond the congestion window, because the first duplicates show that
    /// as many have arrived (limited transmit, RFC 3042).
    pub(super) fn allowance(&self) -> u32 {
        if self.is_active() { 0 } else { self.duplicates.min(2) }
    }

    /// What of `una..nxt` is on its way, as far as can be known (RFC 6675 §4, `SetPipe`).
    pub(super) fn pipe(&self, una: SeqNum, nxt: SeqNum, mss: u32) -> u32 {
        if self.sacked.is_empty() {
            let arrived = self.duplicates.saturating_mul(mss);
            return nxt.offset_from(una).saturating_sub(arrived);
        }
        let lost_below = self.lost_below(mss).unwrap_or(una);
        self.holes(una, nxt).fold(0_u32, |pipe, (start, end)| {
            let waiting = end.offset_from(start.later(lost_below).earlier(end));
            let again = self.resent.earlier(end).later(start).offset_from(start);
            pipe.saturating_add(waiting).saturating_add(again)
        })
    }

    /// The next that is lost and was not sent again (RFC 6675 §4, `NextSeg` rule 1); where `all`,
    /// also what only may be lost, because something behind it has arrived (rule 3).
    pub(super) fn next_lost(
        &self,
        una: SeqNum,
        nxt: SeqNum,
        mss: u32,
        all: bool,
    ) -> Option<(SeqNum, SeqNum)> {
        self.until?;
        if self.first_due {
            let end = self.holes(una, nxt).next()?.1;
            return Some((una, end.earlier(una + mss)));
        }
        let below = match all {
            true => self.sacked.last()?.0,
            false => self.lost_below(mss)?,
        };
        let unsent = |(start, end): (SeqNum, SeqNum)| {
            let start = start.later(self.resent);
            start.is_before(end).then_some((start, end))
        };
        self.holes(una, below).find_map(unsent)
    }

    /// What was sent again reaches up to `end` now.
    pub(super) fn resent_up_to(&mut self, end: SeqNum) {
        self.resent = end;
        self.first_due = false;
    }

    /// `seq`, or what comes behind the block that holds it.
    pub(super) fn skip(&self, seq: SeqNum) -> SeqNum {
        let holds =
            |(start, end): &&(SeqNum, SeqNum)| start.is_at_or_before(seq) && seq.is_before(*end);
        self.sacked.iter().find(holds).map_or(seq, |(_, end)| *end)
    }

    /// The first block that begins behind `seq`.
    pub(super) fn next_block(&self, seq: SeqNum) -> Option<SeqNum> {
        self.sacked.iter().map(|(start, _)| *start).find(|start| start.is_after(seq))
    }

    /// Everything before this that is in no block is lost (RFC 6675 §4, `IsLost`): behind it are
    /// three blocks, or more bytes than two segments hold.
    fn lost_below(&self, mss: u32) -> Option<SeqNum> {
        let (mut bytes, mut blocks) = (0_u32, 0);
        for (start, end) in self.sacked.iter().rev() {
            bytes = bytes.saturating_add(end.offset_from(*start));
            blocks += 1;
            if blocks >= DUP_THRESHOLD || bytes > (DUP_THRESHOLD - 1).saturating_mul(mss) {
                return Some(*start);
            }
        }
        None
    }

    /// What of `una..until` is in no block.
    fn holes(&self, una: SeqNum, until: SeqNum) -> impl Iterator<Item = (SeqNum, SeqNum)> {
        let starts = std::iter::once(una).chain(self.sacked.iter().map(|(_, end)| *end));
        let ends = self.sacked.iter().map(|(start, _)| *start).chain(std::iter::once(until));
        starts
            .zip(ends)
            .map(move |(start, end)| (start, end.earlier(until)))
            .filter(|(start, end)| start.is_before(*end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNA: SeqNum = SeqNum(u32::MAX - 1500);
    const MSS: u32 = 1000;

    fn at(segment: u32) -> SeqNum {
        UNA + segment * MSS
    }

    fn block(from: u32, to: u32) -> (SeqNum, SeqNum) {
        (at(from), at(to))
    }

    /// Ten segments on their way, these blocks arrived, and the loss of the first is noticed.
    fn recovering(blocks: &[(SeqNum, SeqNum)]) -> Recovery {
        let mut recovery = Recovery::default();
        recovery.note_blocks(blocks, UNA, at(10));
        assert!((0..3).any(|_| recovery.on_duplicate(UNA, MSS)));
        recovery.begin(UNA, at(10));
        recovery
    }

    #[test]
    fn blocks_join_and_what_is_known_is_no_news() {
        let mut recovery = Recovery::default();
        let mut note = |blocks: &[_]| recovery.note_blocks(blocks, UNA, at(10));
        assert!(note(&[block(4, 5), block(1, 2)]));
        assert!(!note(&[block(4, 5)]), "known");
        assert!(note(&[block(2, 4)]), "the hole between them");
        assert!(!note(&[(at(0) - 5, at(0) - 2), block(9, 11), block(5, 5)]), "old, unsent, empty");
        assert_eq!(recovery.sacked, [block(1, 5)]);
    }

    #[test]
    fn three_duplicates_are_a_loss_and_two_let_new_data_out() {
        let mut recovery = Recovery::default();
        assert!(!recovery.on_duplicate(UNA, MSS));
        assert!(!recovery.on_duplicate(UNA, MSS));
        assert_eq!(recovery.allowance(), 2);
        assert!(recovery.on_duplicate(UNA, MSS));
        recovery.begin(UNA, at(10));
        assert!(!recovery.on_duplicate(UNA, MSS), "it is being repaired");
    }

    #[test]
    fn holes_with_enough_behind_them_are_sent_again_in_order_once() {
        let mut recovery = recovering(&[block(1, 2), block(3, 6)]);
        let next = |recovery: &Recovery, all| recovery.next_lost(UNA, at(10), MSS, all);
        assert_eq!(next(&recovery, false), Some(block(0, 1)));
        recovery.resent_up_to(at(1));
        assert_eq!(next(&recovery, false), Some(block(2, 3)));
        recovery.resent_up_to(at(3));
        assert_eq!(next(&recovery, false), None, "what comes behind may be under way");
        assert_eq!(recovery.pipe(UNA, at(10), MSS), 6 * MSS, "two again, four not yet arrived");
    }

    #[test]
    fn what_may_be_lost_is_sent_again_only_where_all_is_asked_for() {
        let mut recovery = recovering(&[block(2, 3)]);
        recovery.resent_up_to(at(1));
        assert_eq!(recovery.next_lost(UNA, at(10), MSS, false), None);
        assert_eq!(recovery.next_lost(UNA, at(10), MSS, true), Some(block(1, 2)));
    }

    #[test]
    fn without_blocks_a_partial_acknowledgment_names_the_next_hole() {
        let mut recovery = recovering(&[]);
        assert_eq!(recovery.next_lost(UNA, at(10), MSS, false), Some(block(0, 1)));
        recovery.resent_up_to(at(1));
        assert_eq!(recovery.next_lost(UNA, at(10), MSS, true), None);
        assert!(!recovery.on_progress(at(4), 4 * MSS, MSS));
        assert_eq!(recovery.next_lost(at(4), at(10), MSS, false), Some(block(4, 5)));
        assert!(recovery.on_progress(at(10), 6 * MSS, MSS), "the end");
        assert!(!recovery.is_active());
    }

    #[test]
    fn after_a_time_out_old_duplicates_start_nothing() {
        let mut recovery = recovering(&[block(1, 2)]);
        recovery.on_timeout(at(10));
        assert!(!(0..5).any(|_| recovery.on_duplicate(UNA, MSS)));
        recovery.on_progress(at(10) + 1, 10 * MSS + 1, MSS);
        assert!((0..3).any(|_| recovery.on_duplicate(at(10) + 1, MSS)));
    }
}
