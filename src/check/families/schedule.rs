//! How a retransmission schedule is read: gaps, back-off, and when the server gave up.

use std::time::Duration;

use crate::check::finding::{found, pass, warn};
use crate::check::lab::{Conversation, Got, Lab};
use crate::event::{FigureValue, Finding, Verdict};
use crate::time::Instant;
use crate::wire::Segment;

/// How long a schedule is watched: two doublings beyond the 100 s that RFC 9293 asks for (SHLD-11).
pub(super) const WATCHED: Duration = Duration::from_secs(200);
/// RFC 9293 §3.8.3, SHLD-11: R2 for data and FIN should be at least this.
const R2: Duration = Duration::from_secs(100);
/// RFC 6298 §2.5: a maximum may be set, of 60 s at least. From here one of exactly that looks now a
/// little shorter, now a little longer.
const CAP: Duration = Duration::from_secs(57);
/// A doubling, as the mean of all of them looks from here.
const DOUBLING: std::ops::RangeInclusive<f64> = 1.8..=2.2;
/// A single doubling: a kernel's timer may be an eighth of its time late (Linux' timer wheel).
const ONE_DOUBLING: std::ops::RangeInclusive<f64> = 1.75..=2.3;
/// Gaps that prove a back-off: one doubling may be chance.
const ENOUGH: usize = 3;

/// The segments that `wanted` accepts, all through [`WATCHED`]; `answer` is called after each.
pub(super) async fn watch(
    conversation: &mut Conversation,
    wanted: impl Fn(&Segment) -> bool,
    mut answer: impl FnMut(&mut Conversation),
) -> Vec<Got> {
    let until = conversation.now() + WATCHED;
    let mut all = Vec::new();
    while let Some(got) = conversation.next_segment(until).await {
        if wanted(&got.segment) {
            all.push(got);
            answer(conversation);
        }
        if conversation.was_reset {
            break;
        }
    }
    all
}

/// The gaps between segments that came at these times.
pub(super) fn gaps(times: &[Instant]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

/// The mean factor from one gap to the next, up to the cap; absent where there are too few.
fn backoff(gaps: &[Duration]) -> Option<f64> {
    let factors: Vec<f64> = gaps
        .windows(2)
        .filter(|pair| pair[0] < CAP && pair[1] < CAP)
        .map(|pair| pair[1].as_secs_f64() / pair[0].as_secs_f64().max(1e-9))
        .collect();
    #[allow(clippy::cast_precision_loss)] // a handful
    let mean = |factors: &[f64]| factors.iter().sum::<f64>() / factors.len() as f64;
    (!factors.is_empty()).then(|| mean(&factors))
}

/// The gaps of the timer itself. The first may be that of a tail loss probe (RFC 8985 §7), which comes
/// before the schedule begins.
fn regular(gaps: &[Duration]) -> &[Duration] {
    match gaps {
        [_, rest @ ..] if !doubles(gaps) && doubles(rest) => rest,
        _ => gaps,
    }
}

/// Whether every gap is about twice the one before, as long as no maximum is reached.
fn doubles(gaps: &[Duration]) -> bool {
    gaps.windows(2).all(is_doubling)
        && backoff(gaps).is_none_or(|factor| DOUBLING.contains(&factor))
}

fn is_doubling(pair: &[Duration]) -> bool {
    let factor = pair[1].as_secs_f64() / pair[0].as_secs_f64().max(1e-9);
    ONE_DOUBLING.contains(&factor) || pair[1] >= CAP
}

/// What a schedule of `times`, the first of which is the original, comes to. `needs_r2`: whether it
/// should go on for 100 s.
pub(super) fn judge(lab: &Lab, what: &str, times: &[Instant], needs_r2: bool) -> Finding {
    let gaps = gaps(times);
    let Some(last) = gaps.last().copied() else {
        let verdict = lab.on_silence(crate::check::lab::Class::Ordinary, Verdict::Fail);
        return found(verdict, format!("the {what} was never sent again"));
    };
    let sent = times.last().map_or(Duration::ZERO, |at| at.since(times[0]));
    // Silence after the last one lasts at least until the next would have been due.
    let gave_up = sent + (2 * last).min(CAP.max(last));
    let count = gaps.len();
    let finding = if !doubles(regular(&gaps)) {
        let verdict = lab.on_silence(crate::check::lab::Class::Ordinary, Verdict::Warn);
        found(
            verdict,
            format!("{count} repetitions of the {what}, not each gap twice the one before"),
        )
    } else if gaps.len() < ENOUGH {
        warn(format!("only {count} repetitions of the {what}"))
    } else if needs_r2 && gave_up < R2 {
        warn(format!("{count} repetitions of the {what}; given up before 100 s"))
    } else {
        pass(format!("{count} repetitions of the {what}, each gap twice the one before"))
    };
    let finding = match backoff(regular(&gaps)) {
        Some(factor) => finding.figure("backoff", FigureValue::Factor(factor)),
        None => finding,
    };
    finding.time("gave-up-after", gave_up).figure("schedule", FigureValue::Times(gaps))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(all: &[u64]) -> Vec<Duration> {
        all.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn a_late_timer_and_a_maximum_of_a_minute_are_no_missing_back_off() {
        // Linux 6.18, and smoltcp 0.14, as they came.
        assert!(doubles(&millis(&[544, 1088, 2336, 4352, 8704, 19_200, 34_816])));
        assert!(doubles(&millis(&[1000, 2007, 4008, 8005, 15_997, 32_000, 60_001, 59_998])));
        // A tail loss probe comes before the schedule begins.
        assert!(doubles(regular(&millis(&[20, 300, 600, 1200]))));
    }

    #[test]
    fn steady_or_slow_growth_and_a_low_maximum_are() {
        assert!(!doubles(&millis(&[2000, 2000, 2000])));
        assert!(!doubles(&millis(&[1000, 1760, 3100, 5450])));
        assert!(!doubles(&millis(&[1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])));
    }
}
