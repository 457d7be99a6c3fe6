//! An ICMP error in the ladder: it comes from somewhere between the two ends, or from the far one.

use super::Style;
use super::ladder::{INDENT, Row, interior};
use super::paint::{Paint, Span, width, wrap_text};
use crate::tcp::state::End;
use crate::wire::{IcmpError, IcmpKind};

/// The rows between the lifelines. `from_target`: the far end itself sent it.
pub(super) fn interior_rows(
    error: &IcmpError,
    rejected: Option<&str>,
    from_target: bool,
    ours: End,
    style: &Style,
) -> Vec<Row> {
    let room = interior(style);
    let glyphs = if style.unicode { ["─", "◀", "✗", "┤"] } else { ["-", "<", "x", "|"] };
    let [shaft, arrow, cross, tail] = glyphs;
    let paint = if rejected.is_some() { Paint::Warn } else { Paint::Bad };
    let label = format!("{} from {}", short(error), error.from);
    let head = if rejected.is_some() { cross } else { arrow };
    let mut between = vec![
        Span::new(format!("{head}{} ", shaft.repeat(INDENT - 2)), paint),
        Span::new(label, paint),
    ];
    let rest = room.saturating_sub(width(&between) + 1);
    // A router stands somewhere between the ends: its arrow does not begin at the far lifeline.
    let length = if from_target { rest } else { rest.min(3) };
    between.push(Span::new(format!(" {}", shaft.repeat(length)), paint));
    if style.is_narrow() {
        let text = format!("{} {} from {}", arrow_of(style, ours), short(error), error.from);
        let text = if rejected.is_some() { format!("{cross} {text}") } else { text };
        let mut rows: Vec<Row> = wrap_text(&text, paint, room).into_iter().map(Row::text).collect();
        rows.extend(details(error, rejected, style));
        return rows;
    }
    let tail = (from_target && rest > 0).then(|| Span::new(tail, paint));
    let row = match ours {
        End::Client => Row { client: None, between, server: tail },
        End::Server => towards_server(error, rejected.is_some(), tail, paint, style),
    };
    let mut rows = vec![row];
    rows.extend(details(error, rejected, style));
    rows
}

/// To the end that is us.
const fn arrow_of(style: &Style, ours: End) -> &'static str {
    style.towards(matches!(ours, End::Server))
}

/// What it means, and why it changed nothing, where it did not.
fn details(error: &IcmpError, rejected: Option<&str>, style: &Style) -> Vec<Row> {
    let columns = interior(style) - INDENT - 1;
    let why = rejected.map(|reason| (format!("rejected: {}", style.reason(reason)), Paint::Warn));
    std::iter::once((explain(error), Paint::Plain))
        .chain(why)
        .flat_map(|(text, paint)| wrap_text(&text, paint, columns))
        .map(Row::detail)
        .collect()
}

/// The same arrow, to the lifeline on the right.
fn towards_server(
    error: &IcmpError,
    stopped: bool,
    tail: Option<Span>,
    paint: Paint,
    style: &Style,
) -> Row {
    let glyphs = if style.unicode { ["─", "▶", "✗", "├"] } else { ["-", ">", "x", "|"] };
    let [shaft, arrow, cross, left_tail] = glyphs;
    let label = format!(" {} from {} ", short(error), error.from);
    let taken = INDENT - 1 + label.chars().count() + 1;
    let rest = interior(style).saturating_sub(taken);
    let length = if tail.is_some() { rest } else { rest.min(3) };
    let lead = if tail.is_some() { shaft } else { " " };
    let between = vec![
        Span::plain(" ".repeat(rest - length)),
        Span::new(lead.repeat(INDENT - 1), paint),
        Span::new(label, paint),
        Span::new(shaft.repeat(length), paint),
        Span::new(if stopped { cross } else { arrow }, paint),
    ];
    Row { client: tail.map(|tail| Span::new(left_tail, tail.paint)), between, server: None }
}

/// `ICMP 3/13`: type and code.
pub(super) fn short(error: &IcmpError) -> String {
    let family = if error.from.is_ipv4() { "ICMP" } else { "ICMPv6" };
    format!("{family} {}/{}", error.icmp_type, error.code)
}

fn explain(error: &IcmpError) -> String {
    let mtu = match error.kind {
        IcmpKind::TooBig(mtu @ 1..) => format!(", next link's MTU {mtu}"),
        _ => String::new(),
    };
    format!("{}{mtu}, ttl={}", error.describe(), error.ttl)
}
