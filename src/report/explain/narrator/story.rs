//! What a flow's segments have said so far, and the values that an explanation names.

use crate::event::{Note, SegmentEvent};
use crate::net::Dir;
use crate::report::explain::sayings::{self, Saying};
use crate::report::explain::terms::Entry;
use crate::report::explain::text::{Lang, Text};
use crate::report::units::duration;
use crate::tcp::state::{Cause, End, State};
use crate::time::Instant;
use crate::wire::{Flags, IcmpError, Segment, SeqNum, TcpOption};

/// What one end has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Side {
    /// Its SYN was seen; whether one of them came without ACK, and one with.
    pub(super) syn: bool,
    pub(super) syn_alone: bool,
    pub(super) syn_ack: bool,
    /// The first number behind everything that it sent.
    pub(super) nxt: Option<SeqNum>,
    /// The first number behind its FIN.
    pub(super) fin: Option<SeqNum>,
    /// The highest number that it acknowledged.
    pub(super) ack: Option<SeqNum>,
    /// The last window that it announced, unscaled.
    pub(super) window: Option<u16>,
    /// When it last sent its SYN, data, its FIN.
    syn_at: Option<Instant>,
    data_at: Option<Instant>,
    fin_at: Option<Instant>,
}

impl Side {
    /// Whether it has acknowledged everything before `number`.
    pub(super) fn has_acked(&self, number: SeqNum) -> bool {
        self.ack.is_some_and(|ack| ack.is_at_or_after(number))
    }

    /// When it last sent a segment of the same kind.
    fn last(&self, segment: &Segment) -> Option<Instant> {
        if segment.has(Flags::SYN) {
            self.syn_at
        } else if segment.has(Flags::FIN) {
            self.fin_at
        } else {
            self.data_at
        }
    }
}

/// A flow, as far as it has come.
#[derive(Clone, Debug)]
pub(super) struct Story {
    ours: End,
    client: Side,
    server: Side,
    /// Both FINs were sent before either arrived.
    pub(super) crossed: bool,
    /// Who sent a keep-alive that is not answered yet.
    pub(super) kept_alive_by: Option<End>,
    /// Something came after the end.
    pub(super) late: bool,
    /// Who has just repeated what the other end has already.
    pub(super) repeated_by: Option<End>,
    /// Flags of the last segment.
    last: Flags,
    said: Vec<&'static Saying>,
}

impl Story {
    pub(super) fn new(ours: End) -> Self {
        Self {
            ours,
            client: Side::default(),
            server: Side::default(),
            crossed: false,
            kept_alive_by: None,
            late: false,
            repeated_by: None,
            last: Flags::NONE,
            said: Vec::new(),
        }
    }

    /// The end that sent it.
    pub(super) fn sender(&self, event: &SegmentEvent) -> End {
        match event.dir {
            Dir::Tx => self.ours,
            Dir::Rx => self.ours.other(),
        }
    }

    pub(super) fn side(&self, end: End) -> &Side {
        match end {
            End::Client => &self.client,
            End::Server => &self.server,
        }
    }

    /// Whether a saying was not said before in this flow. It counts as said from now on.
    pub(super) fn first_time(&mut self, saying: &'static Saying) -> bool {
        let first = !self.said.iter().any(|said| std::ptr::eq(*said, saying));
        if first {
            self.said.push(saying);
        }
        first
    }

