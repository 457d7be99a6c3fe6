//! Distributions side by side: one column for each phase, flow or target.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::report::sanitize::{self, Charset};
use crate::report::units;
use crate::stats::Figures;

/// Columns of the figures' names.
const NAMES: usize = 10;

/// Columns of one distribution at least, with the gap before it.
const COLUMN: usize = 12;

/// A figure in a row: what is absent is shown as a dash.
type Read = fn(&Figures) -> Option<u64>;

const ROWS: [(&str, Read); 10] = [
    ("min", |f| f.min_ns),
    ("avg", |f| f.avg_ns),
    ("max", |f| f.max_ns),
    ("mdev", |f| f.mdev_ns),
    ("p50", |f| f.p50_ns),
    ("p90", |f| f.p90_ns),
    ("p95", |f| f.p95_ns),
    ("p99", |f| f.p99_ns),
    ("p99.9", |f| f.p999_ns),
    ("jitter", |f| f.jitter_ns),
];

/// One row for each figure and one column for each labelled distribution, in blocks of as many
/// columns as fit into `width`, with an empty line between. Absent figures are a dash. Percentiles
/// that come from a histogram are followed by how exact they are.
#[must_use]
pub fn table(columns: &[(&str, Figures)], width: usize, charset: Charset) -> String {
    let labelled: Vec<(String, &Figures)> =
        columns.iter().map(|(label, figures)| (sanitize::text(label, charset), figures)).collect();
    let widest = labelled.iter().map(|(label, _)| label.width() + 2).max().unwrap_or(0);
    let cell = widest.max(COLUMN).min(width.saturating_sub(NAMES).max(COLUMN));
    let fitting = (width.saturating_sub(NAMES) / cell).max(1);
    let blocks: Vec<String> =
        labelled.chunks(fitting).map(|block| self::block(block, cell, charset)).collect();
    let mut out = blocks.join("\n");
    if let Some(ppm) = columns.iter().filter_map(|(_, f)| f.percentile_error_ppm).max() {
        out.push_str(&exactness(ppm));
    }
    out
}

fn block(columns: &[(String, &Figures)], cell: usize, charset: Charset) -> String {
    let mut out = row("", columns.iter().map(|(label, _)| label.clone()), cell);
    out += &row("intervals", columns.iter().map(|(_, f)| f.count.to_string()), cell);
    for (name, read) in ROWS {
        let shown = columns.iter().map(|(_, figures)| match read(figures) {
            Some(nanos) => time(nanos, charset),
            None => "-".to_owned(),
        });
        out += &row(name, shown, cell);
    }
    out
}

fn row(name: &str, cells: impl Iterator<Item = String>, cell: usize) -> String {
    let mut line = format!("{name:NAMES$}");
    for text in cells {
        // A label in a wide script takes two columns a character.
        line += &" ".repeat(cell.saturating_sub(text.width()).max(1));
        line += &text;
    }
    format!("{}\n", line.trim_end())
}

fn exactness(ppm: u32) -> String {
    match ppm {
        0 => String::new(),
        _ => format!(
            "percentiles are within {}.{:02} % of the exact ones\n",
            ppm / 10_000,
            // Rounded up: it is a bound.
            (ppm % 10_000).div_ceil(100)
        ),
    }
}

/// `145.123 µs`.
pub(super) fn time(nanos: u64, charset: Charset) -> String {
    units::duration(Duration::from_nanos(nanos), charset == Charset::Unicode)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::stats::Distribution;

    /// The figures of some intervals in nanoseconds.
    pub(in crate::report) fn figures(intervals: &[u64]) -> Figures {
        distribution(intervals.iter().copied()).figures()
    }

    pub(in crate::report) fn distribution(
        intervals: impl IntoIterator<Item = u64>,
    ) -> Distribution {
        let mut distribution = Distribution::new();
        intervals.into_iter().for_each(|nanos| distribution.record(Duration::from_nanos(nanos)));
        distribution
    }

    #[test]
    fn phases_stand_side_by_side() {
        let columns = [
            ("handshake", figures(&[123_000, 145_400, 167_499])),
            ("fin-ack", figures(&[1_204_000])),
            ("peer-fin", figures(&[])),
        ];
        insta::assert_snapshot!(table(&columns, 80, Charset::Unicode));
    }

    #[test]
    fn more_columns_than_fit_go_below() {
        let one = figures(&[1_000]);
        let labels: Vec<String> = (0..8).map(|flow| format!("port {}", 40_000 + flow)).collect();
        let columns: Vec<_> = labels.iter().map(|label| (label.as_str(), one)).collect();
        for width in [80, 120] {
            let shown = table(&columns, width, Charset::Ascii);
            assert!(shown.lines().all(|line| line.len() <= width), "{shown}");
            assert_eq!(shown.matches("port ").count(), 8);
        }
    }

    #[test]
    fn a_histogram_says_how_exact_it_is() {
        let many = distribution((0..5000).map(|i| 1_000_000 + i * 100)).figures();
        let shown = table(&[("rtt", many)], 80, Charset::Ascii);
        assert_eq!(
            shown.lines().last(),
            Some("percentiles are within 0.05 % of the exact ones"),
            "{shown}"
        );
    }
}
