//! The open connection: numbers outside the window.

use std::time::Duration;

use crate::check::finding::{Ruling, fail, found, gravest, info, pass};
use crate::check::lab::{Class, Conversation, Lab, Liveness, Running, Seg, ack, data, join};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Verdict};
use crate::wire::{Flags, Segment};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &EST_OOW,
    &EST_ACK_UNSENT,
    &EST_DATA_ACK_UNSENT,
    &EST_ACK_ANCIENT,
    &EST_DATA_ACK_ANCIENT,
    &CHALLENGE_RATE,
];

const FIRST: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "first, check the sequence number" };
const FIFTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "fifth, check the ACK field" };
const RESETS: Rule = Rule { rfc: 9293, section: "3.5.2", detail: "(3)" };
const BLIND_DATA: Rule = Rule { rfc: 5961, section: "5.2", detail: "" };
const THROTTLE: Rule = Rule { rfc: 5961, section: "7", detail: "" };

/// Beyond any window that is not scaled.
const FAR: i64 = 300_000;
/// Beyond anything that a server may have under way in a window that is not scaled.
const UNSENT: i64 = 200_000;
/// Older than anything that a server may still expect to be acknowledged.
const ANCIENT: i64 = -100_000;

check!(
    EST_OOW,
    est_oow,
    CheckInfo {
        id: "est-oow",
        title: "Segments out of the window",
        rules: &[FIRST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Window],
        expect: "an ACK of what is expected; the connection lives",
        why: "The ACK is what tells a peer that lost track where the connection stands.",
    }
);

async fn est_oow(lab: Lab) -> Ruling {
    let kinds = [
        ("data above", data(b"far").seq(FAR)),
        ("an ACK above", ack().seq(FAR)),
        ("an ACK below", ack().seq(-FAR)),
    ];
    let runs: Vec<Running<'_, Ruling>> = kinds
        .iter()
        .map(|(_, what)| -> Running<'_, _> { Box::pin(answered(&lab, what, Verdict::Fail)) })
        .collect();
    let all = join(runs).await;
    gravest(kinds.iter().map(|(name, _)| *name).zip(all).collect())
}

/// A segment that must be answered by an ACK of SND.NXT and not be taken; `silence` is what its
/// absence deserves.
async fn answered(lab: &Lab, what: &Seg, silence: Verdict) -> Ruling {
    let mut c = lab.established().await?;
    let s = c.snd_nxt;
    let says = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.payload.is_empty()
    };
    let what = what.clone().label("not acceptable");
    let got = lab.ask(&mut c, &what, lab.now_window(), says).await;
    if let Some(got) = &got
        && (got.segment.has(Flags::RST) || got.segment.ack.is_after(s))
    {
        return Ok(fail(format!("answered by {}", c.notation(&got.segment))));
    }
    Ok(match (lab.liveness(&mut c).await, got) {
        (Liveness::Alive, Some(_)) => pass("an ACK, and it lives"),
        (Liveness::Alive, None) => {
            found(lab.on_silence(Class::OutOfWindow, silence), "no ACK, but it lives")
        }
        (Liveness::Reset(got), _) => {
            fail(format!("the connection is gone: {}", c.notation(&got.segment)))
        }
        (Liveness::Dead, _) => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "the connection is dead after it")
        }
    })
}

check!(
    EST_ACK_UNSENT,
    est_ack_unsent,
    CheckInfo {
        id: "est-ack-unsent",
        title: "An ACK of what was never sent",
        rules: &[FIFTH, RESETS],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Window],
        expect: "an ACK; it is ignored, the connection lives",
        why: "A forged acknowledgment must not make the server forget what it still has to send.",
    }
);

async fn est_ack_unsent(lab: Lab) -> Ruling {
    answered(&lab, &ack().ack(UNSENT), Verdict::Warn).await
}

