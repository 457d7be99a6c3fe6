//! The lines of the table.

use super::cell::{Cell, Mark};
use super::{Size, columns, plain};
use crate::event::RttView;
use crate::report::human::paint::{Paint, Span};
use crate::report::human::{Lines, Style};
use crate::report::rtt::lines::how;
use crate::report::rtt::overview::{loss, short, shortened};
use crate::report::rtt::summary::figures;
use crate::report::units;
use crate::stats::{Figures, Phase};

/// Columns of a target's name that it keeps on a narrow screen, and that it takes at most.
const NAME: (usize, usize) = (12, 40);

/// Lines beside those of the targets: the title, the heads, the legend.
const FRAME: usize = 3;

/// Bars of growing height.
const BARS: [[&str; 8]; 2] =
    [["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"], [".", ":", "-", "=", "+", "*", "#", "%"]];

/// The columns between the name and the strip, each five to seven wide and right-aligned.
const HEADS: [(&str, usize); 5] = [("sent", 6), ("loss", 6), ("last", 6), ("avg", 6), ("p99", 6)];

/// The whole table, at most one line less than the screen has.
pub(super) fn table(view: &RttView<'_>, cells: &[Cell], size: Size, style: &Style) -> Lines {
    // A very low screen has the title and targets alone.
    let frame = if size.rows < 2 * FRAME + 1 { 1 } else { FRAME };
    let room = size.rows.saturating_sub(1 + frame).max(1);
    let all = view.run.targets.len().min(cells.len());
    let mut shown: Vec<(usize, Figures)> = if all <= room {
        (0..all).map(|number| (number, of(view, number))).collect()
    } else {
        // One line says how many are not shown.
        worst(view, cells, (room - 1).max(1))
    };
    if all > shown.len() {
        shown.sort_by_key(|row| order(view, row));
    }
    let names: Vec<String> =
        shown.iter().map(|(number, _)| style.safe(&view.run.targets[*number].name)).collect();
    let fixed: usize = HEADS.iter().map(|(_, width)| width + 1).sum::<usize>() + 1;
    let longest = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    let left = size.columns.saturating_sub(1 + fixed);
    // The name takes no more than half of what is left, unless that is little.
    let name = longest.max(6).min((left / 2).max(NAME.0)).min(NAME.1);
    let strip = left.saturating_sub(name);
    let mut lines = vec![title(view)];
    if frame == FRAME {
        lines.push(heads(name));
    }
    for ((number, figures), text) in shown.iter().zip(&names) {
        let text = shortened(text, name, style.unicode);
        lines.push(row(view, *number, figures, &text, name, strip, &cells[*number], style));
    }
    if all > shown.len() && room > shown.len() {
        let text = format!("and {} more, that lose less or answer sooner", all - shown.len());
        lines.push(vec![Span::new(text, Paint::Dim)]);
    }
    if frame == FRAME {
        lines.push(legend(style));
    }
    lines
}

fn of(view: &RttView<'_>, number: usize) -> Figures {
    view.accounts.get(number).map(|account| figures(account, Phase::Handshake)).unwrap_or_default()
}

/// The targets that lose most, of equals those with the longest tail, of those the first.
fn worst(view: &RttView<'_>, cells: &[Cell], room: usize) -> Vec<(usize, Figures)> {
    let mut keys: Vec<(u32, u8, usize)> = cells
        .iter()
        .zip(view.accounts)
        .enumerate()
        .map(|(number, (cell, _))| (u32::MAX - lost(view, number), u8::MAX - cell.tail(), number))
        .collect();
    if room < keys.len() {
        keys.select_nth_unstable(room);
        keys.truncate(room);
    }
    keys.into_iter().map(|(_, _, number)| (number, of(view, number))).collect()
}

/// The same order by the figures that are shown.
fn order(view: &RttView<'_>, row: &(usize, Figures)) -> (u32, u64, usize) {
    (u32::MAX - lost(view, row.0), u64::MAX - row.1.p99_ns.unwrap_or(0), row.0)
}

