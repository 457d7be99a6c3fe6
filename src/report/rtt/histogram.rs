//! A distribution drawn in the terminal.

use crate::report::sanitize::Charset;
use crate::report::units;
use crate::stats::Bin;

/// Rows at most.
const ROWS: usize = 16;

/// A bar's last cell in eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Preferred numbers, finest first, in hundredths of their decade: pieces of equal steps, each given
/// by its first number and its step.
const SERIES: [&[(u64, u64)]; 5] = [
    &[(100, 2), (200, 5), (500, 10)],
    &[(100, 5), (200, 10), (500, 25)],
    &[(100, 10), (200, 20), (400, 50)],
    &[(100, 50), (200, 100), (300, 200)],
    &[(100, 100), (200, 300), (500, 500)],
];

/// A row: intervals from `low` on and below `high`, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Row {
    low: u64,
    high: u64,
    count: u64,
}

/// A histogram of [`crate::stats::Distribution::to_bins`], at most 16 rows in `width` columns, with
/// no row for no intervals.
///
/// Where the longest interval is at least twice the shortest the rows grow like preferred numbers
/// (1, 2, 5 or finer), below that they are equally wide. Neighbouring rows without intervals are one
/// row, so that a gap is seen and a straggler takes no rows from the crowd. Whatever was counted has
/// at least the thinnest bar.
#[must_use]
pub fn histogram(bins: &[Bin], width: usize, charset: Charset) -> String {
    let rows = rows(bins);
    let (Some(most), total) =
        (rows.iter().map(|row| row.count).max(), bins.iter().map(|bin| bin.count).sum::<u64>())
    else {
        return String::new();
    };
    let unicode = charset == Charset::Unicode;
    let time = |nanos: u64| units::column(i64::try_from(nanos).unwrap_or(i64::MAX), unicode);
    // Ten columns each, below ten thousand seconds.
    let wide = rows.iter().map(|row| time(row.high).chars().count()).max().unwrap_or(0);
    let digits = most.to_string().len();
    // The dots, the count, the percentage, and the gaps between them.
    let room = width.saturating_sub(2 * wide + 4 + 2 + digits + 1 + 8 + 2).max(8);
    rows.iter()
        .map(|row| {
            let line = format!(
                "{:>wide$} .. {:>wide$}  {:digits$} {}  {}",
                time(row.low),
                time(row.high),
                row.count,
                percent(row.count, total),
                bar(row.count, most, room, unicode),
            );
            format!("{}\n", line.trim_end())
        })
        .collect()
}

/// Eight columns with the sign.
fn percent(count: u64, total: u64) -> String {
    let tenths = (u128::from(count) * 1000 + u128::from(total) / 2) / u128::from(total.max(1));
    format!("{:>4}.{} %", tenths / 10, tenths % 10)
}

fn bar(count: u64, most: u64, room: usize, unicode: bool) -> String {
    let steps = if unicode { 8 } else { 1 };
    let full = u128::from(most.max(1));
    let length = (u128::from(count) * (room * steps) as u128 + full / 2) / full;
    // At most `room * steps`.
    let length = usize::try_from(length).unwrap_or(0).max(usize::from(count > 0));
    if unicode { "█".repeat(length / 8) + EIGHTHS[length % 8] } else { "#".repeat(length) }
}

fn rows(bins: &[Bin]) -> Vec<Row> {
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else { return Vec::new() };
    let (low, high) = (first.middle_ns(), last.middle_ns());
    if high < low.saturating_mul(2) {
        return filled(&equal(low, high), bins);
    }
    let fits = |rows: &Vec<Row>| rows.len() <= ROWS;
    let fine = SERIES.iter().map(|series| filled(&growing(low, high, series), bins)).find(fits);
    // A decade each: there are 15 decades.
    fine.unwrap_or_else(|| filled(&growing(low, high, &[(100, 900)]), bins))
}

/// Rows between the bounds, with what is in them; neighbours with nothing in them become one.
fn filled(bounds: &[u64], bins: &[Bin]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut bins = bins.iter().peekable();
    for pair in bounds.windows(2) {
        let (low, high) = (pair[0], pair[1]);
        let inside = std::iter::from_fn(|| bins.next_if(|bin| bin.middle_ns() < high));
        let count = inside.map(|bin| bin.count).sum();
        match rows.last_mut() {
            Some(gap) if gap.count == 0 && count == 0 => gap.high = high,
            _ => rows.push(Row { low, high, count }),
        }
    }
    rows
}

