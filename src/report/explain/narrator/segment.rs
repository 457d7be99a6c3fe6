//! What to say of a segment: which of its kinds it is, by its flags, its numbers and what came
//! before it.

use super::Told;
use super::story::{Side, Story, is_keep_alive, newly_acked};
use crate::event::{Note, SegmentEvent};
use crate::net::Dir;
use crate::report::explain::sayings::{self as say, Saying};
use crate::report::explain::terms::{self, Entry};
use crate::wire::{Flags, Segment, TcpOption};

/// A segment among those before it.
struct Scene<'a> {
    event: &'a SegmentEvent,
    segment: &'a Segment,
    story: &'a Story,
    from: &'a Side,
    to: &'a Side,
}

/// What the segment means.
pub(super) fn told(event: &SegmentEvent, story: &Story) -> Told {
    let sender = story.sender(event);
    let scene = Scene {
        event,
        segment: &event.packet.segment,
        story,
        from: story.side(sender),
        to: story.side(sender.other()),
    };
    let keep_alive = is_keep_alive(scene.segment, scene.from);
    let answers = story.kept_alive_by == Some(sender.other());
    match event.note {
        Some(Note::LocalKernel) => Told::from(&say::OF_KERNEL),
        Some(Note::Late) => Told::from(&say::LATE),
        Some(Note::Rejected(_) | Note::Duplicate) if keep_alive => Told::from(&say::KEEP_ALIVE),
        Some(Note::Rejected(_)) => Told::from(&say::REJECTED),
        Some(Note::Duplicate) => Told::from(scene.twice()),
        Some(Note::ChallengeAck) if answers => Told::from(&say::KEEP_ALIVE_ANSWER),
        Some(Note::ChallengeAck) => Told::from(&say::CHALLENGE),
        Some(Note::Retransmission(_)) => Told::from(scene.again()),
        Some(Note::Held) => scene.held(),
        Some(Note::OutOfOrder) => {
            let mut told = scene.plain();
            told.main.push(&say::EARLY);
            told
        }
        None if answers && scene.is_bare() => Told::from(&say::KEEP_ALIVE_ANSWER),
        None => scene.plain(),
    }
}

