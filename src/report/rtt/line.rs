//! A probe as a line: in ping's spirit, the fields in an order that never changes.

use std::fmt::Write as _;
use std::time::Duration;

use crate::event::{Outcome, RttProbe, RttRun};
use crate::report::human::Style;
use crate::report::human::paint::{Paint, Span};
use crate::report::units;
use crate::stats::{Answer, Fate, Phase};
use crate::time::{Instant, Stamp, nanos_of};

/// Why a probe is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// Its fate is known.
    Settled,
    /// It was reported lost, and was answered after all.
    Late,
    /// It was answered again.
    Duplicate(Stamp),
}

/// How much a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wording {
    /// What a RST times is said in full.
    pub(super) explain: bool,
    /// Who answered is said also where it is the target itself.
    pub(super) peer: bool,
}

/// The words of the line.
pub(super) fn words(
    probe: &RttProbe,
    why: Why,
    run: &RttRun,
    wording: Wording,
    style: &Style,
) -> Vec<Span> {
    let mut words = match (probe.sent, probe.fate) {
        (None, _) => vec![Span::new(format!("seq={} was not sent", seq(probe)), Paint::Bad)],
        (_, Fate::Lost) => vec![Span::new(silence(probe, run), Paint::Bad)],
        (_, Fate::InFlight) => {
            let text = format!("seq={} in flight: neither answered nor lost", seq(probe));
            vec![Span::new(text, Paint::Warn)]
        }
        _ => answered(probe, why, run, wording),
    };
    if style.verbosity > 0 {
        words.extend(details(probe, run).into_iter().map(|word| Span::new(word, Paint::Dim)));
    }
    words.extend(
        remarks(probe, why, wording.explain)
            .into_iter()
            .map(|(text, paint)| Span::new(style.reason(&format!("({text})")), paint)),
    );
    words
}

/// A person counts from 1.
pub(super) const fn seq(probe: &RttProbe) -> u64 {
    probe.index.saturating_add(1)
}

fn silence(probe: &RttProbe, run: &RttRun) -> String {
    let mut text = format!("no answer to seq={}", seq(probe));
    if probe.attempts > 1 {
        let _ = write!(text, ", sent {} times,", probe.attempts);
    }
    let _ = write!(text, " within {}", units::brief(run.timeout));
    text
}

fn answered(probe: &RttProbe, why: Why, run: &RttRun, wording: Wording) -> Vec<Span> {
    let (word, paint) = match probe.answer {
        Some(Answer::Open) => ("SYN-ACK", Paint::Good),
        Some(Answer::Refused) => ("RST", Paint::Bad),
        Some(Answer::Icmp) => ("ICMP", Paint::Bad),
        None => ("answer", Paint::Warn),
    };
    let mut words = match why {
        Why::Settled => Vec::new(),
        Why::Late => vec![Span::new("late:", Paint::Warn)],
        Why::Duplicate(_) => vec![Span::new("DUP:", Paint::Warn)],
    };
    words.push(Span::new(word, paint));
    let to = run.targets.get(probe.target as usize).map(|target| target.to.ip());
    let itself = probe.answered_by.is_none_or(|by| Some(by.address) == to);
    if wording.peer || !itself {
        words.push(Span::plain("from"));
        words.push(Span::plain(format!("{}:", peer(probe, run))));
    }
    words.push(Span::plain(format!("seq={}", seq(probe))));
    words.extend(times(probe, why));
    words.extend(probe.answered_by.map(|by| Span::plain(format!("ttl={}", by.ttl))));
    words.push(Span::plain(format!("port={}", probe.from.port())));
    words
}

/// Who answered: routers have no port.
fn peer(probe: &RttProbe, run: &RttRun) -> String {
    let to = run.targets.get(probe.target as usize).map(|target| target.to);
    let by = probe.answered_by.map(|by| by.address);
    match (by.or(to.map(|to| to.ip())), probe.answer, to) {
        (Some(ip), Some(Answer::Icmp), _) => ip.to_string(),
        (Some(ip), _, Some(to)) => std::net::SocketAddr::new(ip, to.port()).to_string(),
        _ => "?".to_owned(),
    }
}