/// Bounds in preferred numbers, from the last that is not above `low` to the first above `high`.
fn growing(low: u64, high: u64, series: &[(u64, u64)]) -> Vec<u64> {
    let ends = series.iter().skip(1).map(|piece| piece.0).chain([1000]);
    let steps: Vec<u64> = series
        .iter()
        .zip(ends)
        .flat_map(|(&(from, step), end)| {
            (from..end).step_by(usize::try_from(step).unwrap_or(usize::MAX))
        })
        .collect();
    let decades = std::iter::successors(Some(1_u64), |decade| decade.checked_mul(10));
    // Below 100 ns the finer steps coincide.
    let mut bounds = vec![0];
    for bound in decades.flat_map(|decade| {
        steps.iter().map(move |step| u128::from(decade) * u128::from(*step) / 100)
    }) {
        let last = bounds.last().copied().unwrap_or(0);
        if last > high {
            break;
        }
        bounds.extend(u64::try_from(bound).ok().filter(|bound| *bound > last));
    }
    let from = bounds.iter().rposition(|bound| *bound <= low).unwrap_or(0);
    bounds.split_off(from)
}

/// Equal steps of 1, 2 or 5 times a power of ten.
fn equal(low: u64, high: u64) -> Vec<u64> {
    let mut step = 1_u64;
    let mut factors = [2, 5, 10].iter().cycle();
    let mut decade = 1_u64;
    while high / step - low / step >= ROWS as u64 {
        let factor = *factors.next().unwrap_or(&10);
        step = decade.saturating_mul(factor);
        if factor == 10 {
            decade = step;
        }
    }
    (low / step..=high / step + 1).map(|bound| bound.saturating_mul(step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rtt::table::tests::distribution;
    use proptest::prelude::*;

    /// A crowd, a second one, a straggler.
    fn tailed() -> Vec<Bin> {
        let crowd = (0..500_u64).map(|i| 180_000 + (i * i) % 40_000);
        let second = (0..80_u64).map(|i| 900_000 + i * 2_000);
        distribution(crowd.chain(second).chain([48_000_000])).to_bins()
    }

    #[test]
    fn a_long_tail_takes_few_rows() {
        insta::assert_snapshot!(histogram(&tailed(), 80, Charset::Unicode));
    }

    #[test]
    fn it_does_without_unicode_and_uses_the_width() {
        insta::assert_snapshot!(histogram(&tailed(), 120, Charset::Ascii));
    }

    #[test]
    fn a_narrow_crowd_has_equal_rows() {
        let narrow = distribution((0..300_u64).map(|i| 12_000 + (i * 37) % 500)).to_bins();
        insta::assert_snapshot!(histogram(&narrow, 80, Charset::Unicode));
    }

    #[test]
    fn nothing_and_one_are_drawn() {
        assert_eq!(histogram(&[], 80, Charset::Unicode), "");
        let one = distribution([12_345]).to_bins();
        let shown = histogram(&one, 80, Charset::Ascii);
        assert_eq!(shown.lines().count(), 1);
        assert!(shown.contains("100.0 %"), "{shown}");
    }

    proptest! {
        #[test]
        fn every_interval_is_in_one_row_and_no_line_is_too_long(
            intervals in prop::collection::vec((0_u64..3_600_000_000_000, 0_u32..41), 1..300),
            width in 80_usize..=120,
        ) {
            let bins = distribution(intervals.iter().map(|(nanos, shift)| nanos >> shift)).to_bins();
            let rows = rows(&bins);
            prop_assert!((1..=ROWS).contains(&rows.len()), "{}", rows.len());
            prop_assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), intervals.len() as u64);
            prop_assert!(rows.iter().all(|row| row.low < row.high));
            prop_assert!(rows[0].count > 0 && rows[rows.len() - 1].count > 0);
            for charset in [Charset::Unicode, Charset::Ascii] {
                for line in histogram(&bins, width, charset).lines() {
                    prop_assert!(line.chars().count() <= width, "{line}");
                }
            }
        }
    }
}