    /// Keeps what a segment has said. What is not of the connection says nothing.
    pub(super) fn take_in(&mut self, event: &SegmentEvent) {
        let from = self.sender(event);
        let segment = &event.packet.segment;
        self.late |= event.note == Some(Note::Late);
        let keep_alive = is_keep_alive(segment, self.side(from));
        self.kept_alive_by = keep_alive.then_some(from);
        self.repeated_by = (event.note == Some(Note::Duplicate)).then_some(from);
        if matches!(event.note, Some(Note::Rejected(_) | Note::LocalKernel | Note::Late)) {
            return;
        }
        self.last = segment.flags;
        let at = event.stamp.at;
        let other_fin = self.side(from.other()).fin;
        let side = match from {
            End::Client => &mut self.client,
            End::Server => &mut self.server,
        };
        if segment.has(Flags::SYN) {
            side.syn = true;
            side.syn_ack |= segment.has(Flags::ACK);
            side.syn_alone |= !segment.has(Flags::ACK);
            side.syn_at = Some(at);
        } else if !segment.payload.is_empty() {
            side.data_at = Some(at);
        }
        if segment.has(Flags::ACK) && !segment.has(Flags::RST) {
            side.ack = Some(side.ack.map_or(segment.ack, |ack| ack.later(segment.ack)));
            side.window = Some(segment.window);
        }
        let end = segment.seq_end();
        if !segment.has(Flags::RST) {
            side.nxt = Some(side.nxt.map_or(end, |nxt| nxt.later(end)));
        }
        if segment.has(Flags::FIN) {
            let first = side.fin.is_none();
            let acks_other = other_fin.is_some_and(|fin| side.has_acked(fin));
            side.fin = Some(end);
            side.fin_at = Some(at);
            self.crossed |= first && other_fin.is_some() && !acks_other;
        }
    }
}

/// Whether it is one number too early and holds at most one byte: it can say nothing new.
pub(super) fn is_keep_alive(segment: &Segment, from: &Side) -> bool {
    let bare = !segment.flags.intersects(Flags::SYN | Flags::FIN | Flags::RST);
    bare && segment.payload.len() <= 1 && from.syn && from.nxt == Some(segment.seq + 1)
        // The one byte may be the last of the data, sent again.
        && (segment.payload.is_empty() || from.data_at.is_none())
}

/// The values for the places in a saying.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    lang: Lang,
    absolute: bool,
    unicode: bool,
    values: Vec<(&'static str, String)>,
    why: Option<&'static Saying>,
}

impl Facts {
    pub(super) const fn new(lang: Lang, absolute: bool, unicode: bool) -> Self {
        Self { lang, absolute, unicode, values: Vec::new(), why: None }
    }

    /// `text` with everything in it that is known. The name of an end at the beginning of a sentence
    /// has a capital in its place's name.
    pub(super) fn fill(&self, text: &Text) -> String {
        text.fill(self.lang, |name| {
            let lower = name.to_lowercase();
            let (_, value) = self.values.iter().find(|(known, _)| *known == lower)?;
            let capital = name.starts_with(|first: char| first.is_uppercase());
            Some(if capital { capitalised(value) } else { value.clone() })
        })
    }