impl Scene<'_> {
    const fn has(&self, flags: Flags) -> bool {
        self.segment.has(flags)
    }

    /// An ACK and nothing else.
    fn is_bare(&self) -> bool {
        let other = Flags::SYN | Flags::FIN | Flags::RST;
        !self.segment.flags.intersects(other) && self.segment.payload.is_empty()
    }

    /// By its flags and its place in the conversation.
    fn plain(&self) -> Told {
        if self.has(Flags::RST) {
            self.reset()
        } else if self.has(Flags::SYN) {
            self.syn()
        } else if self.has(Flags::FIN) {
            self.fin()
        } else if self.segment.payload.is_empty() {
            self.bare_ack()
        } else {
            self.data()
        }
    }

    fn syn(&self) -> Told {
        let terms = option_terms(self.segment);
        if self.has(Flags::ACK) {
            return match (self.from.syn_alone, self.from.syn_ack) {
                (_, true) => Told::from(self.again()),
                (true, false) => Told { terms, ..Told::from(&say::SYN_ACK_CROSSED) },
                (false, false) => {
                    Told { main: vec![&say::SYN_ACK], lost: Some(&say::SYN_ACK_LOST), terms }
                }
            };
        }
        if self.from.syn {
            return Told::from(self.again());
        }
        let opening = if self.to.syn { &say::SYN_CROSSED } else { &say::SYN_SENT };
        let data = (!self.segment.payload.is_empty()).then_some(&say::SYN_DATA);
        let main = std::iter::once(opening).chain(data).collect();
        Told { main, lost: Some(&say::SYN_LOST), terms }
    }

    fn fin(&self) -> Told {
        if self.from.fin == Some(self.segment.seq_end()) {
            return Told::from(self.again());
        }
        let data = !self.segment.payload.is_empty();
        let main: &'static Saying = match self.to.fin {
            None if data => &say::FIN_DATA,
            None => &say::FIN_FIRST,
            Some(fin) if !self.segment.ack.is_at_or_after(fin) => &say::FIN_CROSSED,
            Some(_) if data => &say::FIN_SECOND_DATA,
            Some(fin) if !self.from.has_acked(fin) => &say::FIN_MERGED,
            Some(_) => &say::FIN_SECOND,
        };
        Told { main: vec![main], lost: Some(&say::FIN_LOST), terms: Vec::new() }
    }

    fn data(&self) -> Told {
        let known = |nxt| self.segment.seq_end().is_at_or_before(nxt);
        if self.from.nxt.is_some_and(known) {
            return Told::from(self.again());
        }
        let mut main: Vec<&'static Saying> = vec![if self.completes_handshake() {
            &say::DATA_OPENS
        } else if self.to.window == Some(0) {
            &say::PROBES_WINDOW
        } else if self.to.fin.is_some() {
            &say::DATA_HALF
        } else if newly_acked(self.segment, self.from, self.to) > 0 {
            &say::DATA_CONFIRMS
        } else {
            &say::DATA
        }];
        if self.has(Flags::PSH) {
            main.push(&say::PUSH);
        }
        Told { main, lost: Some(&say::DATA_LOST), terms: vec![&terms::WINDOW] }
    }

    /// Whether this is the first acknowledgment of the other end's SYN.
    fn completes_handshake(&self) -> bool {
        self.to.syn && self.from.syn && self.from.ack.is_none() && self.has(Flags::ACK)
    }

    fn bare_ack(&self) -> Told {
        let told = |main: &'static Saying, lost| Told { main: vec![main], lost, ..Told::default() };
        if self.completes_handshake() {
            return told(&say::FINAL_ACK, Some(&say::FINAL_ACK_LOST));
        }
        if is_keep_alive(self.segment, self.from) {
            return told(&say::KEEP_ALIVE, None);
        }
        let acks_fin = |fin| self.segment.ack.is_at_or_after(fin) && !self.from.has_acked(fin);
        if self.to.fin.is_some_and(acks_fin) {
            return if self.story.crossed {
                told(&say::ACK_OF_CROSSED, Some(&say::ACK_OF_FIN_LOST))
            } else if self.from.fin.is_some() {
                told(&say::LAST_ACK, Some(&say::LAST_ACK_LOST))
            } else {
                told(&say::ACK_OF_FIN, Some(&say::ACK_OF_FIN_LOST))
            };
        }
        let mut all = if newly_acked(self.segment, self.from, self.to) > 0 {
            told(&say::ACK_DATA, Some(&say::ACK_LOST))
        } else {
            self.acks_nothing()
        };
        if self.segment.window == 0 && self.from.window != Some(0) {
            all.main.push(&say::WINDOW_CLOSES);
        }
        if has_sack(self.segment) {
            all.main.push(&say::ACK_BLOCKS);
        }
        all
    }

    /// An ACK that repeats what was acknowledged.
    fn acks_nothing(&self) -> Told {
        let window = self.segment.window;
        let outstanding = self.to.nxt.is_some_and(|nxt| nxt.is_after(self.segment.ack));
        let asked_again = self.story.repeated_by == Some(self.story.sender(self.event).other());
        if asked_again {
            Told::from(&say::AGAIN_ACK)
        } else if has_sack(self.segment) || outstanding && self.from.window == Some(window) {
            Told::from(&say::ACK_AGAIN)
        } else if self.from.window.is_some_and(|before| window > before) {
            Told::from(&say::WINDOW_OPENS)
        } else {
            Told::from(&say::ACK_PLAIN)
        }
    }

    fn reset(&self) -> Told {
        let told = |main: &'static Saying, lost| Told { main: vec![main], lost, ..Told::default() };
        let from_us = self.event.dir == Dir::Tx;
        if self.story.late {
            told(&say::RST_UNKNOWN, None)
        } else if self.to.syn && !self.from.syn {
            told(&say::RST_REFUSES, Some(&say::RST_REFUSES_LOST))
        } else if self.to.syn_ack && self.from.ack.is_none() {
            told(&say::RST_HALF_OPEN, Some(&say::RST_HALF_OPEN_LOST))
        } else if !from_us && self.to.fin.is_some() {
            told(&say::RST_AFTER_FIN, Some(&say::RST_ABORTS_LOST))
        } else {
            told(&say::RST_ABORTS, Some(&say::RST_ABORTS_LOST))
        }
    }

    /// A repetition, as seen from its sender.
    fn again(&self) -> &'static Saying {
        if self.has(Flags::SYN | Flags::ACK) {
            &say::AGAIN_SYN_ACK
        } else if self.has(Flags::SYN) {
            &say::AGAIN_SYN
        } else if self.has(Flags::FIN) {
            &say::AGAIN_FIN
        } else if self.segment.payload.is_empty() {
            &say::AGAIN_ACK
        } else if self.to.window == Some(0) {
            &say::PROBES_WINDOW
        } else {
            &say::AGAIN_DATA
        }
    }

    /// A repetition of what its receiver has.
    fn twice(&self) -> &'static Saying {
        if self.has(Flags::SYN | Flags::ACK) {
            &say::TWICE_SYN_ACK
        } else if self.has(Flags::SYN) {
            &say::TWICE_SYN
        } else if self.has(Flags::FIN) {
            &say::TWICE_FIN
        } else if self.segment.payload.is_empty() {
            &say::TWICE_ACK
        } else {
            &say::TWICE_DATA
        }
    }

    /// It is kept from its receiver, which is our own machine unless we sent it.
    fn held(&self) -> Told {
        let mut told = self.plain();
        told.main.push(if self.event.dir == Dir::Tx {
            &say::HELD_OTHER
        } else if self.has(Flags::FIN) {
            &say::HELD_FIN
        } else if self.has(Flags::SYN) {
            &say::HELD_SYN
        } else {
            &say::HELD_OTHER
        });
        // It was not lost.
        told.lost = None;
        told
    }
}

fn has_sack(segment: &Segment) -> bool {
    segment.options.iter().any(|option| matches!(option, TcpOption::Sack(_)))
}

/// What else stands in a SYN: its window, its options, the bits of ECN.
fn option_terms(segment: &Segment) -> Vec<&'static Entry> {
    let mut terms: Vec<&'static Entry> = segment
        .options
        .iter()
        .filter_map(|option| match option {
            TcpOption::Mss(_) => Some(&terms::MSS),
            TcpOption::WindowScale(_) => Some(&terms::WINDOW_SCALE),
            TcpOption::SackPermitted => Some(&terms::SACK_PERMITTED),
            TcpOption::Sack(_) => Some(&terms::SACK),
            TcpOption::Timestamps { .. } => Some(&terms::TIMESTAMPS),
            TcpOption::FastOpen(_) => Some(&terms::FAST_OPEN),
            TcpOption::Nop => Some(&terms::NOP),
            TcpOption::EndOfList(_) => Some(&terms::EOL),
            TcpOption::Unknown { .. } | TcpOption::Malformed(_) => None,
        })
        .collect();
    terms.push(&terms::WINDOW);
    if segment.flags.intersects(Flags::ECE | Flags::CWR) {
        terms.push(&terms::ECN);
    }
    if segment.has(Flags::AE) {
        terms.push(&terms::AE);
    }
    terms
}