/// What was measured. A time that counts in no figure is `after=`, never `rtt=`.
fn times(probe: &RttProbe, why: Why) -> Vec<Span> {
    let since = |at: Instant| probe.sent.map(|sent| at.since(sent.at));
    let after = match why {
        Why::Duplicate(stamp) => since(stamp.at),
        _ => probe.answered.and_then(|answered| since(answered.at)),
    };
    let measured = probe.interval(Phase::Handshake).filter(|_| !matches!(why, Why::Duplicate(_)));
    // One SYN left: whatever answers it is an answer to that one, however late.
    let late = after.filter(|_| why == Why::Late && probe.attempts == 1);
    let first = match (measured.or(late), after) {
        (Some(rtt), _) => Some(format!("rtt={}", millis(rtt))),
        (None, Some(after)) => Some(format!("after={}", millis(after))),
        (None, None) => None,
    };
    let mut words: Vec<Span> = first.map(|text| Span::new(text, Paint::Bold)).into_iter().collect();
    if matches!(why, Why::Duplicate(_)) {
        return words;
    }
    let later =
        [(Phase::DataAck, "ack-of-data"), (Phase::FinAck, "ack-of-fin"), (Phase::PeerFin, "fin")];
    words.extend(later.into_iter().filter_map(|(phase, name)| {
        Some(Span::plain(format!("{name}={}", millis(probe.interval(phase)?))))
    }));
    words
}

/// What `-v` adds.
fn details(probe: &RttProbe, run: &RttRun) -> Vec<String> {
    let signed = |at: Instant, origin: Instant| {
        let nanos = at.signed_nanos_since(origin);
        let sign = if nanos < 0 { "-" } else { "+" };
        format!("{sign}{}", millis(Duration::from_nanos(nanos.unsigned_abs())))
    };
    let due = probe.due.since(run.start);
    let mut words = vec![format!("due={}.{:06} s", due.as_secs(), due.subsec_micros())];
    words.extend(probe.sent.map(|sent| format!("left={}", signed(sent.at, probe.due))));
    words.push(format!("iss={}", probe.iss));
    words.extend(probe.clock.map(|clock| format!("clock={clock}")));
    words.push(format!("attempts={}", probe.attempts));
    words
}

/// What is special about it, each in brackets.
fn remarks(probe: &RttProbe, why: Why, explain: bool) -> Vec<(String, Paint)> {
    let mut remarks = Vec::new();
    let said = matches!(probe.outcome, Outcome::Open | Outcome::Refused | Outcome::Closed)
        || matches!(probe.fate, Fate::Lost | Fate::InFlight)
        || probe.sent.is_none();
    if !said {
        remarks.push((probe.outcome.name().to_owned(), Paint::Warn));
    }
    if probe.answer == Some(Answer::Refused) && !matches!(why, Why::Duplicate(_)) {
        let text = if explain { "refused: times the host, not the service" } else { "refused" };
        remarks.push((text.to_owned(), Paint::Warn));
    }
    if probe.fate == Fate::Ambiguous {
        let text = format!("ambiguous: answered after {} SYNs", probe.attempts);
        remarks.push((text, Paint::Warn));
    }
    if why == Why::Late {
        remarks.push(("counted as late".to_owned(), Paint::Warn));
    }
    remarks.extend(probe.remark.map(|text| (text.to_owned(), Paint::Warn)));
    if probe.warm_up {
        remarks.push(("warm-up".to_owned(), Paint::Dim));
    }
    remarks
}

/// Always milliseconds, so that a column of them can be sorted: microseconds as decimals, below one
/// millisecond nanoseconds.
pub(super) fn millis(duration: Duration) -> String {
    let nanos = nanos_of(duration);
    if nanos < 1_000_000 {
        return format!("0.{nanos:06} ms");
    }
    let micros = nanos.saturating_add(500) / 1000;
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_keep_what_the_clock_tells() {
        let shown = [12_345, 999_999, 1_000_000, 11_102_499, 2_301_000_000]
            .map(|nanos| millis(Duration::from_nanos(nanos)));
        assert_eq!(shown, ["0.012345 ms", "0.999999 ms", "1.000 ms", "11.102 ms", "2301.000 ms"]);
    }
}
