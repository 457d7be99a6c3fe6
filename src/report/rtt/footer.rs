//! The last lines of ping, as iputils prints them, so that what reads ping reads this.

use std::fmt::Write as _;
use std::time::Duration;

use crate::report::sanitize::{self, Charset};
use crate::stats::{Counts, Figures};

/// ping's footer for one target, in two or three lines:
///
/// ```text
/// --- example.org:443 ping statistics ---
/// 100 packets transmitted, 97 received, +2 duplicates, 3% packet loss, time 9901ms
/// rtt min/avg/max/mdev = 0.123/0.145/0.167/0.012 ms
/// ```
///
/// `received` are the probes that a TCP answered, by SYN-ACK or RST; `errors` those that an ICMP
/// error answered, which ping counts as lost, too. Different from ping, probes in flight are no loss:
/// where none is decided yet, there is no `packet loss`. Without an interval there is no `rtt` line.
/// Times are rounded to the microsecond.
#[must_use]
pub fn footer(
    target: &str,
    counts: &Counts,
    rtt: &Figures,
    elapsed: Duration,
    charset: Charset,
) -> String {
    let mut out = format!("--- {} ping statistics ---\n", sanitize::text(target, charset));
    // Writing to a string cannot fail.
    let _ = write!(out, "{} packets transmitted, {} received", counts.sent, counts.received());
    for (number, noun) in [(counts.duplicates, "duplicates"), (counts.icmp, "errors")] {
        if number > 0 {
            let _ = write!(out, ", +{number} {noun}");
        }
    }
    if let Some(percent) = counts.unanswered_percent() {
        let _ = write!(out, ", {}% packet loss", general(percent));
    }
    if counts.sent > 0 {
        let _ = write!(out, ", time {}ms", elapsed.as_micros().saturating_add(500) / 1000);
    }
    out.push('\n');
    if let (Some(min), Some(avg), Some(max), Some(mdev)) =
        (rtt.min_ns, rtt.avg_ns, rtt.max_ns, rtt.mdev_ns)
    {
        let [min, avg, max, mdev] = [min, avg, max, mdev].map(millis);
        let _ = writeln!(out, "rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms");
    }
    out
}

/// Milliseconds with three decimals.
fn millis(nanos: u64) -> String {
    let micros = nanos.saturating_add(500) / 1000;
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

/// A percentage as C's `%g` writes it: six significant digits, no zeros at the end.
fn general(percent: f64) -> String {
    if percent == 0.0 {
        return "0".to_owned();
    }
    // At 100 there are three digits before the point, at 33.3333 two, below 1 none.
    let leading = percent.log10().floor();
    if leading < -4.0 {
        return exponential(percent);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 3 to 9
    let decimals = (5.0 - leading).clamp(0.0, 9.0) as usize;
    let digits = format!("{percent:.decimals$}");
    let digits = if decimals > 0 { digits.trim_end_matches('0') } else { &digits };
    digits.trim_end_matches('.').to_owned()
}

/// `1e-05`, `2.5e-06`: below a ten-thousandth of a percent.
fn exponential(percent: f64) -> String {
    let written = format!("{percent:.5e}");
    let (digits, power) = written.split_once("e-").unwrap_or((&written, "0"));
    format!("{}e-{power:0>2}", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rtt::table::tests::figures;

    fn counts() -> Counts {
        Counts { sent: 100, answered: 96, refused: 1, lost: 3, ..Counts::default() }
    }

    fn shown(counts: &Counts, rtt: &Figures) -> String {
        footer("example.org:443", counts, rtt, Duration::from_micros(9_900_500), Charset::Unicode)
    }

    #[test]
    fn it_is_pings() {
        assert_eq!(
            shown(&counts(), &figures(&[123_000, 145_400, 167_499])),
            "--- example.org:443 ping statistics ---\n\
             100 packets transmitted, 97 received, 3% packet loss, time 9901ms\n\
             rtt min/avg/max/mdev = 0.123/0.145/0.167/0.018 ms\n"
        );
        let worse = Counts { duplicates: 2, icmp: 1, lost: 2, ..counts() };
        assert_eq!(
            shown(&worse, &figures(&[])).lines().nth(1),
            Some(
                "100 packets transmitted, 97 received, +2 duplicates, +1 errors, 3% packet loss, time 9901ms"
            )
        );
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let nothing = figures(&[]);
        assert_eq!(
            shown(&Counts::default(), &nothing).lines().nth(1),
            Some("0 packets transmitted, 0 received")
        );
        let in_flight = Counts { sent: 2, in_flight: 2, ..Counts::default() };
        assert_eq!(
            shown(&in_flight, &nothing).lines().nth(1),
            Some("2 packets transmitted, 0 received, time 9901ms")
        );
        assert_eq!(shown(&in_flight, &nothing).lines().count(), 2);
    }

    #[test]
    fn percentages_are_written_as_c_writes_them() {
        let cases = [
            (0.0, "0"),
            (100.0, "100"),
            (100.0 / 3.0, "33.3333"),
            (200.0 / 3.0, "66.6667"),
            (0.1, "0.1"),
            (1.0 / 7.0, "0.142857"),
            (99.999_999, "100"),
            (0.000_123_456_7, "0.000123457"),
            (0.000_01, "1e-05"),
            (12.5, "12.5"),
            (10.0, "10"),
        ];
        for (percent, written) in cases {
            assert_eq!(general(percent), written, "{percent}");
        }
    }

    #[test]
    fn a_hostile_name_stays_on_its_line() {
        let counts = counts();
        let footer =
            footer("a\nb\x1b[2J", &counts, &Figures::default(), Duration::ZERO, Charset::Ascii);
        assert_eq!(footer.lines().next(), Some("--- a\\nb\\x1b[2J ping statistics ---"));
    }
}
