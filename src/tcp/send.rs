//! The send sequence space and the bytes in it (RFC 9293 §3.3.1).

use std::collections::VecDeque;

use crate::wire::SeqNum;

/// The most that may be queued, in bytes: half the circle must stay free for comparisons.
pub(super) const MAX_QUEUED: usize = 1 << 30;

/// What has to be sent again: a part of `SND.UNA..SND.NXT`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resend {
    /// Where to go on.
    pub(super) next: SeqNum,
    /// Where to stop: SND.NXT when the time-out came.
    pub(super) until: SeqNum,
}

/// What an acknowledgment covered for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Acknowledged {
    /// Bytes of data.
    pub(super) data: u32,
    /// Our FIN.
    pub(super) fin: bool,
}

/// The send half: SYN at ISS, the data behind it, FIN behind the data.
#[derive(Clone, Debug)]
pub(super) struct SendSide {
    pub(super) iss: SeqNum,
    pub(super) una: SeqNum,
    /// SND.NXT. Never moves back: retransmissions are tracked in `resend`.
    pub(super) nxt: SeqNum,
    /// SND.WND, in bytes.
    pub(super) wnd: u32,
    /// MAX.SND.WND of RFC 5961 §5.2, in bytes.
    pub(super) max_wnd: u32,
    pub(super) wl1: SeqNum,
    pub(super) wl2: SeqNum,
    /// Data not acknowledged; its first byte has the number `data_start`.
    buffer: VecDeque<u8>,
    data_start: SeqNum,
    fin_queued: bool,
    pub(super) resend: Option<Resend>,
}

impl SendSide {
    pub(super) fn new(iss: SeqNum) -> Self {
        Self {
            iss,
            una: iss,
            nxt: iss,
            wnd: 0,
            max_wnd: 0,
            wl1: SeqNum::default(),
            wl2: SeqNum::default(),
            buffer: VecDeque::new(),
            data_start: iss + 1,
            fin_queued: false,
            resend: None,
        }
    }

    /// Bytes queued or sent, not acknowledged.
    pub(super) fn unacked_data(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn queue(&mut self, data: &[u8]) {
        self.buffer.extend(data);
    }

    pub(super) fn queue_fin(&mut self) {
        self.fin_queued = true;
    }

    pub(super) fn fin_queued(&self) -> bool {
        self.fin_queued
    }

    /// The first number behind the data: that of the FIN.
    pub(super) fn data_end(&self) -> SeqNum {
        // At most MAX_QUEUED bytes: fits.
        self.data_start + u32::try_from(self.buffer.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn fin_sent(&self) -> bool {
        self.fin_queued && self.nxt.is_after(self.data_end())
    }

    pub(super) fn fin_acked(&self) -> bool {
        self.fin_queued && self.una.is_after(self.data_end())
    }

    /// Sequence numbers sent and not acknowledged.
    pub(super) fn flight(&self) -> u32 {
        self.nxt.offset_from(self.una)
    }

    /// Bytes of data never sent.
    pub(super) fn unsent_data(&self) -> u32 {
        u32::try_from(self.data_end().distance(self.nxt)).unwrap_or(0)
    }

    /// Whether data or a FIN has never been sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent_data() > 0 || (self.fin_queued && !self.fin_sent())
    }

    /// At most `length` bytes of data from `seq` on.
    pub(super) fn data_at(&self, seq: SeqNum, length: usize) -> Vec<u8> {
        let from = (seq.offset_from(self.data_start) as usize).min(self.buffer.len());
        let until = from.saturating_add(length).min(self.buffer.len());
        let (front, back) = self.buffer.as_slices();
        let part = |slice: &[u8], before: usize| {
            let at = |position: usize| position.saturating_sub(before).min(slice.len());
            at(from)..at(until)
        };
        let mut data = Vec::with_capacity(until - from);
        data.extend_from_slice(&front[part(front, 0)]);
        data.extend_from_slice(&back[part(back, front.len())]);
        data
    }

    /// Moves SND.UNA to `ack`, which lies in `SND.UNA..=SND.NXT`.
    pub(super) fn acknowledge(&mut self, ack: SeqNum) -> Acknowledged {
        let fin_before = self.fin_acked();
        let covered = u32::try_from(ack.distance(self.data_start)).unwrap_or(0) as usize;
        let data = covered.min(self.buffer.len());
        // The FIN's place must not move while data leaves the buffer.
        self.buffer.drain(..data);
        let data = u32::try_from(data).unwrap_or(u32::MAX);
        self.data_start += data;
        self.una = ack;
        self.resend = self.resend.and_then(|Resend { next, until }| {
            let next = next.later(ack);
            next.is_before(until).then_some(Resend { next, until })
        });
        Acknowledged { data, fin: !fin_before && self.fin_acked() }
    }

    /// SND.WND becomes `window` bytes, as the segment with this SEQ and ACK says.
    pub(super) fn set_window(&mut self, window: u32, seq: SeqNum, ack: SeqNum) {
        self.wnd = window;
        self.max_wnd = self.max_wnd.max(window);
        self.wl1 = seq;
        self.wl2 = ack;
    }

    /// Starts to send everything again that is not acknowledged.
    pub(super) fn rewind(&mut self) {
        self.resend = (self.una != self.nxt).then_some(Resend { next: self.una, until: self.nxt });
    }
}
