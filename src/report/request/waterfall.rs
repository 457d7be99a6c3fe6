//! Where each request's time went: in figures, and drawn to scale.

use std::time::Duration;

use super::{Course, Row};
use crate::report::human::paint::{Paint, Span, wrap_text};
use crate::report::human::{Lines, Style};
use crate::report::units::duration;
use crate::time::{Instant, nanos_of};

/// Columns left of the bars: number and connection.
const MARGIN: usize = 13;
/// Columns of a time in the table.
const CELL: usize = 8;

/// The times of a request.
const HEADS: [&str; 8] = ["DNS", "TCP", "TLS", "HERE", "SEND", "WAIT", "RECEIVE", "ALL, ms"];

/// The times of each request, in milliseconds; where there is little room, the telling ones.
pub(super) fn table(course: &Course, style: &Style) -> Lines {
    let head = |text: &str| Span::new(format!("{text:>CELL$}"), Paint::Dim);
    let shown =
        |index: &usize| !style.is_narrow() || matches!(HEADS[*index], "TCP" | "WAIT" | "ALL, ms");
    let mut heading = vec![Span::new(format!("{:>5} {:>6}", "#", "CONN"), Paint::Dim)];
    heading.extend((0..HEADS.len()).filter(shown).map(|index| head(HEADS[index])));
    let mut lines = vec![heading];
    for row in &course.rows {
        let times = row.times();
        let cells = [
            times.dns,
            times.tcp,
            times.tls,
            Some(times.blocked),
            times.send,
            times.wait,
            times.receive,
            row.complete.then_some(times.total),
        ];
        let mut line = vec![Span::plain(format!("{:>5} {:>6}", row.number, row.connection))];
        let cells = (0..HEADS.len()).filter(shown).map(|index| cells[index]);
        line.extend(cells.map(|cell| Span::plain(format!("{:>CELL$}", millis(cell, style)))));
        lines.push(line);
    }
    if course.more > 0 {
        let text = format!("{:>5} more", course.more);
        lines.push(vec![Span::new(text, Paint::Dim)]);
    }
    lines
}

/// Milliseconds with three decimals; from a second on with one.
pub(super) fn millis(time: Option<Duration>, style: &Style) -> String {
    let Some(time) = time else { return if style.unicode { "–" } else { "-" }.to_owned() };
    let micros = (nanos_of(time) + 500) / 1000;
    match micros {
        1_000_000.. => format!("{}.{}", micros / 1000, micros % 1000 / 100),
        _ => format!("{}.{:03}", micros / 1000, micros % 1000),
    }
}

/// One phase on a bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Dns,
    Tcp,
    Tls,
    Send,
    Wait,
    Receive,
    Close,
}

impl Phase {
    /// Its letter and how that is painted: told apart by the letter alone.
    const fn look(self) -> (char, Paint) {
        match self {
            Self::Dns => ('D', Paint::Dim),
            Self::Tcp => ('T', Paint::Opening),
            Self::Tls => ('S', Paint::Warn),
            Self::Send => ('>', Paint::Tx),
            Self::Wait => ('.', Paint::Dim),
            Self::Receive => ('=', Paint::Rx),
            Self::Close => ('F', Paint::Closing),
        }
    }
}

const LEGEND: &str = "D look-up of the name, T TCP handshake, S TLS handshake, > request, . wait \
                      for the first byte, = response, F close of the connection (FIN to the last \
                      segment); blank, and HERE in the table: in this program";

/// From the first thing that happened in a course to the last.
pub(super) fn span(course: &Course) -> Option<(Instant, Duration)> {
    let marks = || course.rows.iter().flat_map(|row| phases(course, row));
    let from = marks().map(|(_, from, _)| from).min()?;
    let to = marks().map(|(_, _, to)| to).max()?;
    Some((from, to.since(from)))
}

/// A bar for each request, all on one scale of which the whole is `whole`, with the close of each
/// connection behind the last request on it.
pub(super) fn draw(course: &Course, whole: Duration, style: &Style) -> Lines {
    let Some((from, _)) = span(course) else { return Vec::new() };
    let columns = style.text_columns() - MARGIN - 2;
    let mut lines = vec![Vec::new(), scale(whole, columns, style)];
    let edge = || Span::new(if style.unicode { "│" } else { "|" }, Paint::Dim);
    for row in &course.rows {
        let mut line =
            vec![Span::plain(format!("{:>5} {:>6} ", row.number, row.connection)), edge()];
        line.extend(bar(&phases(course, row), (from, whole), columns));
        line.push(edge());
        lines.push(line);
    }
    lines
}

