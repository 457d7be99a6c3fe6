//! The open connection: data, their acknowledgment, odd options, urgent data, keep-alive.

use std::time::Duration;

use crate::check::finding::{
    Ruling, fail, found, gravest, inconclusive, info, not_applicable, pass, warn,
};
use crate::check::lab::{Class, Conversation, Lab, Liveness, Running, Seg, ack, data, join, seg};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, FigureValue, Group, Level, Rule, Verdict};
use crate::wire::{Flags, Segment, TcpOption};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] =
    &[&KEEPALIVE_ANSWER, &EST_OPT_ANY, &OVERLAP, &ACK_DELAY, &URG_ECHO, &IDLE_NO_KEEPALIVE];

const KEEPALIVE: Rule = Rule { rfc: 9293, section: "3.8.4", detail: "" };
const NO_KEEPALIVE: Rule = Rule { rfc: 9293, section: "3.8.4", detail: "MUST-25, MUST-28" };
const FIRST: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "first, check the sequence number" };
const OPTIONS: Rule = Rule { rfc: 9293, section: "3.1", detail: "MUST-5, MUST-6" };
const URGENT: Rule = Rule { rfc: 9293, section: "3.8.5", detail: "MUST-30, MUST-31" };
const SEVENTH: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "seventh, process the segment text" };
const DELAYED: Rule = Rule { rfc: 9293, section: "3.8.6.3", detail: "MUST-40, SHLD-18" };

/// An acknowledgment may be put off by less than 0.5 s (MUST-40); beyond this it is surely late.
const LATE: Duration = Duration::from_millis(700);
/// How long an idle connection is watched.
const IDLE: Duration = Duration::from_secs(300);

check!(
    KEEPALIVE_ANSWER,
    keepalive_answer,
    CheckInfo {
        id: "keepalive-answer",
        title: "A keep-alive probe",
        rules: &[KEEPALIVE, FIRST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Window],
        expect: "an ACK, with one byte of old data in the probe or without",
        why: "Where it is missing, clients and load balancers cut connections that are idle.",
    }
);

async fn keepalive_answer(lab: Lab) -> Ruling {
    let mut c = lab.ready().await?;
    let s = c.snd_nxt;
    let says = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == s
    };
    let mut parts = Vec::new();
    for (name, what) in [("empty", ack().seq(-1)), ("with a byte", ack().seq(-1).payload(b"\0"))] {
        let probe = what.label("keep-alive probe");
        let ruling = Ok(match lab.ask(&mut c, &probe, lab.now_window(), says).await {
            Some(got) if got.segment.has(Flags::RST) => {
                fail(format!("reset: {}", c.notation(&got.segment)))
            }
            Some(_) => pass("answered"),
            None => found(lab.on_silence(Class::Ordinary, Verdict::Fail), "no answer"),
        });
        parts.push((name, ruling));
        // The next one may be throttled otherwise.
        c.collect(Duration::from_millis(1200)).await;
    }
    gravest(parts)
}

check!(
    EST_OPT_ANY,
    est_opt_any,
    CheckInfo {
        id: "est-opt-any",
        title: "Odd options and reserved bits on data",
        rules: &[OPTIONS],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Options],
        expect: "the data are acknowledged",
        why: "New extensions can only be tried where old servers bear what they do not know.",
    }
);

async fn est_opt_any(lab: Lab) -> Ruling {
    let unknown = TcpOption::Unknown { kind: 200, data: vec![1, 2, 3, 4] };
    let timestamps = TcpOption::Timestamps { value: 1, echo: 0 };
    let kinds = [
        ("an unknown option", data(b"data").option(unknown)),
        ("timestamps that were not agreed on", data(b"data").option(timestamps)),
        ("reserved bits", seg(Flags::ACK | Flags::PSH | Flags::from_bits(0xe00)).payload(b"data")),
    ];
    let runs: Vec<Running<'_, Ruling>> =
        kinds.iter().map(|(_, what)| -> Running<'_, _> { Box::pin(taken(&lab, what)) }).collect();
    let all = join(runs).await;
    gravest(kinds.iter().map(|(name, _)| *name).zip(all).collect())
}

async fn taken(lab: &Lab, what: &Seg) -> Ruling {
    let plain = crate::check::lab::Offer::of(&[TcpOption::Mss(lab.setting().mss)]);
    let mut c = lab.ready_with(&plain).await?;
    let end = c.snd_nxt + what.len();
    let says = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == end
    };
    let what = what.clone().label("odd, and to be taken");
    Ok(match lab.ask(&mut c, &what, lab.ack_window(), says).await {
        Some(got) if got.segment.has(Flags::RST) => {
            fail(format!("reset: {}", c.notation(&got.segment)))
        }
        Some(_) => {
            c.advance(what.len());
            pass("acknowledged")
        }
        None => found(lab.on_silence(Class::Ordinary, Verdict::Fail), "never acknowledged"),
    })
}

check!(
    OVERLAP,
    overlap,
    CheckInfo {
        id: "overlap",
        title: "Data that overlap",
        rules: &[FIRST, SEVENTH],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established],
        expect: "only what is new is taken: the stream comes back whole, nothing twice",
        why: "Retransmissions overlap all the time; a byte taken twice corrupts files in silence.",
    }
);

