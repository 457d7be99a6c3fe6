//! One line for each probe, and the counts at the end.

use super::paint::{Paint, Span, blank, wrap};
use super::{Lines, Style, hang, icmp};
use crate::event::{Offer, Outcome, ProbeResult};
use crate::report::units::{COLUMN, column, count};
use crate::time::nanos_of;

/// Columns of the longest outcome, `unreachable`.
const OUTCOME: usize = 11;

/// `example.org:443   open   11.102 ms  ttl 52 (12 hops)  mss=1460 ws=7 sack ts`.
pub(super) fn lines(result: &ProbeResult, style: &Style) -> Lines {
    let (name, paint) = word(result.outcome);
    let target = Span::new(style.safe(&result.target), Paint::Bold);
    // Targets are not known beforehand: a longer one moves its own line only.
    let columns = (style.columns() - 64).min(32);
    let gap = blank(columns.saturating_sub(target.width()) + 1);
    let nanos = result.rtt.map(|rtt| i64::try_from(nanos_of(rtt.value)).unwrap_or(i64::MAX));
    let rtt = nanos.map_or_else(|| "-".to_owned(), |nanos| column(nanos, style.unicode));
    if style.is_narrow() {
        let mut words = vec![target, Span::new(name, paint), Span::plain(rtt.trim().to_owned())];
        words.extend(details(result, style));
        return hang(wrap(words, "  ", style.text_columns() - 2), 2);
    }
    let mut line = vec![
        target,
        gap,
        Span::new(format!("{name:<OUTCOME$}"), paint),
        Span::plain(format!(" {rtt:>COLUMN$}")),
    ];
    line.extend(details(result, style).into_iter().flat_map(|detail| [Span::plain("  "), detail]));
    vec![line]
}

/// The outcome as port scanners name it.
const fn word(outcome: Outcome) -> (&'static str, Paint) {
    match outcome {
        Outcome::Open => ("open", Paint::Good),
        Outcome::Refused => ("closed", Paint::Bad),
        Outcome::Filtered => ("filtered", Paint::Warn),
        other => (other.name(), Paint::Warn),
    }
}

fn details(result: &ProbeResult, style: &Style) -> Vec<Span> {
    let mut details = Vec::new();
    if let Some(answerer) = &result.answered_by {
        details.push(Span::plain(format!(
            "ttl {} ({})",
            answerer.ttl,
            count(answerer.hops().into(), "hop")
        )));
    }
    if result.outcome == Outcome::Filtered {
        let silence = format!("no answer to {}", count(result.attempts.into(), "SYN"));
        details.push(Span::new(silence, Paint::Dim));
    } else if result.attempts != 1 {
        details.push(Span::new(count(result.attempts.into(), "SYN"), Paint::Warn));
    }
    if let Some(offer) = &result.granted {
        details.push(Span::new(short_offer(offer), Paint::Dim));
    }
    if let Some(error) = &result.icmp {
        let text = format!("{} {} from {}", icmp::short(error), error.describe(), error.from);
        details.push(Span::plain(text));
    }
    if let Some(reason) = result.reason {
        details.push(Span::new(style.reason(reason), Paint::Warn));
    }
    details
}

/// `mss=1460 ws=7 sack ts ecn tfo`, of what is there.
fn short_offer(offer: &Offer) -> String {
    let words = [
        offer.mss.map(|mss| format!("mss={mss}")),
        offer.window_scale.map(|shift| format!("ws={shift}")),
        offer.sack.then(|| "sack".to_owned()),
        offer.timestamps.map(|_| "ts".to_owned()),
        offer.ecn.then(|| "ecn".to_owned()),
        offer.fast_open.as_ref().map(|_| "tfo".to_owned()),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() { "no options".to_owned() } else { words.join(" ") }
}

/// `3 probes: 1 open, 1 closed, 1 filtered`.
pub(super) fn counts(probes: &[(Outcome, u64)]) -> Vec<Span> {
    let total = probes.iter().fold(0_u64, |sum, (_, number)| sum.saturating_add(*number));
    let mut spans = vec![Span::plain(format!("{}:", count(total, "probe")))];
    for (index, (outcome, number)) in probes.iter().enumerate() {
        let (name, paint) = word(*outcome);
        spans.push(Span::plain(if index == 0 { " " } else { ", " }));
        spans.push(Span::new(format!("{number} {name}"), paint));
    }
    spans
}
