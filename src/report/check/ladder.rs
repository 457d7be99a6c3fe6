//! The segments of a check: time, arrow, packetdrill's notation, what it was sent for.
//!
//! ```text
//!    0.000 ms  ──▶ S 0:0(0) win 64240 <mss 1460>
//!   20.000 ms  ◀── S. 0:0(0) ack 1 win 65160 <mss 1460>
//!   20.000 ms  ──▶ F. 6:6(0) ack 1 win 64240   FIN, and five bytes before it missing
//!  720.000 ms      silence for 700 ms
//! ```
//!
//! Times count from the first segment, sequence numbers from the initial ones of their conversation,
//! timestamps from the first of each end; those that differ by their padding alone look alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Conversation, Entry, Step, Trace};
use crate::net::Dir;
use crate::report::human::paint::{Paint, Span, blank, width, wrap, wrap_text};
use crate::report::human::{Lines, Style};
use crate::report::sanitize;
use crate::report::units::{COLUMN, brief, column};
use crate::wire::{Flags, IpPayload, Packet, Segment, SeqNum, TcpOption, parse_ip};

/// Entries that are shown of a long trace: the first and the last ones.
const FIRST: usize = 14;
const LAST: usize = 25;
/// Bytes of a malformed segment that are shown.
const PREVIEW: usize = 24;

/// What a step is, and for a person.
struct Told {
    arrow: Span,
    text: Vec<Span>,
    /// A payload, where everything is to be shown.
    more: Option<String>,
}

/// The trace, moved right by `indent`.
pub(super) fn lines(trace: &Trace, indent: usize, style: &Style) -> Lines {
    let entries = in_order(trace);
    let Some(first) = entries.first() else { return Vec::new() };
    let speaking: BTreeSet<usize> = trace.entries.iter().map(|entry| entry.conversation).collect();
    let tags = speaking.len() > 1;
    let mut lines = if tags { legend(trace, &speaking, indent, style) } else { Vec::new() };
    let mut clocks: BTreeMap<usize, Clocks> = BTreeMap::new();
    let whole = style.verbosity > 1 || entries.len() <= FIRST + LAST + 1;
    for (number, entry) in entries.iter().enumerate() {
        let clocks = clocks.entry(entry.conversation).or_default();
        clocks.see(&entry.step);
        let left_out = entries.len().saturating_sub(FIRST + LAST);
        if !whole && number == FIRST {
            let text = format!("{left_out} more here, which -vv shows");
            lines.push(vec![blank(indent + COLUMN + 2), Span::new(text, Paint::Dim)]);
        }
        if !whole && (FIRST..FIRST + left_out).contains(&number) {
            continue;
        }
        let time = column(entry.stamp.at.signed_nanos_since(first.stamp.at), style.unicode);
        let mut margin = vec![blank(indent), Span::plain(format!("{time:>COLUMN$}  "))];
        if tags {
            let tag = format!("{:<3}", tag(entry.conversation));
            margin.push(Span::new(tag, Paint::Bold));
        }
        let ends = trace.conversations.get(entry.conversation).map(|ends| (ends, *clocks));
        lines.extend(step(entry, ends, margin, style));
    }
    lines
}

/// The entries by their stamps: they were noted in the order in which we came to hear of them, which
/// for several conversations at once may be another.
pub(super) fn in_order(trace: &Trace) -> Vec<&Entry> {
    let mut entries: Vec<&Entry> = trace.entries.iter().collect();
    entries.sort_by_key(|entry| entry.stamp.at);
    entries
}

/// Which conversation is which.
fn legend(trace: &Trace, speaking: &BTreeSet<usize>, indent: usize, style: &Style) -> Lines {
    let items = trace.conversations.iter().enumerate();
    let items = items.filter(|(number, _)| speaking.contains(number)).map(|(number, ends)| {
        let (ours, theirs) = (ends.local.port(), ends.remote.port());
        Span::new(format!("{} port {ours} to {theirs}", tag(number)), Paint::Dim)
    });
    let lines = wrap(items.collect(), ", ", style.columns().saturating_sub(indent));
    lines
        .into_iter()
        .map(|mut line| {
            line.insert(0, blank(indent));
            line
        })
        .collect()
}

