//! The ladder: time on the left, two lifelines, an arrow for each segment, and each end's moves at
//! its own lifeline.
//!
//! ```text
//! |<- since start | since previous ->| client's lifeline |<- interior ->| server's lifeline |
//! ```
//!
//! On a terminal of fewer than 80 columns nothing is drawn: the same steps stand below each other,
//! each with its time, and arrows `→` to the server or `←` to the client before the segments.
//!
//! Every event is drawn by itself, the moment it comes; what it adds to the memory is only the time
//! of the previous step and the two window scales.

use super::icmp;
use super::label::{Label, Placed};
use super::paint::{Paint, Span, blank, width, wrap, wrap_text};
use super::{Lines, Style, hang};
use crate::event::{Event, Note, Run, SegmentEvent};
use crate::net::Dir;
use crate::report::request;
use crate::report::units::{COLUMN, column};
use crate::tcp::state::{Cause, End, Known, State, Transition};
use crate::time::Instant;
use crate::wire::Flags;

/// Columns left of the client's lifeline: two times, each with its sign and a blank.
const MARGIN: usize = 2 * (COLUMN + 1) + 3;
/// Columns left of what is written instead of drawn: one time, and a blank.
const NARROW_MARGIN: usize = COLUMN + 2;
/// Columns from a lifeline to the text beside it, which is where an arrow's label begins.
pub(super) const INDENT: usize = 4;

/// What a flow's ladder remembers from one event to the next.
#[derive(Debug)]
pub(super) struct Ladder {
    start: Instant,
    /// When the previous step was, by a clock and not by estimate.
    previous: Instant,
    /// Window scale shifts of the two SYNs: ours, theirs.
    shifts: [Option<u8>; 2],
}

impl Ladder {
    pub(super) const fn new(start: Instant) -> Self {
        Self { start, previous: start, shifts: [None; 2] }
    }

    /// The lines of one step of the protocol.
    pub(super) fn draw(&mut self, event: &Event, run: &Run, style: &Style) -> Lines {
        match event {
            Event::Segment(segment) => self.segment(segment, run.end, style),
            Event::Icmp { at, error, rejected, .. } => {
                let margin = self.step(at.at, style);
                let to_lifeline = error.from == run.target.ip();
                let drawn = icmp::interior_rows(error, *rejected, to_lifeline, run.end, style);
                rows(margin, drawn, style)
            }
            Event::Transition(transition) => self.transition(transition, style),
            Event::Http(step) => {
                let (text, paint) = request::cargo(&step.what, style);
                let wrapped = wrap_text(&text, paint, interior(style) - INDENT - 1);
                rows(blank_margin(), wrapped.into_iter().map(Row::detail).collect(), style)
            }
            Event::Confirmed { at, end, state, cause, .. } => {
                let margin = self.step(*at, style);
                let tick = if style.unicode { " ✓ " } else { " + " };
                let text =
                    vec![state_span(*state), Span::new(format!("{tick}now proved"), Paint::Good)];
                rows(margin, beside(*end, Known::Proved, text, *cause, style), style)
            }
            Event::Retracted { at, end, believed, state, cause } => {
                let margin = self.step(*at, style);
                let text = vec![
                    Span::new(format!("not {believed} after all: still "), Paint::Warn),
                    state_span(*state),
                ];
                rows(margin, beside(*end, Known::Proved, text, *cause, style), style)
            }
            _ => Vec::new(),
        }
    }

    fn segment(&mut self, event: &SegmentEvent, ours: End, style: &Style) -> Lines {
        let segment = &event.packet.segment;
        let sender = usize::from(event.dir == Dir::Rx);
        let accepted = !matches!(event.note, Some(Note::Rejected(_) | Note::LocalKernel));
        if segment.has(Flags::SYN) && accepted {
            self.shifts[sender] = segment.window_scale();
        }
        // Scaling is in use when both offered it, and never in a SYN (RFC 7323 §2.2).
        let both = self.shifts.iter().all(Option::is_some) && !segment.has(Flags::SYN);
        let shift = if both { self.shifts[sender] } else { None };
        let margin = self.step(event.stamp.at, style);
        rows(margin, arrow(event, ours, Label::new(event, shift, style), style), style)
    }

    fn transition(&mut self, transition: &Transition, style: &Style) -> Lines {
        let Transition { at, end, from, to, cause, known } = *transition;
        let margin = match (cause, known) {
            (Cause::Start, _) => blank_margin(),
            (_, Known::Own) => self.step(at, style),
            _ => self.estimate(at, style),
        };
        let text = if cause == Cause::Start {
            vec![state_span(to)]
        } else {
            let from = Span::new(format!("{from} {} ", style.becomes()), Paint::Dim);
            vec![from, state_span(to)]
        };
        let word = match known {
            Known::Own => None,
            Known::Proved => Some(Span::new("  proved", Paint::Good)),
            Known::Implied => Some(Span::new("  implied", Paint::Warn)),
            Known::Assumed => Some(Span::new("  assumed", Paint::Dim)),
        };
        let text = text.into_iter().chain(word).collect();
        rows(margin, beside(end, known, text, cause, style), style)
    }

