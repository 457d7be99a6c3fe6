//! The record of a segment, complete enough to draw its arrow again.

use std::fmt::Write as _;

use serde::Serialize;

use crate::event::{Note, SegmentEvent};
use crate::net::Dir;
use crate::time::Instant;
use crate::wire::{Flags, TcpOption};

/// Bytes of the payload that a record holds.
const DATA: usize = 64;

#[derive(Serialize)]
pub(super) struct Segment {
    dir: &'static str,
    at_ns: i64,
    clock: &'static str,
    flags: Vec<&'static str>,
    seq: u32,
    ack: u32,
    rel_seq: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rel_ack: Option<u32>,
    isn: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_isn: Option<u32>,
    win: u16,
    urg: u16,
    len: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    data_hex: String,
    #[serde(flatten)]
    ip: Ip,
    options: Vec<Tagged>,
    text: String,
    #[serde(flatten)]
    special: Option<Special>,
}

/// The IP header's fields; those of the other family are left out.
#[derive(Serialize)]
struct Ip {
    ttl: u8,
    tos: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    df: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_label: Option<u32>,
}

/// An option with its number.
#[derive(Serialize)]
struct Tagged {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<u8>,
    #[serde(flatten)]
    meaning: Meaning,
}

#[derive(Serialize)]
#[serde(tag = "name", rename_all = "lowercase")]
enum Meaning {
    Eol { data_hex: String },
    Nop,
    Mss { value: u16 },
    Wscale { shift: u8 },
    Sackok,
    Sack { blocks: Vec<[u32; 2]> },
    Ts { val: u32, ecr: u32 },
    Fastopen { data_hex: String },
    Unknown { data_hex: String },
    Malformed { data_hex: String },
}

#[derive(Serialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
enum Special {
    Retransmission { attempt: u32 },
    Duplicate,
    Rejected { reason: &'static str },
    LocalKernel,
    Held,
    ChallengeAck,
    OutOfOrder,
    Late,
}

impl Segment {
    pub(super) fn new(event: &SegmentEvent, origin: Instant) -> Self {
        let segment = &event.packet.segment;
        let ip = &event.packet.ip;
        let acknowledges = segment.has(Flags::ACK);
        let v4 = ip.src.is_ipv4();
        Self {
            dir: match event.dir {
                Dir::Tx => "tx",
                Dir::Rx => "rx",
            },
            at_ns: event.stamp.at.signed_nanos_since(origin),
            clock: event.stamp.clock.name(),
            flags: segment.flags.names().collect(),
            seq: segment.seq.0,
            ack: segment.ack.0,
            rel_seq: segment.seq.offset_from(event.seq_origin),
            rel_ack: acknowledges.then(|| segment.ack.offset_from(event.ack_origin)),
            isn: event.seq_origin.0,
            peer_isn: acknowledges.then_some(event.ack_origin.0),
            win: segment.window,
            urg: segment.urgent,
            len: segment.payload.len(),
            data_hex: hex(&segment.payload[..segment.payload.len().min(DATA)]),
            ip: Ip {
                ttl: ip.ttl,
                tos: ip.tos,
                id: v4.then_some(ip.id),
                df: v4.then_some(ip.dont_fragment),
                flow_label: (!v4).then_some(ip.flow_label),
            },
            options: segment.options.iter().map(Tagged::from).collect(),
            text: segment.relative_to(event.seq_origin, event.ack_origin).to_string(),
            special: event.note.map(Special::from),
        }
    }
}

impl From<&TcpOption> for Tagged {
    fn from(option: &TcpOption) -> Self {
        let meaning = match option {
            TcpOption::EndOfList(padding) => Meaning::Eol { data_hex: hex(padding) },
            TcpOption::Nop => Meaning::Nop,
            TcpOption::Mss(value) => Meaning::Mss { value: *value },
            TcpOption::WindowScale(shift) => Meaning::Wscale { shift: *shift },
            TcpOption::SackPermitted => Meaning::Sackok,
            TcpOption::Sack(blocks) => Meaning::Sack {
                blocks: blocks.iter().map(|(left, right)| [left.0, right.0]).collect(),
            },
            TcpOption::Timestamps { value, echo } => Meaning::Ts { val: *value, ecr: *echo },
            TcpOption::FastOpen(cookie) => Meaning::Fastopen { data_hex: hex(cookie) },
            TcpOption::Unknown { data, .. } => Meaning::Unknown { data_hex: hex(data) },
            TcpOption::Malformed(bytes) => Meaning::Malformed { data_hex: hex(bytes) },
        };
        Self { kind: option.kind(), meaning }
    }
}

impl From<Note> for Special {
    fn from(note: Note) -> Self {
        match note {
            Note::Retransmission(attempt) => Self::Retransmission { attempt },
            Note::Duplicate => Self::Duplicate,
            Note::Rejected(reason) => Self::Rejected { reason },
            Note::LocalKernel => Self::LocalKernel,
            Note::Held => Self::Held,
            Note::ChallengeAck => Self::ChallengeAck,
            Note::OutOfOrder => Self::OutOfOrder,
            Note::Late => Self::Late,
        }
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