/// `A` to `Z`, then `#26`.
fn tag(conversation: usize) -> String {
    match u8::try_from(conversation) {
        Ok(number @ 0..26) => char::from(b'A' + number).to_string(),
        _ => format!("#{conversation}"),
    }
}

/// One entry behind its margin, in as many lines as it takes.
fn step(
    entry: &Entry,
    ends: Option<(&Conversation, Clocks)>,
    margin: Vec<Span>,
    style: &Style,
) -> Lines {
    let Told { arrow, text, more } = told(&entry.step, ends, style);
    let left = width(&margin) + arrow.width() + 1;
    let room = style.columns().saturating_sub(left);
    let label = style.safe(entry.label);
    let mut rows = wrap(text, " ", room);
    if !label.is_empty() {
        let beside = width(rows.first().map_or(&[], Vec::as_slice)) + 3 + label.len() <= room;
        match rows.as_mut_slice() {
            [only] if beside => only.extend([blank(3), Span::new(label, Paint::Bold)]),
            _ => rows.extend(wrap_text(&label, Paint::Bold, room)),
        }
    }
    if let Some(more) = more {
        rows.extend(wrap_text(&more, Paint::Dim, room));
    }
    let mut margin = Some([margin, vec![arrow, blank(1)]].concat());
    rows.into_iter()
        .map(|row| {
            let mut line = margin.take().unwrap_or_else(|| vec![blank(left)]);
            line.extend(row);
            line
        })
        .collect()
}

fn told(step: &Step, ends: Option<(&Conversation, Clocks)>, style: &Style) -> Told {
    match step {
        Step::Segment { dir, packet: Some(packet), .. } => {
            let paint = flags_paint(packet);
            let text = match ends {
                Some((ends, clocks)) if !style.absolute => relative(*dir, packet, ends, clocks),
                _ => notation(*dir, packet, None),
            };
            // The options stay together, on a line of their own where there is no room.
            let (head, options) = text.split_once(" <").unwrap_or((&text, ""));
            let options = (!options.is_empty()).then(|| format!("<{options}"));
            let words = head.split(' ').map(str::to_owned).chain(options);
            let words = words.enumerate().map(|(number, word)| {
                Span::new(word, if number == 0 { paint } else { Paint::Plain })
            });
            let payload = &packet.segment.payload;
            let more = (style.verbosity > 1 && !payload.is_empty())
                .then(|| format!("\"{}\"", sanitize::bytes(payload, style.charset())));
            Told { arrow: arrow(Some(*dir), style), text: words.collect(), more }
        }
        Step::Segment { dir, packet: None, bytes } => {
            let text = words(&unreadable(bytes, style.verbosity > 1), Paint::Warn);
            Told { arrow: arrow(Some(*dir), style), text, more: None }
        }
        Step::Icmp { dir, error, .. } => {
            let text = format!("ICMP from {}: {}", error.from, error.describe());
            Told { arrow: arrow(Some(*dir), style), text: words(&text, Paint::Bad), more: None }
        }
        Step::Silence(time) => {
            let text = format!("silence for {}", brief(rounded(*time)));
            Told { arrow: arrow(None, style), text: words(&text, Paint::Dim), more: None }
        }
    }
}

