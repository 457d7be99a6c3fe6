//! Reads the stream back into events: what a program that draws the ladder has to do.

use std::net::SocketAddr;

use serde_json::Value;

use crate::event::{Event, Note, Notice, Run, SegmentEvent, Severity};
use crate::net::{Dir, GuardKind};
use crate::tcp::state::{Cause, End, Known, State, Transition};
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{
    Flags, IcmpError, IcmpKind, IpHeader, Packet, Quote, Segment, SeqNum, TcpOption,
};

/// Where the redrawn ladder's axis begins: any moment will do.
const ORIGIN: u64 = 3_000_000_000;

/// The events of one flow, without results.
pub(super) fn events(stream: &str) -> Vec<Event> {
    let records = stream.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut run = None;
    records.filter_map(|record| event(&Record(record), &mut run)).collect()
}

struct Record(Value);

impl Record {
    fn text(&self, field: &str) -> String {
        self.0[field].as_str().unwrap_or_else(|| panic!("{field} in {}", self.0)).to_owned()
    }

    fn number(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_else(|| panic!("{field} in {}", self.0))
    }

    fn number_or_0(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or(0)
    }

    fn at(&self) -> Instant {
        let at = self.0["at_ns"].as_i64().unwrap();
        Instant::from_nanos(ORIGIN.checked_add_signed(at).unwrap())
    }

