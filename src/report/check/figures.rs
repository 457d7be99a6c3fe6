//! What the checks measured on the way: schedules, dwells, lengths.

use std::time::Duration;

use crate::event::{CheckResult, Figure, FigureValue};
use crate::report::human::paint::{Paint, Span, blank, wrap};
use crate::report::human::{Lines, Style};
use crate::report::units::duration;

/// Columns of the longest id to which shorter ones are filled up.
const ID: usize = 24;
/// Gaps that grow by less than this are no back-off.
const BACK_OFF: f64 = 1.2;
/// A quotient beyond this is a rate.
const RATE: f64 = 1000.0;
/// Gaps of a schedule that are shown.
const GAPS: usize = 12;

/// The section, empty where nothing was measured.
pub(super) fn section<'a>(results: impl Iterator<Item = &'a CheckResult>, style: &Style) -> Lines {
    let results: Vec<&CheckResult> =
        results.filter(|result| !result.finding.figures.is_empty()).collect();
    let Some(widest) = results.iter().map(|result| result.info.id.len()).max() else {
        return Vec::new();
    };
    let id_columns = widest.min(ID);
    let mut lines = vec![Vec::new(), vec![Span::new("FIGURES", Paint::Bold)]];
    for result in results {
        let room = style.columns().saturating_sub(id_columns + 4);
        let items = items(&result.finding.figures, style);
        for (number, row) in wrap(items, ", ", room).into_iter().enumerate() {
            let id = if number == 0 { result.info.id } else { "" };
            let mut line = vec![blank(2), Span::plain(format!("{id:<id_columns$}")), blank(2)];
            line.extend(row);
            lines.push(line);
        }
    }
    lines
}

/// Each figure with its name.
pub(super) fn items(figures: &[Figure], style: &Style) -> Vec<Span> {
    let has_factor = figures.iter().any(|figure| matches!(figure.value, FigureValue::Factor(_)));
    let mut items = Vec::new();
    for figure in figures {
        let name = figure.name.replace('-', " ");
        items.push(Span::plain(format!("{name} {}", value(&figure.value, style))));
        // A schedule without the factor by which it grows is hard to read.
        if let (FigureValue::Times(times), false) = (&figure.value, has_factor)
            && let Some(factor) = growth(times).filter(|factor| *factor >= BACK_OFF)
        {
            items.push(Span::plain(format!("back-off {}", times_sign(factor, style))));
        }
    }
    items
}

fn value(value: &FigureValue, style: &Style) -> String {
    match value {
        FigureValue::Time(time) => duration(*time, style.unicode),
        FigureValue::Times(times) if times.is_empty() => "none".to_owned(),
        FigureValue::Times(times) => {
            let shown = if style.verbosity > 1 { times.len() } else { times.len().min(GAPS) };
            let mut text: Vec<String> =
                times[..shown].iter().map(|time| duration(*time, style.unicode)).collect();
            if shown < times.len() {
                text.push(format!("and {} more", times.len() - shown));
            }
            text.join(" + ")
        }
        FigureValue::Count(count) => count.to_string(),
        FigureValue::Factor(factor) => times_sign(*factor, style),
        FigureValue::Word(word) => style.safe(word),
    }
}

fn times_sign(factor: f64, style: &Style) -> String {
    if factor >= RATE {
        return format!("{factor:.0}");
    }
    format!("{}{factor:.2}", if style.unicode { "×" } else { "x" })
}

/// The middle one of the quotients of neighbouring gaps; none where there are fewer than two gaps.
fn growth(gaps: &[Duration]) -> Option<f64> {
    let mut quotients: Vec<f64> = gaps
        .windows(2)
        .filter(|pair| !pair[0].is_zero())
        .map(|pair| pair[1].as_secs_f64() / pair[0].as_secs_f64())
        .collect();
    quotients.sort_by(f64::total_cmp);
    quotients.get(quotients.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_is_the_middle_quotient_so_that_a_cap_does_not_spoil_it() {
        let seconds = |all: &[u64]| all.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
        assert_eq!(growth(&seconds(&[1, 2, 4, 8, 16, 16])), Some(2.0));
        assert_eq!(growth(&seconds(&[1])), None);
        assert_eq!(growth(&[Duration::ZERO, Duration::from_secs(1)]), None);
    }
}