    /// The two times of a step that a clock measured.
    fn step(&mut self, at: Instant, style: &Style) -> Vec<Span> {
        let since_start = column(at.signed_nanos_since(self.start), style.unicode);
        let nanos = at.signed_nanos_since(self.previous);
        self.previous = at;
        let since_previous = match nanos {
            0 => String::new(),
            1.. => format!("+{}", column(nanos, style.unicode).trim_start()),
            _ => column(nanos, style.unicode),
        };
        margin(&since_start, &since_previous)
    }

    /// The time of a move of the far end, which no clock saw.
    fn estimate(&self, at: Instant, style: &Style) -> Vec<Span> {
        let since_start = column(at.signed_nanos_since(self.start), style.unicode);
        let mut spans = margin(&format!("~{}", since_start.trim_start()), "");
        spans[0].paint = Paint::Dim;
        spans
    }
}

fn margin(since_start: &str, since_previous: &str) -> Vec<Span> {
    let columns = COLUMN + 1;
    vec![
        Span::plain(format!("{since_start:>columns$}")),
        Span::new(format!(" {since_previous:>columns$}  "), Paint::Dim),
    ]
}

fn blank_margin() -> Vec<Span> {
    vec![blank(MARGIN)]
}

/// The names of the columns.
pub(super) fn heading(style: &Style) -> Lines {
    let columns = COLUMN + 1;
    if style.is_narrow() {
        let (to, from) = (style.towards(true), style.towards(false));
        let text = format!("SINCE START, ~ = estimated; {to} to the server, {from} to the client");
        return wrap_text(&text, Paint::Dim, style.text_columns());
    }
    let (client, legend, server) = ("CLIENT", "~ = estimated", "SERVER");
    let gap = style.columns() - MARGIN - client.len() - legend.len() - server.len();
    let text = format!("{:>columns$} {:>columns$}  ", "SINCE START", "STEP");
    vec![vec![
        Span::new(text, Paint::Dim),
        Span::new(client, Paint::Bold),
        blank(gap / 2),
        Span::new(legend, Paint::Dim),
        blank(gap - gap / 2),
        Span::new(server, Paint::Bold),
    ]]
}

/// Columns between the lifelines, or beside the time where there are none.
pub(super) fn interior(style: &Style) -> usize {
    if style.is_narrow() {
        style.text_columns() - NARROW_MARGIN
    } else {
        style.columns() - MARGIN - 2
    }
}

/// One row between the lifelines, with what stands on each of them.
pub(super) struct Row {
    pub(super) client: Option<Span>,
    pub(super) between: Vec<Span>,
    pub(super) server: Option<Span>,
}

impl Row {
    /// Text from the left on, nothing on the lifelines.
    pub(super) fn text(between: Vec<Span>) -> Self {
        Self { client: None, between, server: None }
    }

    /// Text at the labels' indent, nothing on the lifelines.
    pub(super) fn detail(text: Vec<Span>) -> Self {
        let mut between = vec![blank(INDENT)];
        between.extend(text);
        Self { client: None, between, server: None }
    }
}

/// Puts the margin before the first row, blanks before the others, lifelines around all.
fn rows(mut first_margin: Vec<Span>, rows: Vec<Row>, style: &Style) -> Lines {
    if style.is_narrow() {
        // The time since the start; that since the previous step has no room.
        first_margin.truncate(1);
        if width(&first_margin) > NARROW_MARGIN {
            first_margin.clear();
        }
        first_margin.push(blank(NARROW_MARGIN - width(&first_margin)));
        let mut margin = Some(first_margin);
        let before = |row: Row| {
            let mut line = margin.take().unwrap_or_else(|| vec![blank(NARROW_MARGIN)]);
            line.extend(row.between);
            line
        };
        return rows.into_iter().map(before).collect();
    }
    let lifeline = || Span::new(if style.unicode { "│" } else { "|" }, Paint::Dim);
    let mut margin = Some(first_margin);
    rows.into_iter()
        .map(|row| {
            let mut line = margin.take().unwrap_or_else(blank_margin);
            line.push(row.client.unwrap_or_else(lifeline));
            let fill = interior(style).saturating_sub(width(&row.between));
            line.extend(row.between);
            line.push(blank(fill));
            line.push(row.server.unwrap_or_else(lifeline));
            line
        })
        .collect()
}

/// Lines of text between the lifelines, below a step.
pub(super) fn between(lines: Lines, style: &Style) -> Lines {
    rows(blank_margin(), lines.into_iter().map(Row::detail).collect(), style)
}

fn state_span(state: State) -> Span {
    Span::new(state.name(), Paint::Bold)
}

