//! Initial sequence numbers.

use std::time::Duration;

use crate::check::finding::{Ruling, Stop, found, inconclusive, info, pass, warn};
use crate::check::lab::{Conversation, Got, Lab, rst, usual_offer};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, FigureValue, Group, Level, Rule, Verdict};
use crate::time::Instant;
use crate::wire::{Flags, Segment, SeqNum};

const CLOCK: Rule = Rule { rfc: 9293, section: "3.4.1", detail: "MUST-8" };
const PRF: Rule = Rule { rfc: 9293, section: "3.4.1", detail: "SHLD-1, MUST-9" };

/// Samples of a series.
const SAMPLES: usize = 6;
/// From one of them to the next on the same four-tuple.
const APART: Duration = Duration::from_millis(250);
/// A step that is no longer a clock's: random numbers stay below it five times running once in a
/// million.
const CLOCK_STEP: u32 = 1 << 28;
/// A step between different connections that is too small to be a hash's.
const GLOBAL_STEP: u32 = 1 << 26;

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[&ISN_CLOCK, &ISN_UNPREDICTABLE];

check!(
    ISN_CLOCK,
    isn_clock,
    CheckInfo {
        id: "isn-clock",
        title: "Initial sequence numbers grow with a clock",
        rules: &[CLOCK],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Isn],
        expect: "six connections on one four-tuple, one after the other: the numbers grow steadily",
        why: "Where they do not grow, an old duplicate may fall into a new connection, and a new SYN into TIME-WAIT.",
    }
);

async fn isn_clock(lab: Lab) -> Ruling {
    let series = one_tuple(&lab).await?;
    let steps: Vec<u32> = series.windows(2).map(|two| two[1].0.offset_from(two[0].0)).collect();
    let rates: Vec<f64> = series
        .windows(2)
        .map(|two| {
            let step = f64::from(two[1].0.offset_from(two[0].0));
            step / two[1].1.since(two[0].1).as_secs_f64().max(1e-9)
        })
        .collect();
    let (least, most) = rates
        .iter()
        .fold((f64::MAX, 0.0_f64), |(least, most), rate| (least.min(*rate), most.max(*rate)));
    Ok(if steps.iter().all(|step| *step == 0) {
        warn("the same number every time")
    } else if steps.iter().all(|step| *step < CLOCK_STEP) {
        let observed =
            format!("they grow by {} to {} a second", per_second(least), per_second(most));
        pass(observed).figure("isn-rate", FigureValue::Factor(f64::midpoint(least, most)))
    } else {
        warn("they do not grow: unpredictable, but old duplicates may fit a new connection")
    })
}

/// A rate as a reader takes it in: a slow clock is not said to stand.
fn per_second(rate: f64) -> String {
    if rate >= 10_000.0 { format!("{:.2} million", rate / 1e6) } else { format!("{rate:.0}") }
}

/// Initial sequence numbers of connections on one four-tuple, one after the other, and when each came.
async fn one_tuple(lab: &Lab) -> Result<Vec<(SeqNum, Instant)>, Stop> {
    let mut c = lab.conversation()?;
    let mut series = Vec::new();
    for _ in 0..SAMPLES {
        let got = syn_ack(lab, &mut c).await?;
        series.push((got.segment.seq, got.stamp.at));
        // Both: one may be lost, and what is half open answers no new SYN.
        c.send(&rst().label("end of this one"));
        lab.pause(APART / 2).await;
        c.send(&rst().label("once more, against loss"));
        lab.pause(APART / 2).await;
        let next = c.iss + 1_000_000;
        c.restart(next);
        c.leave_quietly();
    }
    Ok(series)
}

/// The SYN-ACK to an ordinary SYN of a conversation; one that is late from the connection before it
/// acknowledges another number.
async fn syn_ack(lab: &Lab, c: &mut Conversation) -> Result<Got, Stop> {
    let what = usual_offer(lab.setting().mss).syn(c);
    let ours =
        |c: &Conversation, got: &Segment| got.has(Flags::SYN | Flags::ACK) && got.ack == c.iss + 1;
    let got = lab.ask(c, &what, lab.now_window(), ours).await;
    c.snd_nxt = c.iss + 1;
    c.leave_by_reset();
    let why = "a SYN got no SYN-ACK: the connection before it may still be there";
    let got = got.ok_or_else(|| inconclusive(why))?;
    c.adopt(&got.segment);
    Ok(got)
}

check!(
    ISN_UNPREDICTABLE,
    isn_unpredictable,
    CheckInfo {
        id: "isn-unpredictable",
        title: "Initial sequence numbers cannot be guessed",
        rules: &[PRF],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::Isn],
        expect: "six ports: no constant step, no small steps, no small numbers; which is no proof",
        why: "Whoever can guess the number can open connections, and inject data, in somebody else's name.",
    }
);

async fn isn_unpredictable(lab: Lab) -> Ruling {
    let mut numbers = Vec::new();
    for _ in 0..SAMPLES {
        let (c, _) = lab.half_open(&usual_offer(lab.setting().mss)).await?;
        numbers.push(c.irs);
    }
    let steps: Vec<u32> = numbers.windows(2).map(|two| two[1].offset_from(two[0])).collect();
    let all = |wanted: &dyn Fn(u32) -> bool| steps.iter().all(|step| wanted(*step));
    let sign = if all(&|step| step == steps[0]) {
        Some(format!("the step between connections is always {}", steps[0]))
    } else if all(&|step| step % 64_000 == 0) {
        Some("all steps are multiples of 64,000".to_owned())
    } else if all(&|step| step < GLOBAL_STEP) {
        Some("one counter for all connections: small steps from each to the next".to_owned())
    } else if numbers.iter().all(|number| number.0 < 1 << 24) {
        Some("all of them are small".to_owned())
    } else {
        None
    };
    Ok(match sign {
        Some(sign) => found(Verdict::Warn, format!("predictable: {sign}")),
        None => info("no sign of a pattern in six of them, which is no proof"),
    })
}
