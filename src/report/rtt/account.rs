//! What became of the probes, how well the schedule was kept, how exact the clock is: in sentences.

use std::time::Duration;

use super::table::time;
use crate::report::sanitize::Charset;
use crate::report::units;
use crate::stats::{Counts, Lateness, Measurement};

/// The account of the probes. The first line always, the others where there is something to say.
#[must_use]
pub fn account(counts: &Counts) -> String {
    let c = counts;
    let classes = [
        (c.answered, "answered"),
        (c.ambiguous, "ambiguous"),
        (c.refused, "refused"),
        (c.icmp, "answered by ICMP errors"),
        (c.late, "late"),
        (c.lost, "lost"),
        (c.in_flight, "in flight"),
    ];
    let mut line = format!("{} sent", units::count(c.sent, "probe"));
    for (number, class) in classes {
        if number > 0 {
            line += &format!(", {number} {class}");
        }
    }
    let mut lines = vec![line];
    lines.extend(first_tries(c));
    if c.refused > 0 {
        lines.push(format!(
            "{} refused: a RST times the host, not the service",
            units::count(c.refused, "probe")
        ));
    }
    if c.ambiguous > 0 {
        lines.push(format!(
            "{} ambiguous: answered after a retransmission, left out of every time (Karn)",
            units::count(c.ambiguous, "probe")
        ));
    }
    if c.late > 0 {
        lines.push(format!(
            "{} answered after the timeout: slow, not lost",
            units::count(c.late, "probe")
        ));
    }
    if c.in_flight > 0 {
        lines.push(format!(
            "{} in flight: neither answered nor lost",
            units::count(c.in_flight, "probe")
        ));
    }
    if c.duplicates + c.reordered > 0 {
        lines.push(format!(
            "{}, {} overtaken by a later one",
            units::count(c.duplicates, "duplicate answer"),
            units::count(c.reordered, "answer")
        ));
    }
    end(&lines)
}

/// Where repetitions hid something, or may have.
fn first_tries(c: &Counts) -> Option<String> {
    let hidden = c.first_lost > c.lost + c.icmp + c.late || c.first_unknown > 0;
    if !hidden && c.attempts_of_successes == c.successes {
        return None;
    }
    let mut line = format!("first try: {} answered, {} lost", c.first_answered, c.first_lost);
    if let Some(percent) = c.first_lost_percent() {
        line += &format!(" ({percent:.1} %)");
    }
    if c.first_unknown > 0 {
        line += &format!(", {} unknown", c.first_unknown);
    }
    if let Some(attempts) = c.attempts_per_success() {
        line += &format!("; {attempts:.3} packets per answered probe");
    }
    Some(line)
}

/// How well the schedule was kept; nothing where no probe left.
#[must_use]
pub fn schedule(lateness: &Lateness, charset: Charset) -> String {
    let mut lines = Vec::new();
    if let (Some(p50), Some(p99), Some(max)) =
        (lateness.figures.p50_ns, lateness.figures.p99_ns, lateness.figures.max_ns)
    {
        let [p50, p99, max] = [p50, p99, max].map(|nanos| time(nanos, charset));
        lines.push(format!("probes left after their time by p50 {p50}, p99 {p99}, at most {max}"));
    }
    if lateness.overrun > 0 {
        lines.push(format!(
            "{} left a whole interval late or more: the interval was not kept",
            units::count(lateness.overrun, "probe")
        ));
    }
    if lateness.missed > 0 {
        lines.push(format!(
            "{} never left: this process was held up for too long",
            units::count(lateness.missed, "probe")
        ));
    }
    end(&lines)
}

/// By how much intervals up to `longest` may be wrong, and what they include.
#[must_use]
pub fn measurement(how: &Measurement, longest: Duration, charset: Charset) -> String {
    let bound = how.bound(longest);
    let show = |nanos: u64| time(nanos, charset);
    let error = match bound.total_ns() {
        Some(total) => {
            let mut parts = vec![
                format!("{} of rounding", show(bound.resolution_ns)),
                format!("{} of clock rate", show(bound.rate_ns)),
            ];
            if let Some(nanos) = bound.conversion_ns.filter(|nanos| *nanos > 0) {
                parts.push(format!("{} between the clocks", show(nanos)));
            }
            format!("measurement error: at most {} ({})", show(total), parts.join(", "))
        }
        None if bound.scheduling => "measurement error: no bound (scheduling)".to_owned(),
        None => "measurement error: unknown (two clocks)".to_owned(),
    };
    end(&[error, how.included().to_owned()])
}

fn end(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rtt::table::tests::figures;
    use crate::time::Clock;

    #[test]
    fn a_clean_run_takes_one_line() {
        let counts = Counts {
            sent: 3,
            answered: 3,
            first_answered: 3,
            successes: 3,
            attempts_of_successes: 3,
            ..Counts::default()
        };
        assert_eq!(account(&counts), "3 probes sent, 3 answered\n");
        assert_eq!(account(&Counts::default()), "0 probes sent\n");
    }

    #[test]
    fn every_blemish_has_its_line() {
        let counts = Counts {
            sent: 106,
            answered: 90,
            ambiguous: 2,
            refused: 1,
            icmp: 4,
            late: 1,
            lost: 3,
            in_flight: 5,
            first_answered: 85,
            first_lost: 14,
            first_unknown: 2,
            duplicates: 1,
            reordered: 2,
            attempts_of_successes: 110,
            successes: 94,
        };
        insta::assert_snapshot!(account(&counts));
        assert!(account(&counts).lines().all(|line| line.len() <= 120));
    }

    #[test]
    fn lateness_is_said() {
        assert_eq!(schedule(&Lateness::default(), Charset::Ascii), "");
        let late = Lateness { figures: figures(&[0, 900, 2_000_000]), overrun: 1, missed: 7 };
        assert_eq!(
            schedule(&late, Charset::Ascii),
            "probes left after their time by p50 0.900 us, p99 2.000 ms, at most 2.000 ms\n\
             1 probe left a whole interval late or more: the interval was not kept\n\
             7 probes never left: this process was held up for too long\n"
        );
    }

    #[test]
    fn an_error_without_a_bound_is_not_given_one() {
        let by = |clock| {
            let resolution = Duration::from_nanos(1);
            let how = Measurement { transmit: clock, receive: clock, resolution, conversion: None };
            measurement(&how, Duration::from_millis(2), Charset::Ascii)
        };
        assert_eq!(
            by(Clock::Kernel),
            "measurement error: at most 1.002 us (0.002 us of rounding, 1.000 us of clock rate)\n\
             stamped at the kernel's packet tap, as in a capture: includes this host's queue, \
             driver and receive interrupt\n"
        );
        assert!(by(Clock::User).starts_with("measurement error: no bound (scheduling)\n"));
    }
}