    fn stamp(&self) -> Stamp {
        let clocks = [Clock::Hardware, Clock::Kernel, Clock::User, Clock::Virtual];
        Stamp { at: self.at(), clock: named(&self.text("clock"), clocks, Clock::name) }
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        let text = self.0[field].as_str().unwrap_or_default();
        let pairs = text.as_bytes().chunks(2);
        pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn part(&self, field: &str) -> Self {
        Self(self.0[field].clone())
    }

    fn address(&self) -> SocketAddr {
        let port = u16::try_from(self.number("port")).unwrap();
        SocketAddr::new(self.text("addr").parse().unwrap(), port)
    }

    fn state(&self, field: &str) -> State {
        named(&self.text(field), State::ALL, State::name)
    }

    fn end(&self) -> End {
        named(&self.text("end"), [End::Client, End::Server], End::name)
    }

    fn known(&self) -> Known {
        let all = [Known::Assumed, Known::Implied, Known::Proved, Known::Own];
        named(&self.text("known"), all, Known::name)
    }

    fn cause(&self) -> Cause {
        let text = self.text("cause");
        if let Some(flags) = text.strip_suffix(" sent") {
            return Cause::Sent(flags_of(flags.split('+')));
        }
        if let Some(flags) = text.strip_suffix(" received") {
            return Cause::Received(flags_of(flags.split('+')));
        }
        let all = [
            Cause::Start,
            Cause::ActiveOpen,
            Cause::PassiveOpen,
            Cause::Close,
            Cause::Abort,
            Cause::TimeWaitExpired,
            Cause::GaveUp,
            Cause::Icmp,
        ];
        all.into_iter().find(|cause| cause.to_string() == text).unwrap()
    }
}

fn named<T: Copy, const N: usize>(text: &str, all: [T; N], name: impl Fn(T) -> &'static str) -> T {
    all.into_iter().find(|value| name(*value) == text).unwrap_or_else(|| panic!("{text}"))
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn flags_of<'a>(names: impl Iterator<Item = &'a str>) -> Flags {
    names.fold(Flags::NONE, |flags, name| {
        let all = (0..12).map(|bit| Flags::from_bits(1 << bit));
        let bit = all.into_iter().find(|bit| bit.names().eq([name])).unwrap();
        flags | bit
    })
}

fn event(record: &Record, run: &mut Option<Run>) -> Option<Event> {
    Some(match record.text("type").as_str() {
        "run" => Event::Run(run.insert(begin(record)).clone()),
        "segment" => Event::Segment(Box::new(segment(record, run.as_ref().unwrap()))),
        "icmp" => Event::Icmp {
            at: record.stamp(),
            error: icmp(record),
            rejected: record.0["rejected"].as_str().map(|reason| leak(reason.to_owned())),
            bytes: Vec::new(),
        },
        "transition" => Event::Transition(Transition {
            at: record.at(),
            end: record.end(),
            from: record.state("from"),
            to: record.state("to"),
            cause: record.cause(),
            known: record.known(),
        }),
        "confirmed" => Event::Confirmed {
            at: record.at(),
            end: record.end(),
            state: record.state("state"),
            cause: record.cause(),
            known: record.known(),
        },
        "retracted" => Event::Retracted {
            at: record.at(),
            end: record.end(),
            believed: record.state("believed"),
            state: record.state("state"),
            cause: record.cause(),
        },
        "notice" => Event::Notice(Notice {
            at: record.at(),
            severity: match record.text("severity").as_str() {
                "info" => Severity::Info,
                "warning" => Severity::Warning,
                _ => Severity::Error,
            },
            code: leak(record.text("code")),
            text: record.text("text"),
        }),
        _ => return None,
    })
}

fn begin(record: &Record) -> Run {
    let guards = [GuardKind::Filter, GuardKind::MinTtl, GuardKind::Unneeded];
    Run {
        command: leak(record.text("command")),
        name: record.part("target").text("name"),
        target: record.part("target").address(),
        source: record.part("source").address(),
        interface: record.text("interface"),
        clock: record.stamp().clock,
        end: End::Client,
        guard: named(&record.text("guard"), guards, GuardKind::name),
        at: record.at(),
        unix_ns: record.0["unix_ns"].as_i64(),
    }
}

#[allow(clippy::cast_possible_truncation)] // a field that is too large would differ in the ladder
fn segment(record: &Record, run: &Run) -> SegmentEvent {
    let dir = if record.text("dir") == "tx" { Dir::Tx } else { Dir::Rx };
    let (from, to) = match dir {
        Dir::Tx => (run.source, run.target),
        Dir::Rx => (run.target, run.source),
    };
    let names = record.0["flags"].as_array().unwrap();
    let mut payload = record.bytes("data_hex");
    // The rest of a long payload is not in the stream, and not in the ladder.
    payload.resize(record.number("len") as usize, 0);
    let options = record.0["options"].as_array().unwrap();
    let segment = Segment {
        src_port: from.port(),
        dst_port: to.port(),
        seq: SeqNum(record.number("seq") as u32),
        ack: SeqNum(record.number("ack") as u32),
        flags: flags_of(names.iter().map(|name| name.as_str().unwrap())),
        window: record.number("win") as u16,
        urgent: record.number("urg") as u16,
        options: options.iter().map(|option| option_of(&Record(option.clone()))).collect(),
        payload,
    };
    let ip = IpHeader {
        src: from.ip(),
        dst: to.ip(),
        ttl: record.number("ttl") as u8,
        tos: record.number("tos") as u8,
        id: record.number_or_0("id") as u16,
        dont_fragment: record.0["df"].as_bool().unwrap_or(true),
        flow_label: record.number_or_0("flow_label") as u32,
    };
    SegmentEvent {
        dir,
        stamp: record.stamp(),
        packet: Packet { ip, segment },
        seq_origin: SeqNum(record.number("isn") as u32),
        ack_origin: SeqNum(record.number_or_0("peer_isn") as u32),
        note: record.0["note"].as_str().map(|note| note_of(note, record)),
        bytes: None,
    }
}

#[allow(clippy::cast_possible_truncation)]
fn note_of(note: &str, record: &Record) -> Note {
    match note {
        "retransmission" => Note::Retransmission(record.number("attempt") as u32),
        "duplicate" => Note::Duplicate,
        "rejected" => Note::Rejected(leak(record.text("reason"))),
        "local-kernel" => Note::LocalKernel,
        "held" => Note::Held,
        "challenge-ack" => Note::ChallengeAck,
        "out-of-order" => Note::OutOfOrder,
        "late" => Note::Late,
        other => panic!("{other}"),
    }
}

#[allow(clippy::cast_possible_truncation)]
fn option_of(option: &Record) -> TcpOption {
    let data = option.bytes("data_hex");
    match option.text("name").as_str() {
        "eol" => TcpOption::EndOfList(data),
        "nop" => TcpOption::Nop,
        "mss" => TcpOption::Mss(option.number("value") as u16),
        "wscale" => TcpOption::WindowScale(option.number("shift") as u8),
        "sackok" => TcpOption::SackPermitted,
        "sack" => {
            let edge = |edge: &Value| SeqNum(edge.as_u64().unwrap() as u32);
            let blocks = option.0["blocks"].as_array().unwrap();
            TcpOption::Sack(blocks.iter().map(|pair| (edge(&pair[0]), edge(&pair[1]))).collect())
        }
        "ts" => TcpOption::Timestamps {
            value: option.number("val") as u32,
            echo: option.number("ecr") as u32,
        },
        "fastopen" => TcpOption::FastOpen(data),
        "unknown" => TcpOption::Unknown { kind: option.number("kind") as u8, data },
        "malformed" => TcpOption::Malformed(data),
        other => panic!("{other}"),
    }
}

#[allow(clippy::cast_possible_truncation)]
fn icmp(record: &Record) -> IcmpError {
    let quote = record.part("quote");
    IcmpError {
        from: record.text("from").parse().unwrap(),
        ttl: record.number("ttl") as u8,
        icmp_type: record.number("icmp_type") as u8,
        code: record.number("code") as u8,
        kind: match record.text("kind").as_str() {
            "unreachable" => IcmpKind::Unreachable,
            "port-unreachable" => IcmpKind::PortUnreachable,
            "prohibited" => IcmpKind::Prohibited,
            "time-exceeded" => IcmpKind::TimeExceeded,
            "too-big" => IcmpKind::TooBig(record.number_or_0("mtu") as u32),
            "parameter-problem" => IcmpKind::ParameterProblem,
            _ => IcmpKind::Other,
        },
        quote: Quote {
            src: quote.text("src").parse().unwrap(),
            dst: quote.text("dst").parse().unwrap(),
            src_port: quote.number("src_port") as u16,
            dst_port: quote.number("dst_port") as u16,
            seq: SeqNum(quote.number("seq") as u32),
        },
    }
}
