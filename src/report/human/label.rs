//! What is written on an arrow: the segment's fields, most telling first.

use super::Style;
use super::paint::{Paint, Span, width};
use crate::event::{Note, SegmentEvent};
use crate::report::sanitize;
use crate::wire::{Flags, Segment, SeqNum, TcpOption};

/// Bytes of a payload shown with `-v`.
const PREVIEW: usize = 48;

/// A segment's description, to be divided between the arrow and the lines below it.
pub(super) struct Label {
    /// Flags, SEQ, ACK, length, window, TTL: those that fit go onto the arrow, in this order.
    fields: Vec<Span>,
    /// What is special about the segment: on the arrow where it fits, below it otherwise.
    note: Option<Span>,
    /// Always below the arrow: options, and what `-v` adds.
    below: Vec<Span>,
}

impl Label {
    /// `shift`: the window scale that is in use for this segment's sender.
    pub(super) fn new(event: &SegmentEvent, shift: Option<u8>, style: &Style) -> Self {
        let segment = &event.packet.segment;
        let number = |number: SeqNum, origin: SeqNum| {
            if style.absolute { number.0 } else { number.offset_from(origin) }
        };
        let mut fields = vec![
            Span::new(segment.flags.to_string(), flags_paint(segment)),
            Span::plain(format!("seq={}", number(segment.seq, event.seq_origin))),
        ];
        if segment.has(Flags::ACK) {
            fields.push(Span::plain(format!("ack={}", number(segment.ack, event.ack_origin))));
        }
        fields.push(Span::plain(format!("len={}", segment.payload.len())));
        let scale = match shift {
            Some(shift @ 1..) => {
                format!("{}{}", if style.unicode { "×" } else { "*" }, 1_u32 << shift.min(14))
            }
            _ => String::new(),
        };
        fields.push(Span::plain(format!("win={}{scale}", segment.window)));
        fields.push(Span::plain(format!("ttl={}", event.packet.ip.ttl)));
        if segment.has(Flags::URG) {
            fields.push(Span::plain(format!("urg={}", segment.urgent)));
        }
        let note =
            event.note.map(|note| Span::new(style.reason(&note.to_string()), note_paint(note)));
        Self { fields, note, below: below(event, style) }
    }

    /// Divides the label between an arrow with room for `columns` and the lines below it.
    pub(super) fn place(self, columns: usize) -> Placed {
        // The note outranks length, window and TTL, but not flags, SEQ and ACK.
        let vital = 2 + usize::from(self.fields[2].text.starts_with("ack="));
        let vital_columns = width(&self.fields[..vital]) + vital - 1;
        let (beside, below) = match self.note {
            Some(note) if vital_columns + note.width() + 3 <= columns => {
                (Some(Span::new(format!(" [{}]", note.text), note.paint)), None)
            }
            note => (None, note),
        };
        let columns = columns - beside.as_ref().map_or(0, Span::width);
        let mut on_arrow: Vec<Span> = Vec::new();
        let mut fields = self.fields.into_iter().peekable();
        while let Some(field) = fields
            .next_if(|field| on_arrow.is_empty() || width(&on_arrow) + 1 + field.width() <= columns)
        {
            if !on_arrow.is_empty() {
                on_arrow.push(Span::plain(" "));
            }
            on_arrow.push(field);
        }
        on_arrow.extend(beside);
        Placed { on_arrow, note: below, below: fields.chain(self.below).collect() }
    }
}

/// A label divided.
pub(super) struct Placed {
    /// What stands on the arrow.
    pub(super) on_arrow: Vec<Span>,
    /// The note, where it found no room there.
    pub(super) note: Option<Span>,
    /// The rest, below.
    pub(super) below: Vec<Span>,
}

fn flags_paint(segment: &Segment) -> Paint {
    if segment.has(Flags::RST) {
        Paint::Bad
    } else if segment.has(Flags::SYN) {
        Paint::Opening
    } else if segment.has(Flags::FIN) {
        Paint::Closing
    } else {
        Paint::Bold
    }
}

const fn note_paint(note: Note) -> Paint {
    match note {
        Note::LocalKernel => Paint::Bad,
        _ => Paint::Warn,
    }
}

fn below(event: &SegmentEvent, style: &Style) -> Vec<Span> {
    let segment = &event.packet.segment;
    let mut items: Vec<Span> = segment
        .options
        .iter()
        .map(|option| Span::plain(option_text(option, event, style)))
        .collect();
    if style.verbosity == 0 {
        return items;
    }
    let ip = &event.packet.ip;
    items.push(Span::new(format!("tos 0x{:02x}", ip.tos), Paint::Dim));
    if ip.src.is_ipv4() {
        let fragment = if ip.dont_fragment { "DF" } else { "may fragment" };
        items.push(Span::new(format!("id {}", ip.id), Paint::Dim));
        items.push(Span::new(fragment, Paint::Dim));
    } else {
        items.push(Span::new(format!("flow label 0x{:05x}", ip.flow_label), Paint::Dim));
    }
    if !segment.has(Flags::ACK) && segment.ack != SeqNum(0) {
        items.push(Span::new(format!("ack field {} without ACK", segment.ack.0), Paint::Warn));
    }
    if !segment.payload.is_empty() {
        let shown = &segment.payload[..segment.payload.len().min(PREVIEW)];
        let more = if shown.len() < segment.payload.len() { " and more" } else { "" };
        let text = sanitize::bytes(shown, style.charset());
        items.push(Span::plain(format!("\"{text}\"{more}")));
    }
    items
}

/// packetdrill's words; the edges of SACK blocks are counted as the acknowledgment number is.
fn option_text(option: &TcpOption, event: &SegmentEvent, style: &Style) -> String {
    match option {
        TcpOption::Sack(blocks) if !style.absolute => {
            let relative = |edge: SeqNum| edge.offset_from(event.ack_origin);
            blocks.iter().fold("sack".to_owned(), |text, (left, right)| {
                format!("{text} {}:{}", relative(*left), relative(*right))
            })
        }
        other => other.to_string(),
    }
}