/// Text about one end beside its lifeline: to the right of the client's, to the left of the
/// server's. The cause follows where there is room for it.
fn beside(end: End, known: Known, mut text: Vec<Span>, cause: Cause, style: &Style) -> Vec<Row> {
    if style.is_narrow() {
        return told(end, known, text, cause, style);
    }
    let room = interior(style) - 2;
    if cause != Cause::Start {
        let separator = if known == Known::Own { "  " } else { ", " };
        let cause = Span::new(format!("{separator}{cause}"), Paint::Dim);
        if width(&text) + cause.width() <= room {
            text.push(cause);
        }
    }
    let mark = Some(mark(known, style));
    let row = match end {
        End::Client => {
            text.insert(0, blank(1));
            Row { client: mark, between: text, server: None }
        }
        End::Server => {
            text.insert(0, blank((room + 1).saturating_sub(width(&text))));
            text.push(blank(1));
            Row { client: None, between: text, server: mark }
        }
    };
    vec![row]
}

/// The same where nothing is drawn, with the name of the end.
fn told(end: End, known: Known, text: Vec<Span>, cause: Cause, style: &Style) -> Vec<Row> {
    let head =
        Span::new(format!("{} {}", mark(known, style).text, end.name()), mark(known, style).paint);
    let cause = (cause != Cause::Start).then(|| Span::new(format!("({cause})"), Paint::Dim));
    let trimmed = text.into_iter().map(|it| Span::new(it.text.trim().to_owned(), it.paint));
    let words = std::iter::once(head).chain(trimmed).chain(cause).collect();
    hang(wrap(words, " ", interior(style) - 2), 2).into_iter().map(Row::text).collect()
}

/// A full point for what is known, a half one for what is implied, an empty one for what is assumed.
fn mark(known: Known, style: &Style) -> Span {
    let (unicode, ascii, paint) = match known {
        Known::Own | Known::Proved => ("●", "*", Paint::Good),
        Known::Implied => ("◐", "o", Paint::Warn),
        Known::Assumed => ("○", ".", Paint::Dim),
    };
    Span::new(if style.unicode { unicode } else { ascii }, paint)
}

/// The arrow of a segment with its label, and below it what the label had no room for.
fn arrow(event: &SegmentEvent, ours: End, label: Label, style: &Style) -> Vec<Row> {
    let room = interior(style);
    let paint = if event.dir == Dir::Tx { Paint::Tx } else { Paint::Rx };
    // The client is on the left, whoever that is.
    let outward = (event.dir == Dir::Tx) == (ours == End::Client);
    if style.is_narrow() {
        let head = Span::new(format!("{} ", style.towards(outward)), paint);
        let Placed { on_arrow, note, below } = label.place(room - head.width());
        let row = Row::text(std::iter::once(head).chain(on_arrow).collect());
        return below_arrow(row, note, below, style);
    }
    // Two more for the blank behind the label, a piece of shaft and the head.
    let Placed { on_arrow, note, below } = label.place(room - INDENT - 3);
    let shaft = room - INDENT - 2 - width(&on_arrow);
    let glyphs = Glyphs::of(event, outward, style);
    let line = |columns: usize| glyphs.shaft.repeat(columns);
    let head = Span::new(glyphs.head, if glyphs.stopped { Paint::Bad } else { paint });
    let mut row = Row { client: None, between: Vec::new(), server: None };
    if outward {
        row.client = Some(Span::new(glyphs.tail, paint));
        row.between.push(Span::new(line(INDENT - 1) + " ", paint));
        row.between.extend(on_arrow);
        row.between.push(Span::new(format!(" {}", line(shaft)), paint));
        row.between.push(head);
    } else {
        row.between.push(head);
        row.between.push(Span::new(line(INDENT - 2) + " ", paint));
        row.between.extend(on_arrow);
        row.between.push(Span::new(format!(" {}", line(shaft + 1)), paint));
        row.server = Some(Span::new(glyphs.tail, paint));
    }
    below_arrow(row, note, below, style)
}

/// An arrow's row, and below it what its label had no room for.
fn below_arrow(row: Row, note: Option<Span>, below: Vec<Span>, style: &Style) -> Vec<Row> {
    let columns = interior(style) - INDENT - 1;
    let note = note.map(|note| wrap_text(&note.text, note.paint, columns)).unwrap_or_default();
    let details = note.into_iter().chain(wrap(below, ", ", columns)).map(Row::detail);
    std::iter::once(row).chain(details).collect()
}

/// What an arrow is drawn with.
struct Glyphs {
    shaft: &'static str,
    head: &'static str,
    tail: &'static str,
    /// It did not go where it was to go, or was turned away there.
    stopped: bool,
}

impl Glyphs {
    fn of(event: &SegmentEvent, outward: bool, style: &Style) -> Self {
        let stopped = matches!(event.note, Some(Note::Rejected(_) | Note::Held));
        let held = event.note == Some(Note::Held);
        let pick = |unicode, ascii| if style.unicode { unicode } else { ascii };
        let (shaft, tail) = match (held, outward) {
            (true, true) => (pick("╌", "."), pick("├", "|")),
            (true, false) => (pick("╌", "."), pick("┤", "|")),
            (false, true) => (pick("─", "-"), pick("├", "|")),
            (false, false) => (pick("─", "-"), pick("┤", "|")),
        };
        let head = match (stopped, outward) {
            (true, _) => pick("✗", "x"),
            (false, true) => pick("▶", ">"),
            (false, false) => pick("◀", "<"),
        };
        Self { shaft, head, tail, stopped }
    }
}
