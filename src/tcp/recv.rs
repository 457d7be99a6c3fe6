//! The receive sequence space and the window that we promised (RFC 9293 §3.3.1, §3.8.6).

use super::reassembly::Reassembly;
use crate::time::Instant;
use crate::wire::SeqNum;

/// How long a timestamp of the far end is good for comparison (RFC 7323 §5.5: 24 days), in
/// nanoseconds.
const TS_RECENT_LIFE: u128 = 24 * 24 * 3600 * 1_000_000_000;

/// The receive half.
#[derive(Clone, Debug)]
pub(super) struct RecvSide {
    pub(super) irs: Option<SeqNum>,
    pub(super) nxt: SeqNum,
    /// Right edge of the window that we promised: never moves back (RFC 9293 SHLD-14).
    edge: SeqNum,
    /// RCV.UP.
    pub(super) up: Option<SeqNum>,
    /// Last.ACK.sent of RFC 7323 §4.3.
    pub(super) last_ack_sent: SeqNum,
    ts_recent: Option<(u32, Instant)>,
    pub(super) fin_received: bool,
    capacity: u32,
    reassembly: Reassembly,
    /// The position of `nxt` in the stream, in bytes behind the SYN.
    position: u64,
    received: Vec<u8>,
}

impl RecvSide {
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            irs: None,
            nxt: SeqNum::default(),
            edge: SeqNum::default(),
            up: None,
            last_ack_sent: SeqNum::default(),
            ts_recent: None,
            fin_received: false,
            // Larger windows cannot be said: 65535 shifted by 14 (RFC 7323 §2.3).
            capacity: capacity.min(1 << 30),
            reassembly: Reassembly::default(),
            position: 0,
            received: Vec::new(),
        }
    }

    /// The far end's SYN: everything is counted from it. `window` is what our SYN promises.
    pub(super) fn synchronize(&mut self, irs: SeqNum, window: u16) {
        self.irs = Some(irs);
        self.nxt = irs + 1;
        self.edge = self.nxt + u32::from(window);
        self.last_ack_sent = self.nxt;
    }

    /// RCV.WND: what we promised and did not receive yet, in bytes.
    pub(super) fn window(&self) -> u32 {
        u32::try_from(self.edge.distance(self.nxt)).unwrap_or(0)
    }

    /// Holds no more than the window field can say with this shift. Otherwise a larger buffer would
    /// always have more room than was promised, and every look at it would be worth an update.
    pub(super) fn bound_by_shift(&mut self, shift: u8) {
        self.capacity = self.capacity.min(u32::from(u16::MAX) << shift.min(14));
    }

    /// Bytes that the user has room for.
    fn free(&self) -> u32 {
        let waiting = u32::try_from(self.received.len()).unwrap_or(u32::MAX);
        self.capacity.saturating_sub(waiting)
    }

    /// Whether the window may open by enough to be worth saying (RFC 9293 §3.8.6.2.2, MUST-39).
    fn may_open(&self, mss: u32) -> bool {
        let gain = self.free().saturating_sub(self.window());
        gain > 0 && gain >= mss.min(self.capacity / 2)
    }

    /// Whether the far end should hear that the window opened: it knows of less than half of it.
    pub(super) fn update_due(&self, mss: u32) -> bool {
        self.may_open(mss) && self.window() < self.capacity / 2
    }

    /// The window field of a segment that leaves now, which promises what it says.
    pub(super) fn advertise(&mut self, shift: u8, mss: u32) -> u16 {
        let window = if self.may_open(mss) { self.free() } else { self.window() };
        let field = u16::try_from(window >> shift).unwrap_or(u16::MAX);
        self.edge = self.edge.later(self.nxt + (u32::from(field) << shift));
        self.last_ack_sent = self.nxt;
        field
    }

    /// TS.Recent, while it is good for comparison.
    pub(super) fn ts_recent(&self, now: Instant) -> Option<u32> {
        let fresh = |&(_, at): &(u32, Instant)| now.since(at).as_nanos() < TS_RECENT_LIFE;
        self.ts_recent.filter(fresh).map(|(value, _)| value)
    }

    /// What our next segment echoes: TS.Recent however old, 0 before there is one.
    pub(super) fn ts_echo(&self) -> u32 {
        self.ts_recent.map_or(0, |(value, _)| value)
    }

    pub(super) fn record_timestamp(&mut self, value: u32, now: Instant) {
        self.ts_recent = Some((value, now));
    }

    /// Keeps the part of a segment that lies in the window, its text at `seq`, until it is in order.
    ///
    /// Returns whether anything of it was new and had a place.
    pub(super) fn keep(&mut self, seq: SeqNum, text: &[u8], fin: bool) -> bool {
        let end = seq + u32::try_from(text.len()).unwrap_or(u32::MAX);
        // Trim to the window: before RCV.NXT is old, behind the edge is nobody's promise.
        let old = u32::try_from(self.nxt.distance(seq)).unwrap_or(0) as usize;
        let over = u32::try_from(end.distance(self.edge)).unwrap_or(0) as usize;
        let keep = text.get(old..text.len().saturating_sub(over)).unwrap_or_default();
        let start = seq.later(self.nxt);
        self.reassembly.insert(self.position_of(start), keep);
        // The FIN takes a number of its own and must fit as well.
        let fin = fin && end.is_at_or_after(self.nxt) && end.is_before(self.edge);
        if fin {
            self.reassembly.insert_fin(self.position_of(end));
        }
        fin || !keep.is_empty()
    }

    fn position_of(&self, seq: SeqNum) -> u64 {
        self.position + u64::from(seq.offset_from(self.nxt))
    }

    /// Hands to the user what is in order now; returns how many bytes.
    pub(super) fn deliver(&mut self) -> u32 {
        let data = self.reassembly.take_from(self.position);
        // Bounded by the window: fits.
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.position += u64::from(length);
        self.nxt += length;
        self.received.extend(data);
        length
    }

    /// Whether the far end's FIN is next.
    pub(super) fn fin_is_next(&self) -> bool {
        !self.fin_received && self.reassembly.ends_at(self.position)
    }

    /// Steps over the far end's FIN.
    pub(super) fn take_fin(&mut self) {
        self.fin_received = true;
        self.nxt += 1;
        self.edge = self.edge.later(self.nxt);
        self.reassembly.clear();
    }

    /// The out-of-order blocks in sequence numbers, most recent first, at most `limit`.
    pub(super) fn sack_blocks(&self, limit: usize) -> Vec<(SeqNum, SeqNum)> {
        // The positions lie in the window behind `position`: their low 32 bits are the distance.
        #[allow(clippy::cast_possible_truncation)]
        let seq = |position: u64| self.nxt + position.wrapping_sub(self.position) as u32;
        let blocks = self.reassembly.sack_blocks(limit);
        blocks.into_iter().map(|(from, to)| (seq(from), seq(to))).collect()
    }

    pub(super) fn waiting(&self) -> usize {
        self.received.len()
    }

    pub(super) fn take_received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }
}
