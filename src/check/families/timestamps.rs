//! Timestamps and PAWS (RFC 7323).

use std::time::Duration;

use crate::check::finding::{
    Ruling, Stop, fail, found, inconclusive, info, not_applicable, pass, tolerated, warn,
};
use crate::check::lab::{Class, Conversation, Lab, Liveness, Seg, data, fin, rst};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Verdict};
use crate::wire::{Flags, Segment, TcpOption};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[&PAWS_DATA, &PAWS_FIN, &PAWS_RST, &TS_MISSING];

const PAWS: Rule = Rule { rfc: 7323, section: "5.3", detail: "R1" };
const PAWS_AND_RST: Rule = Rule { rfc: 7323, section: "5.2", detail: "" };
const MISSING: Rule = Rule { rfc: 7323, section: "3.2", detail: "" };

/// How much older than the newest a timestamp is, in milliseconds of our clock.
const OLD: u32 = 100_000;

/// An open connection with timestamps.
async fn stamped(lab: &Lab) -> Result<Conversation, Stop> {
    if !lab.server().timestamps {
        return Err(not_applicable("the server knows no timestamps"));
    }
    let mut c = lab.ready().await?;
    if c.ts_recent.is_none() {
        return Err(inconclusive("this time timestamps were not agreed on"));
    }
    // It must have seen a timestamp of ours that is newer than the one to come.
    match lab.liveness(&mut c).await {
        Liveness::Alive => Ok(c),
        _ => Err(inconclusive("the connection does not live")),
    }
}

check!(
    PAWS_DATA,
    paws_data,
    CheckInfo {
        id: "paws-data",
        title: "Data with a timestamp of long ago",
        rules: &[PAWS],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Timestamps],
        expect: "an ACK, and not taken; with a fresh timestamp they are",
        why: "At high rates sequence numbers come round within the life of a packet: the timestamp \
              tells old data from new.",
    }
);

async fn paws_data(lab: Lab) -> Ruling {
    let mut c = stamped(&lab).await?;
    old(&lab, &mut c, &data(b"fresh")).await
}

check!(
    PAWS_FIN,
    paws_fin,
    CheckInfo {
        id: "paws-fin",
        title: "A FIN with a timestamp of long ago",
        rules: &[PAWS],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Timestamps, Group::Fin],
        expect: "an ACK, and not taken; with a fresh timestamp it is",
        why: "An old duplicate of a FIN must not end the connection that came after it.",
    }
);

async fn paws_fin(lab: Lab) -> Ruling {
    let mut c = stamped(&lab).await?;
    old(&lab, &mut c, &fin()).await
}

/// `what` with an old timestamp must not be taken, with a fresh one it must.
async fn old(lab: &Lab, c: &mut Conversation, what: &Seg) -> Ruling {
    let s = c.snd_nxt;
    let end = s + what.len();
    let stale = what.clone().ts_value(c.ts_now().wrapping_sub(OLD)).label("its timestamp is old");
    let says = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && (got.ack == s || got.ack.is_after(s))
    };
    let got = lab.ask(c, &stale, lab.now_window(), says).await;
    if let Some(got) = &got
        && got.segment.has(Flags::RST)
    {
        return Ok(fail(format!("reset: {}", c.notation(&got.segment))));
    }
    if let Some(got) = &got
        && got.segment.ack.is_after(s)
    {
        c.advance(what.len());
        return Ok(warn(format!("it was taken: {}", c.notation(&got.segment))));
    }
    let taken = |_: &Conversation, got: &Segment| got.has(Flags::ACK) && got.ack == end;
    let fresh = what.clone().label("with a fresh timestamp");
    if lab.ask(c, &fresh, lab.ack_window(), taken).await.is_none() {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        return Ok(found(verdict, "with a fresh timestamp it was not taken either"));
    }
    c.advance(what.len());
    Ok(match got {
        Some(_) => pass("an ACK, and not taken"),
        None => tolerated("silence, and not taken"),
    })
}

check!(
    PAWS_RST,
    paws_rst,
    CheckInfo {
        id: "paws-rst",
        title: "An exact RST with a timestamp of long ago",
        rules: &[PAWS_AND_RST],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Timestamps, Group::Rst],
        expect: "the connection is gone: a RST is taken whatever its timestamp",
        why: "A client that restarted has another clock; its RST has to clear the old connection away.",
    }
);

async fn paws_rst(lab: Lab) -> Ruling {
    let mut c = stamped(&lab).await?;
    let value = c.ts_now().wrapping_sub(OLD);
    let echo = c.ts_recent.unwrap_or_default();
    let stale =
        rst().options(&[TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { value, echo }]);
    // One of them arrives.
    for _ in 0..3 {
        c.send(&stale.clone().label("an exact RST, its timestamp old"));
        c.collect(Duration::from_millis(50) + lab.rtt()).await;
    }
    Ok(match lab.liveness(&mut c).await {
        Liveness::Reset(_) => {
            c.leave_quietly();
            pass("gone: data are reset")
        }
        Liveness::Alive => warn("the connection lives on"),
        Liveness::Dead => {
            found(lab.on_silence(Class::Stray, Verdict::Warn), "data meet silence in place of RST")
        }
    })
}

check!(
    TS_MISSING,
    ts_missing,
    CheckInfo {
        id: "ts-missing",
        title: "Data without the timestamps that were agreed on",
        rules: &[MISSING],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Timestamps],
        expect: "dropped in silence; the connection must not be aborted",
        why: "Some routers strip options in the middle of a connection: that must cost it nothing \
              but time.",
    }
);

async fn ts_missing(lab: Lab) -> Ruling {
    let mut c = stamped(&lab).await?;
    let s = c.snd_nxt;
    c.send(&data(b"bare").no_timestamps().label("data without timestamps"));
    let says = |_: &Conversation, got: &Segment| got.has(Flags::RST) || got.ack.is_after(s);
    let got = c.expect(lab.ack_window().max(lab.now_window()), says).await;
    let taken = match &got {
        Some(got) if got.segment.has(Flags::RST) => {
            return Ok(fail(format!("aborted: {}", c.notation(&got.segment))));
        }
        Some(_) => {
            c.advance(4);
            true
        }
        None => false,
    };
    Ok(match lab.liveness(&mut c).await {
        Liveness::Reset(got) => fail(format!("aborted: {}", c.notation(&got.segment))),
        Liveness::Dead => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "the connection is dead after it")
        }
        Liveness::Alive if taken => info("taken, as if they had them; the connection lives"),
        Liveness::Alive => pass("dropped in silence; the connection lives"),
    })
}
