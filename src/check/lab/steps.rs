//! The steps that many scripts share: read everything, ask until an answer comes, see whether the
//! connection lives.

use std::time::Duration;

use super::Lab;
use super::conversation::Conversation;
use super::core::{Arrival, Got};
use super::segment::{Seg, ack, data};
use crate::wire::{Flags, Segment};

/// Times that a stimulus is sent before silence counts.
const ASKED: u32 = 3;
/// From one provoking segment to the next: challenge ACKs are throttled, on Linux to one in 0.5 s for
/// each connection (RFC 5961 §7).
const APART: Duration = Duration::from_millis(1200);
/// Times that a liveness probe is sent.
const PROBES: u32 = 4;
/// What a liveness probe says.
const PROBE: &[u8] = b"ping";

/// An answer that has not come to its end after so long is taken for all of it.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// Whether a connection lives.
#[derive(Clone, PartialEq, Debug)]
pub enum Liveness {
    /// Data in sequence were acknowledged.
    Alive,
    /// They were answered by RST.
    Reset(Got),
    /// They were not answered.
    Dead,
}

impl Conversation {
    /// Reads and acknowledges until so many bytes are there, or the FIN, or nothing more within
    /// `patience`.
    pub async fn drain(&mut self, patience: Duration, bytes: u64) {
        self.read(patience, |conversation| conversation.received.len() as u64 >= bytes).await;
    }

    /// Reads and acknowledges all data, until the FIN is there; the FIN is not acknowledged.
    pub async fn drain_to_fin(&mut self, patience: Duration) {
        self.read(patience, |_| false).await;
    }

    /// Whoever trickles a byte a second, or sends without end, is not read to the end: all of it
    /// takes at most three times the patience.
    async fn read(&mut self, patience: Duration, enough: impl Fn(&Self) -> bool) {
        let last = self.now() + patience * 3;
        let mut until = self.now() + patience;
        while self.peer_fin.is_none() && !self.was_reset && !enough(self) {
            let Some(got) = self.next_segment(until).await else { return };
            if !got.segment.payload.is_empty() {
                self.send(&ack());
                until = (self.now() + patience).min(last);
            }
        }
    }

    /// Reads and acknowledges what comes until nothing has come for `quiet`.
    pub async fn drain_until_quiet(&mut self, quiet: Duration) {
        let last = self.now() + (quiet * 3).max(LONGEST_ANSWER);
        let mut until = self.now() + quiet;
        while let Some(got) = self.next_segment(until).await {
            if !got.segment.payload.is_empty() {
                self.send(&ack());
                until = (self.now() + quiet).min(last);
            }
        }
    }

    /// Sends data in sequence, again until they are acknowledged; `false` where they are not.
    pub async fn request(&mut self, payload: &[u8], window: Duration) -> bool {
        let end = self.snd_nxt + u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let acked = |_: &Self, segment: &Segment| {
            segment.has(Flags::ACK) && segment.ack.is_at_or_after(end)
        };
        for _ in 0..PROBES {
            self.send(&data(payload));
            if self.expect(window, acked).await.is_some() {
                self.snd_nxt = end;
                return true;
            }
            if self.was_reset {
                return false;
            }
        }
        false
    }
}

impl Lab {
    /// Sends `what` until `wanted` accepts an answer, at most three times and 1.2 s apart. Segments
    /// that it does not accept are counted and passed over.
    pub async fn ask(
        &self,
        conversation: &mut Conversation,
        what: &Seg,
        window: Duration,
        wanted: impl Fn(&Conversation, &Segment) -> bool,
    ) -> Option<Got> {
        for attempt in 0..ASKED {
            let again = if attempt == 0 { what.label } else { "no answer: once more" };
            conversation.send(&what.clone().label(again));
            let wait = if attempt + 1 < ASKED { window.max(APART) } else { window };
            if let Some(got) = conversation.expect(wait, &wanted).await {
                return Some(got);
            }
        }
        conversation.note_silence(window);
        None
    }

    /// As [`ask`](Self::ask), for the first segment whatever it is, or an ICMP error.
    pub async fn ask_anything(
        &self,
        conversation: &mut Conversation,
        what: &Seg,
        window: Duration,
    ) -> Option<Arrival> {
        for attempt in 0..ASKED {
            let again = if attempt == 0 { what.label } else { "no answer: once more" };
            conversation.send(&what.clone().label(again));
            let wait = if attempt + 1 < ASKED { window.max(APART) } else { window };
            let until = conversation.now() + wait;
            if let Some(arrival) = conversation.next(until).await {
                return Some(arrival);
            }
        }
        conversation.note_silence(window);
        None
    }

    /// Whether the connection lives: four bytes in sequence, sent until they are answered. Moves
    /// SND.NXT where they are acknowledged, and acknowledges what comes back.
    pub async fn liveness(&self, conversation: &mut Conversation) -> Liveness {
        let end = conversation.snd_nxt + PROBE.len() as u32;
        let decides = |_: &Conversation, segment: &Segment| {
            segment.has(Flags::RST) || segment.has(Flags::ACK) && segment.ack.is_at_or_after(end)
        };
        for attempt in 0..PROBES {
            let label = if attempt == 0 { "does it live?" } else { "no answer: once more" };
            conversation.send(&data(PROBE).label(label));
            let window = self.ack_window().max(Duration::from_secs(1 << attempt.min(2)));
            let Some(got) = conversation.expect(window, decides).await else { continue };
            if got.segment.has(Flags::RST) {
                return Liveness::Reset(got);
            }
            if attempt > 0 {
                self.core.borrow_mut().repeated += 1;
            }
            conversation.snd_nxt = end;
            if self.server().echoes {
                conversation.drain_until_quiet(self.rtt() + Duration::from_millis(20)).await;
            }
            return Liveness::Alive;
        }
        Liveness::Dead
    }
}