/// What the letters mean.
pub(super) fn legend(style: &Style) -> Lines {
    wrap_text(LEGEND, Paint::Dim, style.text_columns())
}

/// The ends of the time axis.
fn scale(span: Duration, columns: usize, style: &Style) -> Vec<Span> {
    let end = duration(span, style.unicode);
    let gap = columns.saturating_sub(end.chars().count());
    vec![Span::new(
        format!("{:MARGIN$} 0{:gap$}{end}", "", "", gap = gap.saturating_sub(1)),
        Paint::Dim,
    )]
}

/// What happened to a request, in order.
fn phases(course: &Course, row: &Row) -> Vec<(Phase, Instant, Instant)> {
    let moments = &row.moments;
    let mut phases = Vec::new();
    if let Some(dns) = moments.dns {
        phases.push((Phase::Dns, moments.begun, moments.begun + dns));
    }
    phases.extend(moments.tcp.map(|(from, to)| (Phase::Tcp, from, to)));
    phases.extend(moments.tls.map(|(from, to)| (Phase::Tls, from, to)));
    phases.extend(moments.sent.map(|(from, to)| (Phase::Send, from, to)));
    let waits = moments.sent.zip(moments.first_byte);
    phases.extend(waits.map(|((_, from), to)| (Phase::Wait, from, to)));
    let receives = moments.first_byte.zip(moments.last_byte);
    phases.extend(receives.map(|(from, to)| (Phase::Receive, from, to)));
    let last = course.rows.iter().rfind(|other| other.connection == row.connection);
    if last.is_some_and(|last| last.number == row.number) {
        let close = course.closes.get(&row.connection);
        phases.extend(close.map(|(from, to)| (Phase::Close, *from, *to)));
    }
    phases
}

/// The letters of one bar. What is shorter than a column still has one, unless something longer
/// needs it.
fn bar(
    phases: &[(Phase, Instant, Instant)],
    (start, span): (Instant, Duration),
    columns: usize,
) -> Vec<Span> {
    let whole = u128::from(nanos_of(span).max(1));
    let place = |at: Instant| {
        let nanos = u128::from(nanos_of(at.since(start)));
        usize::try_from(nanos * columns as u128 / whole).unwrap_or(columns).min(columns)
    };
    let mut cells: Vec<Option<Phase>> = vec![None; columns];
    let mut short = Vec::new();
    for (phase, from, to) in phases {
        let (from, to) = (place(*from), place(*to));
        if from == to {
            short.push((*phase, from.min(columns.saturating_sub(1))));
        }
        cells[from..to].fill(Some(*phase));
    }
    for (phase, at) in short {
        // Its own column, unless what stands there has no other: then the next free one.
        let alone = |at: usize| {
            let here = cells.get(at).copied().flatten();
            let left = at.checked_sub(1).and_then(|left| cells[left]);
            here.is_some() && left != here && cells.get(at + 1).copied().flatten() != here
        };
        let free = || (at..columns.min(at + 4)).find(|column| cells[*column].is_none());
        let place = if alone(at) { free().unwrap_or(at) } else { at };
        if let Some(cell) = cells.get_mut(place) {
            *cell = Some(phase);
        }
    }
    cells
        .chunk_by(|left, right| left == right)
        .map(|run| match run[0] {
            Some(phase) => {
                let (letter, paint) = phase.look();
                Span::new(letter.to_string().repeat(run.len()), paint)
            }
            None => Span::plain(" ".repeat(run.len())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(phases: &[(Phase, u64, u64)], span: u64, columns: usize) -> String {
        let at = Instant::from_nanos;
        let phases: Vec<_> =
            phases.iter().map(|(phase, from, to)| (*phase, at(*from), at(*to))).collect();
        let spans = bar(&phases, (at(0), Duration::from_nanos(span)), columns);
        spans.into_iter().map(|span| span.text).collect()
    }

    #[test]
    fn a_bar_is_to_scale() {
        let phases = [
            (Phase::Tcp, 0, 50),
            (Phase::Send, 50, 60),
            (Phase::Wait, 60, 80),
            (Phase::Receive, 80, 100),
        ];
        assert_eq!(text(&phases, 100, 10), "TTTTT>..==");
        assert_eq!(text(&phases, 200, 10), "TT>.=     ");
    }

    #[test]
    fn what_is_too_short_for_a_column_still_shows() {
        let phases = [(Phase::Tcp, 0, 10), (Phase::Send, 10, 10), (Phase::Wait, 10, 100)];
        let shown = text(&phases, 100, 10);
        assert_eq!(shown.len(), 10);
        assert!(shown.contains('>'), "{shown}");
        assert_eq!(text(&[(Phase::Close, 100, 100)], 100, 5), "    F");
    }
}
