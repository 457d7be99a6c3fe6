//! Segments that nobody waits for, and SYNs that a server may well not answer: unlike an ordinary
//! SYN, their silence says nothing about the loss of the path.

use std::time::Duration;

use super::conversation::Conversation;
use super::core::{Arrival, Got};
use super::opening::usual_offer;
use super::segment::Seg;
use super::steps::Liveness;
use super::{Class, Lab};
use crate::check::finding::{Ruling, Stop, found, inconclusive, pass};
use crate::event::{Step, Trigger, Verdict};
use crate::net::Dir;
use crate::wire::{Flags, Segment};

/// Times that a segment is sent whose silence may be a verdict that nobody confirms.
const PROVOKED: u32 = 5;
/// From one of them to the next.
const BETWEEN: Duration = Duration::from_millis(1200);
/// Times that a segment is sent that should be ignored: one may be lost.
const IGNORED: u32 = 3;
/// From one of them to the next.
const APART: Duration = Duration::from_millis(400);
/// How long their silence is listened to.
const SILENCE: Duration = Duration::from_secs(2);

/// What came for a segment.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// A SYN-ACK of our SYN: adopted, SND.NXT is behind what it acknowledges.
    SynAck(Got),
    /// RST.
    Reset(Got),
    /// Any other segment.
    Other(Got),
    /// An ICMP error.
    Icmp,
    /// Nothing.
    Silence,
}

impl Lab {
    /// Sends a segment that begins or disturbs a connection, until anything answers it.
    pub async fn provoke(&self, conversation: &mut Conversation, what: &Seg) -> Answer {
        for attempt in 0..PROVOKED {
            let again = if attempt == 0 { what.label } else { "no answer: once more" };
            conversation.send(&what.clone().label(again));
            let until = conversation.now() + BETWEEN.max(self.now_window());
            match conversation.next(until).await {
                Some(Arrival::Segment(got)) => return conversation.classify(got),
                Some(Arrival::Icmp(..)) => return Answer::Icmp,
                None => {}
            }
        }
        conversation.note_silence(PROVOKED * BETWEEN);
        // A SYN-ACK may have been lost.
        conversation.snd_nxt = conversation.iss + 1;
        conversation.leave_by_reset();
        Answer::Silence
    }

    /// Sends what should be ignored, three times against loss, and listens: everything that came.
    pub async fn ignore(&self, conversation: &mut Conversation, what: &Seg) -> Vec<Got> {
        let mut all = Vec::new();
        for _ in 1..IGNORED {
            conversation.send(what);
            all.extend(conversation.collect(APART).await);
        }
        conversation.send(what);
        all.extend(conversation.listen(SILENCE.max(self.now_window())).await);
        if let Some(first) = all.iter().find(|got| got.segment.has(Flags::SYN)) {
            conversation.classify(first.clone());
        }
        all
    }

    /// What answers a segment on an open connection that should be ignored. An ACK counts where it
    /// comes to a second one too: what the server sends by its own timer may come just then.
    pub async fn disturb(
        &self,
        conversation: &mut Conversation,
        what: &Seg,
        answers: impl Fn(&Conversation, &Segment) -> bool,
    ) -> Option<Got> {
        let end = conversation.snd_nxt;
        let decides = |got: &Got| got.segment.has(Flags::RST) || got.segment.ack.is_after(end);
        conversation.send(what);
        let first = conversation.expect(self.now_window(), &answers).await?;
        if decides(&first) {
            return Some(first);
        }
        // Answers may be throttled.
        let late = conversation.collect(BETWEEN).await;
        if let Some(late) = late.into_iter().find(decides) {
            return Some(late);
        }
        conversation.send(&what.clone().label("again: was that an answer?"));
        conversation.expect(self.now_window(), &answers).await
    }

    /// An ordinary SYN is answered, as before.
    ///
    /// # Errors
    /// Inconclusive where it is not.
    pub async fn still_open(&self) -> Result<(), Stop> {
        self.half_open(&usual_offer(self.setting().mss)).await.map(drop)
    }

    /// A ruling on anything but the SYN-ACK that a SYN deserves: `refused` for RST and other segments,
    /// and for silence where an ordinary SYN is answered.
    ///
    /// # Errors
    /// Inconclusive where an ICMP error came, or where no SYN is answered any more.
    pub async fn no_syn_ack(
        &self,
        conversation: &Conversation,
        answer: &Answer,
        refused: Verdict,
    ) -> Ruling {
        match answer {
            Answer::SynAck(got) | Answer::Reset(got) | Answer::Other(got) => {
                Ok(found(refused, format!("answered by {}", conversation.notation(&got.segment))))
            }
            Answer::Icmp => Err(inconclusive("an ICMP error came in place of an answer")),
            Answer::Silence => {
                self.still_open().await?;
                // Firewalls that drop what is odd drop odd SYNs too.
                let verdict = self.on_silence(Class::Stray, refused);
                Ok(found(verdict, "silence, while an ordinary SYN is answered"))
            }
        }
    }

    /// The ruling on a connection that has to live on after something odd: `good` where it does.
    ///
    /// # Errors
    /// Inconclusive where an ordinary connection fares no better.
    pub async fn lives_on(&self, conversation: &mut Conversation, good: &str) -> Ruling {
        if self.server().closes_first == Some(Trigger::Connect) {
            return Ok(pass(format!("{good} (the server closes at once: nothing more to ask)")));
        }
        let observed = match self.liveness(conversation).await {
            Liveness::Alive => return Ok(pass(good)),
            Liveness::Dead => "the connection no longer answers".to_owned(),
            Liveness::Reset(got) => {
                format!("the connection was reset: {}", conversation.notation(&got.segment))
            }
        };
        // Some applications do not bear our few bytes.
        let mut ordinary = self.ready().await?;
        if self.liveness(&mut ordinary).await != Liveness::Alive {
            return Err(inconclusive("an ordinary connection does not survive our bytes either"));
        }
        Ok(found(self.on_silence(Class::Ordinary, Verdict::Fail), observed))
    }

    /// All segments that we sent so far (`Dir::Tx`), or received with a right checksum (`Dir::Rx`).
    #[must_use]
    pub fn segments(&self, wanted: Dir) -> Vec<Segment> {
        let trace = self.trace();
        let of = |step: &Step| match step {
            Step::Segment { dir, packet: Some(packet), .. } if *dir == wanted => {
                Some(packet.segment.clone())
            }
            _ => None,
        };
        let usable =
            trace.entries.iter().filter(|entry| wanted == Dir::Tx || entry.label.is_empty());
        usable.filter_map(|entry| of(&entry.step)).collect()
    }
}

impl Conversation {
    /// What kind of answer it is; a SYN-ACK of our SYN is adopted.
    fn classify(&mut self, got: Got) -> Answer {
        let segment = &got.segment;
        let first = self.iss + 1;
        if segment.has(Flags::RST) {
            return Answer::Reset(got);
        }
        if segment.has(Flags::SYN) {
            // Whatever it acknowledges: something has to be cleared away.
            let answers = segment.has(Flags::ACK) && segment.ack.offset_from(first) < 1 << 16;
            self.adopt(segment);
            self.snd_nxt = if answers { segment.ack } else { first };
            if answers {
                return Answer::SynAck(got);
            }
        }
        Answer::Other(got)
    }
}