/// Millionths that were lost.
fn lost(view: &RttView<'_>, number: usize) -> u32 {
    let counts = view.accounts.get(number).map(crate::stats::Account::counts);
    let percent = counts.and_then(crate::stats::Counts::unanswered_percent).unwrap_or(0.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 1,000,000
    {
        (percent * 10_000.0) as u32
    }
}

fn title(view: &RttView<'_>) -> Vec<Span> {
    let elapsed = view.now.since(view.run.start).as_secs();
    let (hours, minutes, seconds) = (elapsed / 3600, elapsed / 60 % 60, elapsed % 60);
    let targets = units::count(view.run.targets.len() as u64, "target");
    let text = format!("RTT {targets}, {}", how(view.run));
    vec![plain(format!("{hours}:{minutes:02}:{seconds:02}  ")), Span::new(text, Paint::Bold)]
}

fn heads(name: usize) -> Vec<Span> {
    let mut text = format!("{:<name$}", "target");
    for (head, width) in HEADS {
        text += &format!(" {head:>width$}");
    }
    vec![Span::new(text + "  last probes", Paint::Dim)]
}

#[allow(clippy::too_many_arguments)] // what a row is made of
fn row(
    view: &RttView<'_>,
    number: usize,
    figures: &Figures,
    text: &str,
    name: usize,
    strip: usize,
    cell: &Cell,
    style: &Style,
) -> Vec<Span> {
    let gap = " ".repeat(name.saturating_sub(columns(text)));
    let counts = view.accounts.get(number).map(|account| *account.counts()).unwrap_or_default();
    let time =
        |nanos: Option<u64>| nanos.map_or_else(|| "-".to_owned(), |n| short(n, style.unicode));
    let last = match cell.latest() {
        Mark::Lost => "lost".to_owned(),
        Mark::Icmp => "icmp".to_owned(),
        Mark::Untimed => "?".to_owned(),
        Mark::Late => "late".to_owned(),
        Mark::Answered(_) | Mark::Refused | Mark::Open => time(cell.last()),
    };
    let right = |text: &str, place: usize| {
        let width: usize = HEADS[place].1;
        format!(" {}{text}", " ".repeat(width.saturating_sub(columns(text))))
    };
    let is_lossy = counts.unanswered_percent().is_some_and(|percent| percent > 0.0);
    let mut line = vec![
        Span::new(format!("{text}{gap}"), Paint::Bold),
        plain(right(&counts.sent.to_string(), 0)),
        Span::new(right(&loss(&counts), 1), if is_lossy { Paint::Bad } else { Paint::Plain }),
        plain(right(&last, 2)),
        plain(right(&time(figures.avg_ns), 3)),
        plain(right(&time(figures.p99_ns), 4)),
        plain("  "),
    ];
    line.extend(strip_of(cell, strip.saturating_sub(1), style));
    line
}

/// The last probes: a bar's height is how far the interval is above the shortest one shown; what has
/// no interval is a letter or a sign.
fn strip_of(cell: &Cell, room: usize, style: &Style) -> Vec<Span> {
    let marks: Vec<Mark> = cell.last_marks(room).collect();
    let least = marks
        .iter()
        .filter_map(|mark| match mark {
            Mark::Answered(units) => Some((*units).max(1)),
            _ => None,
        })
        .min()
        .unwrap_or(1);
    let bars = BARS[usize::from(!style.unicode)];
    marks
        .into_iter()
        .map(|mark| match mark {
            Mark::Answered(units) => plain(bars[step(units, least)]),
            Mark::Refused => Span::new("r", Paint::Warn),
            Mark::Late => Span::new("L", Paint::Warn),
            Mark::Lost => Span::new("X", Paint::Bad),
            Mark::Icmp => Span::new("!", Paint::Bad),
            Mark::Untimed => Span::new("?", Paint::Warn),
            Mark::Open => plain(" "),
        })
        .collect()
}

/// From 0 to 7: 5, 10, 25, 50 and 100 percent above the least, 4 and 10 times it.
fn step(units: u32, least: u32) -> usize {
    let percent = u64::from(units) * 100 / u64::from(least.max(1));
    [105, 110, 125, 150, 200, 400, 1000].iter().filter(|bound| percent >= **bound).count()
}

fn legend(style: &Style) -> Vec<Span> {
    let bars = BARS[usize::from(!style.unicode)];
    let text = format!(
        "{}..{} 1 to 10 times the least  X lost  L late  r RST  ! ICMP  ? untimed",
        bars[0], bars[7]
    );
    vec![Span::new(text, Paint::Dim)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_the_ratio_and_no_further_than_there_are_bars() {
        let steps = [100, 104, 105, 110, 125, 150, 200, 400, 999, 1000, u32::MAX];
        assert_eq!(steps.map(|units| step(units, 100)), [0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 7]);
        assert_eq!(step(0, 0), 0);
    }
}