    /// Terms that the values use.
    pub(super) fn terms(&self) -> impl Iterator<Item = &'static Entry> {
        self.why.into_iter().flat_map(|why| why.terms.iter().copied())
    }

    fn set(&mut self, name: &'static str, value: impl ToString) {
        self.values.push((name, value.to_string()));
    }

    pub(super) fn of_segment(mut self, event: &SegmentEvent, story: &Story) -> Self {
        let segment = &event.packet.segment;
        let from = story.sender(event);
        let (sender, receiver) = (story.side(from), story.side(from.other()));
        let shown = |number: SeqNum, origin: SeqNum| {
            if self.absolute { number.0 } else { number.offset_from(origin) }
        };
        let of_seq = |number: SeqNum| shown(number, event.seq_origin);
        let length = segment.payload.len() as u32;
        let first = segment.seq + u32::from(segment.has(Flags::SYN));
        let end = segment.seq_end();
        let (seq, next) = (of_seq(segment.seq), of_seq(end));
        let (first, last) = (of_seq(first), of_seq(first + length.saturating_sub(1)));
        let fin = of_seq(end - u32::from(segment.has(Flags::FIN)));
        let ack = shown(segment.ack, event.ack_origin);
        let expected = receiver.ack.map_or(seq, of_seq);
        let isn = if self.absolute {
            seq.to_string()
        } else {
            on_the_wire(self.lang).fill(self.lang, |name| {
                Some(if name == "raw" { segment.seq.0.to_string() } else { seq.to_string() })
            })
        };
        let acked = newly_acked(segment, sender, receiver);
        let gap = self.gap(event, sender);
        let blocks = self.blocks(segment, event.ack_origin);
        self.set("from", name_of(from, self.lang));
        self.set("to", name_of(from.other(), self.lang));
        self.set("isn", isn);
        for (name, number) in [
            ("seq", seq),
            ("ack", ack),
            ("next", next),
            ("first", first),
            ("last", last),
            ("fin", fin),
            ("expected", expected),
        ] {
            self.set(name, number);
        }
        self.set("bytes", bytes(length, self.lang));
        self.set("acked", bytes(acked, self.lang));
        self.set("gap", gap);
        self.set("blocks", blocks);
        if let Some(Note::Rejected(reason)) = event.note {
            let why = sayings::reason(reason);
            self.set("why", why.text.lang(self.lang));
            self.why = Some(why);
        }
        self
    }

    pub(super) fn of_move(mut self, end: End, state: State, cause: Cause, story: &Story) -> Self {
        let segment = match cause {
            Cause::Sent(flags) | Cause::Received(flags) => flags,
            _ => story.last,
        };
        self.set("who", name_of(end, self.lang));
        self.set("state", state);
        self.set("segment", segment);
        self
    }

    pub(super) fn believing(mut self, state: State) -> Self {
        self.set("believed", state);
        self
    }

    pub(super) fn of_icmp(mut self, error: &IcmpError) -> Self {
        self.set("router", error.from);
        self
    }

    /// How long after its last copy a segment comes; nothing where it is the first.
    fn gap(&self, event: &SegmentEvent, sender: &Side) -> String {
        let Some(last) = sender.last(&event.packet.segment) else { return String::new() };
        let time = duration(event.stamp.at.since(last), self.unicode);
        sayings::GAP.text.fill(self.lang, |name| (name == "time").then(|| time.clone()))
    }

    fn blocks(&self, segment: &Segment, origin: SeqNum) -> String {
        let shown =
            |number: SeqNum| if self.absolute { number.0 } else { number.offset_from(origin) };
        let blocks = segment.options.iter().find_map(|option| match option {
            TcpOption::Sack(blocks) => Some(blocks),
            _ => None,
        });
        let (to, and) = match self.lang {
            Lang::En => (" to ", ", "),
            Lang::Zh => (" 到 ", "、"),
        };
        let block =
            |(left, right): &(SeqNum, SeqNum)| format!("{}{to}{}", shown(*left), shown(*right - 1));
        let blocks: Vec<String> = blocks.into_iter().flatten().map(block).collect();
        blocks.join(and)
    }
}

/// Bytes of data that a segment acknowledges for the first time: without the SYN and the FIN.
pub(super) fn newly_acked(segment: &Segment, sender: &Side, receiver: &Side) -> u32 {
    let Some(before) = sender.ack else { return 0 };
    if !segment.has(Flags::ACK) || !segment.ack.is_after(before) {
        return 0;
    }
    let fin =
        receiver.fin.is_some_and(|fin| segment.ack.is_at_or_after(fin) && before.is_before(fin));
    segment.ack.offset_from(before) - u32::from(fin)
}

const fn on_the_wire(_: Lang) -> Text {
    Text::new("{seq} ({raw} on the wire)", "{seq}（线上为 {raw}）")
}

fn name_of(end: End, lang: Lang) -> &'static str {
    match end {
        End::Client => Text::new("the client", "客户端"),
        End::Server => Text::new("the server", "服务器"),
    }
    .lang(lang)
}

fn bytes(number: u32, lang: Lang) -> String {
    match (lang, number) {
        (Lang::En, 1) => "1 byte".to_owned(),
        (Lang::En, _) => format!("{number} bytes"),
        (Lang::Zh, _) => format!("{number} 字节"),
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}