async fn overlap(lab: Lab) -> Ruling {
    if !lab.server().echoes {
        return Err(not_applicable("the server sends nothing back to compare"));
    }
    let mut c = lab.ready().await?;
    let (s, before) = (c.snd_nxt, c.received.len());
    c.send(&data(b"hello").label("five bytes"));
    c.send(&data(b"hello").label("the same again"));
    let all = data(b"helloworld").label("the same and five new ones");
    let acked = |_: &Conversation, got: &Segment| got.has(Flags::ACK) && got.ack == s + 10;
    if lab.ask(&mut c, &all, lab.ack_window(), acked).await.is_none() {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        return Ok(found(verdict, "never acknowledged to the end"));
    }
    c.advance(10);
    c.drain(lab.server_window(), before as u64 + 10).await;
    c.drain_until_quiet(Duration::from_millis(100) + 2 * lab.rtt()).await;
    let stream = &c.received[before..];
    if stream == b"helloworld" {
        return Ok(pass("the stream is whole"));
    }
    let text = format!("the stream is {:?}", String::from_utf8_lossy(stream));
    if b"helloworld".starts_with(stream) {
        return Err(inconclusive(format!("{text}, and nothing more comes")));
    }
    Ok(fail(text))
}

check!(
    ACK_DELAY,
    ack_delay,
    CheckInfo {
        id: "ack-delay",
        title: "How long acknowledgments are put off",
        rules: &[DELAYED],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established],
        expect: "each within 0.5 s and the round trip",
        why: "An acknowledgment that comes late looks like a loss, and the data are sent again.",
    }
);

async fn ack_delay(lab: Lab) -> Ruling {
    let mut c = lab.ready().await?;
    let mut delays = Vec::new();
    for _ in 0..4 {
        let end = c.snd_nxt + 3;
        let began = lab.time();
        let says = |_: &Conversation, got: &Segment| {
            got.has(Flags::RST) || got.has(Flags::ACK) && got.ack.is_at_or_after(end)
        };
        let three = data(b"abc").label("three bytes");
        match lab.ask(&mut c, &three, Duration::from_secs(2) + lab.rtt(), says).await {
            Some(got) if got.segment.has(Flags::RST) => {
                return Err(inconclusive("the application does not bear our bytes"));
            }
            Some(got) => {
                c.advance(3);
                let left = lab.only_sent_since(began);
                delays.extend(left.map(|left| got.stamp.at.since(left)));
            }
            None => {
                let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
                return Ok(found(verdict, "three bytes were never acknowledged"));
            }
        }
    }
    let limit = LATE + lab.rtt();
    let late = delays.iter().filter(|delay| **delay > limit).count();
    let worst = delays.iter().max().copied().unwrap_or_default();
    let text = format!("at most {} ms", worst.as_millis());
    let finding = match late {
        0 => pass(text),
        1 => warn(format!("{text}, once")),
        _ => found(lab.on_silence(Class::Ordinary, Verdict::Fail), text),
    };
    Ok(finding.figure("ack-delay", FigureValue::Times(delays)))
}

check!(
    URG_ECHO,
    urg_echo,
    CheckInfo {
        id: "urg-echo",
        title: "Urgent data",
        rules: &[URGENT],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::Established],
        expect: "acknowledged like any data, and the stream goes on",
        why: "Old programs use it still; some hosts were seen to hang on it.",
    }
);

async fn urg_echo(lab: Lab) -> Ruling {
    let mut c = lab.ready().await?;
    let (s, before) = (c.snd_nxt, c.received.len());
    let urgent = seg(Flags::ACK | Flags::PSH | Flags::URG).payload(b"ABCDE").urgent(3);
    let says = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == s + 5
    };
    let what = urgent.label("five bytes, the pointer at three");
    match lab.ask(&mut c, &what, lab.ack_window(), says).await {
        Some(got) if got.segment.has(Flags::RST) => {
            return Ok(fail(format!("reset: {}", c.notation(&got.segment))));
        }
        Some(_) => c.advance(5),
        None => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            return Ok(found(verdict, "never acknowledged"));
        }
    }
    c.drain_until_quiet(Duration::from_millis(200) + 2 * lab.rtt()).await;
    let echoed = String::from_utf8_lossy(&c.received[before..]).into_owned();
    Ok(match lab.liveness(&mut c).await {
        Liveness::Alive if lab.server().echoes => {
            pass(format!("acknowledged; the stream is {echoed:?}"))
        }
        Liveness::Alive => pass("acknowledged, and the stream goes on"),
        Liveness::Reset(got) => {
            fail(format!("the connection is gone: {}", c.notation(&got.segment)))
        }
        Liveness::Dead => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "the connection is dead after it")
        }
    })
}

check!(
    IDLE_NO_KEEPALIVE,
    idle_no_keepalive,
    CheckInfo {
        id: "idle-no-keepalive",
        title: "An idle connection",
        rules: &[NO_KEEPALIVE],
        level: Level::Observation,
        cost: Cost::Slow,
        groups: &[Group::Established],
        expect: "silence: keep-alive is off by default, and not before two hours",
        why: "Probes that come early cost mobile clients their battery; a close tells how long the \
              server lets a connection idle.",
    }
);

async fn idle_no_keepalive(lab: Lab) -> Ruling {
    let mut c = lab.ready().await?;
    let began = lab.time();
    let until = began + IDLE;
    let last = c.rcv_nxt;
    let Some(got) = c.next_segment(until).await else {
        return Ok(info(format!("silence for {} s", IDLE.as_secs())));
    };
    let after = got.stamp.at.since(began);
    let text = if got.segment.has(Flags::FIN) {
        "the server closed"
    } else if got.segment.has(Flags::RST) {
        "the server reset"
    } else if got.segment.seq.is_before(last) {
        "a keep-alive probe: the application switched it on"
    } else {
        "the server said something"
    };
    Ok(info(format!("{text} after {} s", after.as_secs())).time("idle", after))
}