check!(
    EST_DATA_ACK_UNSENT,
    est_data_ack_unsent,
    CheckInfo {
        id: "est-data-ack-unsent",
        title: "Data that acknowledge what was never sent",
        rules: &[FIFTH, BLIND_DATA],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Window],
        expect: "an ACK of what was there before: the data are not taken",
        why: "Data injected with a guessed number must not reach the application.",
    }
);

async fn est_data_ack_unsent(lab: Lab) -> Ruling {
    answered(&lab, &data(b"forged").ack(UNSENT), Verdict::Warn).await
}

check!(
    EST_ACK_ANCIENT,
    est_ack_ancient,
    CheckInfo {
        id: "est-ack-ancient",
        title: "An ACK of long ago",
        rules: &[BLIND_DATA],
        level: Level::May,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Window],
        expect: "nothing is demanded: RFC 5961 answers by an ACK, older rules ignore it",
        why: "It tells whether the server knows the guard against blind injection.",
    }
);

async fn est_ack_ancient(lab: Lab) -> Ruling {
    ancient(&lab, &ack().ack(ANCIENT)).await
}

check!(
    EST_DATA_ACK_ANCIENT,
    est_data_ack_ancient,
    CheckInfo {
        id: "est-data-ack-ancient",
        title: "Data that acknowledge what is long past",
        rules: &[BLIND_DATA],
        level: Level::May,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Window],
        expect: "an ACK, the data not taken (MAY-12); older rules take them",
        why: "It tells whether the server knows the guard against blind injection.",
    }
);

async fn est_data_ack_ancient(lab: Lab) -> Ruling {
    ancient(&lab, &data(b"forged").ack(ANCIENT)).await
}

async fn ancient(lab: &Lab, what: &Seg) -> Ruling {
    let mut c = lab.established().await?;
    let s = c.snd_nxt;
    c.send(&what.clone().label("it acknowledges what is long past"));
    let answer =
        c.expect(lab.now_window(), |_, got| got.flags.intersects(Flags::ACK | Flags::RST)).await;
    let taken = answer.as_ref().is_some_and(|got| got.segment.ack.is_after(s));
    if taken {
        c.advance(what.len());
    }
    let said = match &answer {
        Some(got) if got.segment.has(Flags::RST) => {
            return Ok(fail(format!("reset: {}", c.notation(&got.segment))));
        }
        Some(_) if taken => "taken",
        Some(_) => "an ACK, and not taken",
        None => "silence",
    };
    Ok(match lab.liveness(&mut c).await {
        Liveness::Alive => info(format!("{said}; the connection lives")),
        Liveness::Reset(got) => fail(format!("{said}; then {}", c.notation(&got.segment))),
        Liveness::Dead => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), format!("{said}; then dead"))
        }
    })
}

check!(
    CHALLENGE_RATE,
    challenge_rate,
    CheckInfo {
        id: "challenge-rate",
        title: "How many segments out of the window are answered",
        rules: &[THROTTLE],
        level: Level::May,
        cost: Cost::Noisy,
        groups: &[Group::Established, Group::Window],
        expect: "nothing is demanded: a server may throttle its challenge ACKs",
        why: "Unthrottled, they can be made a flood by whoever forges our address.",
    }
);

async fn challenge_rate(lab: Lab) -> Ruling {
    let mut seen = Vec::new();
    for (name, count, apart) in [("at once", 10, 0), ("at 250 ms", 6, 250), ("at 600 ms", 5, 600)] {
        let mut c = lab.ready().await?;
        let s = c.snd_nxt;
        let mut answers = 0;
        for _ in 0..count {
            c.send(&ack().seq(FAR).label("out of the window"));
            answers += c.collect(Duration::from_millis(apart)).await.len();
        }
        let late = c.collect(Duration::from_millis(300) + lab.rtt()).await;
        answers += late.iter().filter(|got| got.segment.ack == s).count();
        seen.push(format!("{name} {answers} of {count}"));
    }
    Ok(info(seen.join(", ")))
}
