//! A line for each target or source port, in as many columns as there is room for.

use unicode_width::UnicodeWidthStr;

use super::summary::figures;
use crate::report::human::Style;
use crate::report::human::paint::{Paint, Span, head_within, render};
use crate::stats::{Account, Counts, Figures, Phase};

/// Columns of a name that stay, whatever else must go.
const NAME: usize = 16;

/// One line.
pub(super) struct Row<'a> {
    name: &'a str,
    counts: &'a Counts,
    figures: Figures,
}

impl<'a> Row<'a> {
    pub(super) fn new(name: &'a str, account: &'a Account) -> Self {
        Self { name, counts: account.counts(), figures: figures(account, Phase::Handshake) }
    }
}

/// A number of probes.
type Number = fn(&Counts) -> u64;

/// What stands in a row.
type Cell = Box<dyn Fn(&Row<'_>) -> String>;

/// A column: its head, how soon it goes where there is no room (0 never), and how a cell reads. Cells
/// are written twice, to be measured and to be shown: kept, those of a million rows would fill the
/// memory.
struct Column {
    head: &'static str,
    goes: u8,
    cell: Cell,
    /// Columns of the widest cell.
    width: usize,
}

impl Column {
    fn new(head: &'static str, goes: u8, rows: &[Row<'_>], cell: Cell) -> Self {
        let widest = rows.iter().map(|row| cell(row).width()).max().unwrap_or(0);
        Self { head, goes, cell, width: widest.max(head.len()) }
    }
}