/// To the millisecond: a silence ends when somebody looks.
fn rounded(time: std::time::Duration) -> std::time::Duration {
    if time.as_millis() == 0 {
        return time;
    }
    std::time::Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn words(text: &str, paint: Paint) -> Vec<Span> {
    text.split(' ').map(|word| Span::new(word, paint)).collect()
}

fn arrow(dir: Option<Dir>, style: &Style) -> Span {
    match (dir, style.unicode) {
        (Some(Dir::Tx), true) => Span::new("──▶", Paint::Tx),
        (Some(Dir::Tx), false) => Span::new("-->", Paint::Tx),
        (Some(Dir::Rx), true) => Span::new("◀──", Paint::Rx),
        (Some(Dir::Rx), false) => Span::new("<--", Paint::Rx),
        (None, _) => blank(3),
    }
}

fn flags_paint(packet: &Packet) -> Paint {
    let segment = &packet.segment;
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

/// The first timestamps of both ends: ours, theirs.
#[derive(Clone, Copy, Default)]
struct Clocks([Option<u32>; 2]);

impl Clocks {
    fn see(&mut self, step: &Step) {
        if let Step::Segment { dir, packet: Some(packet), .. } = step
            && let Some((value, _)) = packet.segment.timestamps()
        {
            self.0[usize::from(*dir == Dir::Rx)].get_or_insert(value);
        }
    }

    /// A timestamps option of a segment that went that way.
    fn told(self, dir: Dir, value: u32, echo: u32) -> String {
        let since = |origin: Option<u32>, number: u32| match origin {
            Some(origin) => i64::from(number.wrapping_sub(origin).cast_signed()),
            None => number.into(),
        };
        let (own, other) = if dir == Dir::Tx { (0, 1) } else { (1, 0) };
        // 0 is how a SYN says that it has nothing to echo.
        let echo = if echo == 0 { 0 } else { since(self.0[other], echo) };
        format!("TS val {} ecr {echo}", since(self.0[own], value))
    }
}

/// packetdrill's notation with everything counted from its beginning.
fn relative(dir: Dir, packet: &Packet, ends: &Conversation, clocks: Clocks) -> String {
    let segment = &packet.segment;
    let bare =
        Packet { segment: Segment { options: Vec::new(), ..segment.clone() }, ip: packet.ip };
    let text = notation(dir, &bare, Some(ends));
    let options = match segment.options.as_slice() {
        // How everybody pads it.
        [TcpOption::Nop, TcpOption::Nop, rest @ ..]
            if matches!(rest.first(), Some(TcpOption::Timestamps { .. })) =>
        {
            rest
        }
        all => all,
    };
    if options.is_empty() {
        return text;
    }
    let options: Vec<String> = options
        .iter()
        .map(|option| match option {
            TcpOption::Timestamps { value, echo } => clocks.told(dir, *value, *echo),
            other => other.to_string(),
        })
        .collect();
    format!("{text} <{}>", options.join(","))
}

/// packetdrill's notation; its numbers are counted from the initial ones of `ends`, or are those of
/// the wire.
pub(super) fn notation(dir: Dir, packet: &Packet, ends: Option<&Conversation>) -> String {
    let ours = ends.map_or(SeqNum(0), |ends| ends.iss);
    let theirs = ends.and_then(|ends| ends.irs).unwrap_or(SeqNum(0));
    match dir {
        Dir::Tx => packet.segment.relative_to(ours, theirs).to_string(),
        Dir::Rx => packet.segment.relative_to(theirs, ours).to_string(),
    }
}

/// What can be said of a packet whose TCP header cannot be read.
pub(super) fn unreadable(bytes: &[u8], whole: bool) -> String {
    let tcp = match parse_ip(bytes) {
        Ok((_, IpPayload::Tcp(tcp))) => tcp,
        _ => bytes,
    };
    let shown = if whole { tcp } else { &tcp[..tcp.len().min(PREVIEW)] };
    let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let rest = if shown.len() < tcp.len() { " and more" } else { "" };
    format!("malformed, {} bytes: {hex}{rest}", tcp.len())
}

/// What a step is, in one line: for programs, and for comments in captures.
pub(super) fn one_line(step: &Step, ends: Option<&Conversation>) -> String {
    match step {
        Step::Segment { dir, packet: Some(packet), .. } => notation(*dir, packet, ends),
        Step::Segment { packet: None, bytes, .. } => unreadable(bytes, false),
        Step::Icmp { error, .. } => format!("ICMP from {}: {}", error.from, error.describe()),
        Step::Silence(time) => format!("silence for {}", brief(rounded(*time))),
    }
}
