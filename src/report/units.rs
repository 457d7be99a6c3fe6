//! Times and counts as a person reads them.

use std::time::Duration;

use crate::time::nanos_of;

/// Columns of a time written by [`column()`], up to 9999 seconds.
pub(super) const COLUMN: usize = 10;

/// A signed number of nanoseconds, three decimals in the unit that suits it, for a right-aligned
/// column: ` 11.102 ms`, `  1.003  s`, `412.345 µs`. The decimal points of all units stand in line.
pub(super) fn column(nanos: i64, unicode: bool) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (number, unit) = split(nanos.unsigned_abs(), unicode);
    let padded = format!("{sign}{number} {unit:>2}");
    // From 1000 seconds on the padding of the unit gives way to a digit.
    if padded.chars().count() > COLUMN { format!("{sign}{number} {unit}") } else { padded }
}

/// A duration in running text: `11.102 ms`, `2.000 s`.
pub(super) fn duration(duration: Duration, unicode: bool) -> String {
    let (number, unit) = split(nanos_of(duration), unicode);
    format!("{number} {unit}")
}

/// Below a millisecond in microseconds, below a second in milliseconds, above in seconds.
fn split(nanos: u64, unicode: bool) -> (String, &'static str) {
    let decimals = |thousandths: u64| format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    // Rounded before the unit is chosen, so that 999.9996 ms is 1.000 s and not 1000.000 ms.
    let micros = nanos.saturating_add(500) / 1_000;
    let millis = nanos.saturating_add(500_000) / 1_000_000;
    if nanos < 1_000_000 {
        (decimals(nanos), if unicode { "µs" } else { "us" })
    } else if micros < 1_000_000 {
        (decimals(micros), "ms")
    } else {
        (decimals(millis), "s")
    }
}

/// A duration that somebody has chosen: `2 s`, `1.5 s`, `200 ms`, `50 us`.
pub(super) fn brief(duration: Duration) -> String {
    let nanos = nanos_of(duration);
    let (unit, name) = match nanos {
        1_000_000_000.. => (1_000_000_000, "s"),
        1_000_000.. => (1_000_000, "ms"),
        1_000.. => (1_000, "us"),
        _ => (1, "ns"),
    };
    let decimals = format!("{:09}", u128::from(nanos % unit) * 1_000_000_000 / u128::from(unit));
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    format!("{}{point}{decimals} {name}", nanos / unit)
}

/// `1 segment`, `2 segments`.
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_adapt_and_decimal_points_stand_in_line() {
        let cases: [(i64, &str); 9] = [
            (0, "0.000 µs"),
            (412_345, "412.345 µs"),
            (999_999, "999.999 µs"),
            (1_000_000, "1.000 ms"),
            (999_999_499, "999.999 ms"),
            (999_999_500, "1.000  s"),
            (61_000_000_000, "61.000  s"),
            (1_234_567_000_000, "1234.567 s"),
            (-12_000, "-12.000 µs"),
        ];
        for (nanos, shown) in cases {
            assert_eq!(column(nanos, true), shown);
            assert!(column(nanos, true).chars().count() <= COLUMN);
        }
        assert_eq!(column(5, false), "0.005 us");
        assert_eq!(duration(Duration::from_secs(2), true), "2.000 s");
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(column(i64::MIN, true), "-9223372036.855 s");
        assert_eq!(duration(Duration::MAX, true), "18446744073.709 s");
    }

    #[test]
    fn durations_are_as_they_were_chosen() {
        let shown = [2_000_000_000, 1_500_000_000, 200_000_000, 50_000, 10_001, 7, 0]
            .map(|nanos| brief(Duration::from_nanos(nanos)));
        assert_eq!(shown, ["2 s", "1.5 s", "200 ms", "50 us", "10.001 us", "7 ns", "0 ns"]);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(
            [count(0, "byte"), count(1, "byte"), count(2, "byte")],
            ["0 bytes", "1 byte", "2 bytes"]
        );
    }
}