/// The table, and a line that says where most probes were lost. `what` the names are of.
pub(super) fn overview(rows: &[Row<'_>], what: &str, style: &Style) -> String {
    let worst = worst(rows);
    let widths = rows.iter().map(|row| style.safe(row.name).width());
    let longest = widths.chain([what.len()]).max().unwrap_or(0);
    let columns = fitting(columns(rows, style), style.columns() - 2 - longest.min(NAME));
    let taken: usize = columns.iter().map(|column| column.width + 1).sum();
    let room = longest.min(style.columns().saturating_sub(2 + taken)).max(1);
    let heads = columns.iter().map(|column| pad(column.head, column.width));
    let head = Span::new(format!("  {what:<room$}{}", heads.collect::<String>()), Paint::Bold);
    let mut text = render(&[head], style.color) + "\n";
    for (number, row) in rows.iter().enumerate() {
        let cells: String =
            columns.iter().map(|column| pad(&(column.cell)(row), column.width)).collect();
        let name = shortened(&style.safe(row.name), room, style.unicode);
        let gap = " ".repeat(room.saturating_sub(name.width()));
        let is_worst = worst.is_some_and(|(at, _)| at == number);
        let (mark, paint) = if is_worst { ("! ", Paint::Bad) } else { ("  ", Paint::Plain) };
        let line = [Span::new(mark, paint), Span::new(format!("{name}{gap}{cells}"), paint)];
        text += &render(&line, style.color);
        text.push('\n');
    }
    if let Some((at, _)) = worst {
        text += &format!("! loses most: {}\n", loss(rows[at].counts));
    }
    text
}

/// The row that loses most, where one does.
fn worst(rows: &[Row<'_>]) -> Option<(usize, f64)> {
    let lossy = rows.iter().enumerate().filter_map(|(number, row)| {
        row.counts.unanswered_percent().filter(|percent| *percent > 0.0).map(|p| (number, p))
    });
    // The first of equals.
    lossy.reduce(|most, next| if next.1 > most.1 { next } else { most })
}

fn columns(rows: &[Row<'_>], style: &Style) -> Vec<Column> {
    let column = |head, goes, cell| Column::new(head, goes, rows, cell);
    let unicode = style.unicode;
    let time = |read: fn(&Figures) -> Option<u64>| -> Cell {
        Box::new(move |row| {
            read(&row.figures).map_or_else(|| "-".to_owned(), |nanos| short(nanos, unicode))
        })
    };
    let number = |read: Number| -> Cell { Box::new(move |row| read(row.counts).to_string()) };
    let mut columns = vec![
        column("sent", 0, number(|c| c.sent)),
        column("recv", 4, number(Counts::received)),
        column("loss", 0, Box::new(|row| loss(row.counts))),
        column("min", 1, time(|f| f.min_ns)),
        column("avg", 0, time(|f| f.avg_ns)),
        column("p50", 2, time(|f| f.p50_ns)),
        column("p99", 0, time(|f| f.p99_ns)),
        column("max", 3, time(|f| f.max_ns)),
    ];
    let rare: [(_, Number); 4] = [
        ("late", |c| c.late),
        ("dup", |c| c.duplicates),
        ("rst", |c| c.refused),
        ("icmp", |c| c.icmp),
    ];
    for (head, read) in rare {
        if rows.iter().any(|row| read(row.counts) > 0) {
            columns.push(column(head, 5, number(read)));
        }
    }
    columns
}

/// Those that fit into `room`; the dispensable go first.
fn fitting(mut columns: Vec<Column>, room: usize) -> Vec<Column> {
    for goes in 1..=5 {
        let taken: usize = columns.iter().map(|column| column.width + 1).sum();
        if taken <= room {
            break;
        }
        columns.retain(|column| column.goes != goes);
    }
    columns
}

/// Right-aligned after a blank.
fn pad(text: &str, width: usize) -> String {
    format!(" {}{text}", " ".repeat(width.saturating_sub(text.width())))
}

/// `12.5 %`, `100 %`; a dash while no probe is decided.
pub(super) fn loss(counts: &Counts) -> String {
    match counts.unanswered_percent() {
        None => "-".to_owned(),
        // A hundred is said only of all, nothing only of none.
        Some(0.0) => "0 %".to_owned(),
        Some(percent) if percent >= 100.0 => "100 %".to_owned(),
        Some(percent) => format!("{:.1} %", percent.clamp(0.1, 99.9)),
    }
}

/// Three significant digits and the unit in at most six columns, below ten thousand seconds: `12.3µs`,
/// `123µs`, `1.23ms`, `61.0s`.
pub(super) fn short(nanos: u64, unicode: bool) -> String {
    let micro = if unicode { "µs" } else { "us" };
    #[allow(clippy::cast_precision_loss)] // three digits are shown
    let nanos = nanos as f64;
    for (unit, name) in [(1.0, "ns"), (1e3, micro), (1e6, "ms")] {
        // Rounded up to the next unit's 1 it is shown there.
        if nanos < 999.5 * unit {
            return three(nanos / unit) + name;
        }
    }
    three(nanos / 1e9) + "s"
}

fn three(number: f64) -> String {
    match number {
        _ if number < 9.995 => format!("{number:.2}"),
        _ if number < 99.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// A name that is too long without its middle: the host's beginning and the port tell most.
pub(super) fn shortened(name: &str, room: usize, unicode: bool) -> String {
    if name.width() <= room {
        return name.to_owned();
    }
    let gap = if unicode { "…" } else { ".." };
    let rest = room.saturating_sub(gap.width());
    let mut tail = String::new();
    for character in name.chars().rev() {
        let longer = format!("{character}{tail}");
        if longer.width() > rest / 2 {
            break;
        }
        tail = longer;
    }
    let room_for_head = rest.saturating_sub(tail.width());
    let head = if room_for_head == 0 { "" } else { &name[..head_within(name, room_for_head)] };
    let head = if head.width() > room_for_head { "" } else { head };
    format!("{head}{gap}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_digits_tell_every_magnitude() {
        let shown = [7, 999, 12_345, 999_499, 999_500, 1_234_567, 61_000_000_000, 1 << 47]
            .map(|nanos| short(nanos, true));
        assert_eq!(
            shown,
            ["7.00ns", "999ns", "12.3µs", "999µs", "1.00ms", "1.23ms", "61.0s", "140737s"]
        );
    }

    #[test]
    fn loss_is_all_or_nothing_only_where_it_is() {
        let of =
            |sent, lost| loss(&Counts { sent, lost, answered: sent - lost, ..Counts::default() });
        assert_eq!([of(100_000, 1), of(100_000, 99_999)], ["0.1 %", "99.9 %"]);
        assert_eq!([of(3, 3), of(3, 0), of(0, 0)], ["100 %", "0 %", "-"]);
    }

    proptest! {
        #[test]
        fn a_shortened_name_keeps_its_room(name in "\\PC{0,60}", room in 2_usize..40) {
            prop_assert!(shortened(&name, room, true).width() <= room);
        }
    }
}
