//! What is written on an arrow.

use unicode_width::UnicodeWidthStr;

use super::style::LABEL_COLUMNS;
use crate::event::{Note, SegmentEvent};
use crate::wire::{Flags, IcmpError, SeqNum, TcpOption};

/// A segment in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Words {
    /// Flags, sequence number, acknowledgment number, length.
    pub(super) fields: Vec<String>,
    /// The options of a SYN, in order.
    pub(super) options: Vec<String>,
}

impl Words {
    pub(super) fn of(event: &SegmentEvent, absolute: bool) -> Self {
        let segment = &event.packet.segment;
        let number = |number: SeqNum, origin: SeqNum| {
            if absolute { number.0 } else { number.offset_from(origin) }
        };
        let flags = if segment.flags == Flags::default() {
            "no flags".to_owned()
        } else {
            segment.flags.to_string()
        };
        let mut fields = vec![flags, format!("seq={}", number(segment.seq, event.seq_origin))];
        if segment.has(Flags::ACK) {
            fields.push(format!("ack={}", number(segment.ack, event.ack_origin)));
        }
        fields.push(format!("len={}", segment.payload.len()));
        let options = if segment.has(Flags::SYN) {
            segment.options.iter().map(option).collect()
        } else {
            Vec::new()
        };
        Self { fields, options }
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        let mut line = self.fields.join(" ");
        if !self.options.is_empty() {
            line += &format!(" <{}>", self.options.join(", "));
        }
        line
    }
}

/// packetdrill's words; the clock in a timestamp says nothing in a picture.
fn option(option: &TcpOption) -> String {
    match option {
        TcpOption::Timestamps { .. } => "TS".to_owned(),
        other => other.to_string(),
    }
}

/// What is special about a segment, in few words.
pub(super) fn note(note: Note) -> String {
    match note {
        Note::LocalKernel => "sent by your own kernel".to_owned(),
        other => other.to_string(),
    }
}

/// An ICMP error: what it is, who sent it, what it means.
pub(super) fn icmp(error: &IcmpError, rejected: Option<&str>) -> Vec<String> {
    let family = if error.from.is_ipv4() { "ICMP" } else { "ICMPv6" };
    let mut lines = vec![
        format!("{family} {}/{} from {}", error.icmp_type, error.code, error.from),
        error.describe().to_owned(),
    ];
    lines.extend(rejected.map(|reason| format!("rejected: {reason}")));
    lines.iter().flat_map(|line| wrap(line.split(' '), " ")).collect()
}

/// `pieces` with `between` them, in lines of at most [`LABEL_COLUMNS`].
pub(super) fn wrap<T: AsRef<str>>(pieces: impl Iterator<Item = T>, between: &str) -> Vec<String> {
    wrap_to(LABEL_COLUMNS, pieces, between)
}

/// The same in lines of so many columns. What is longer by itself is cut.
pub(super) fn wrap_to<T: AsRef<str>>(
    columns: usize,
    pieces: impl Iterator<Item = T>,
    between: &str,
) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        for part in cut(piece.as_ref(), columns) {
            match lines.last_mut() {
                Some(line) if line.width() + between.width() + part.width() <= columns => {
                    *line += between;
                    *line += &part;
                }
                Some(line) => {
                    if line.width() + between.trim_end().width() <= columns {
                        *line += between.trim_end();
                    }
                    lines.push(part);
                }
                None => lines.push(part),
            }
        }
    }
    lines
}

fn cut(piece: &str, columns: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    for character in piece.chars() {
        let mut buffer = [0; 4];
        let wide = character.encode_utf8(&mut buffer).width();
        if let Some(part) = parts.last_mut() {
            if part.width() + wide <= columns {
                part.push(character);
            } else {
                parts.push(character.into());
            }
        }
    }
    parts
}
