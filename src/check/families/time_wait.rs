//! What is left of a connection that the server closed: TIME-WAIT at its end.

use std::time::Duration;

use crate::check::finding::{
    Ruling, Stop, fail, found, gravest, inconclusive, info, not_applicable, pass, warn,
};
use crate::check::lab::{
    Arrival, Class, Conversation, Got, Lab, Offer, Running, Seg, ack, data, fin, join, rst, seg,
    syn, usual_offer,
};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Verdict};
use crate::wire::{Flags, Segment, TcpOption};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &TW_REACK,
    &TW_RST,
    &TW_OLD,
    &TW_NOACK,
    &TW_SYN_HIGHER,
    &TW_SYN_LOWER,
    &TW_SYN_TS_NEWER,
    &TW_SYN_TS_OLDER,
    &TW_SYN_TS_MIXED,
    &TW_LENGTH,
];

const EIGHTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "eighth, TIME-WAIT" };
const FIRST: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "first, check the sequence number" };
const FIFTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "fifth, check the ACK field" };
const HAZARDS: Rule = Rule { rfc: 1337, section: "3", detail: "" };
const MAY_2: Rule = Rule { rfc: 9293, section: "3.6.1", detail: "MAY-2" };
const MUST_13: Rule = Rule { rfc: 9293, section: "3.6.1", detail: "MUST-13" };
const REUSE: Rule = Rule { rfc: 6191, section: "2", detail: "" };

/// How far a new incarnation's first number is from the old one's last.
const FAR: i64 = 100_000;
/// Ages at which a TIME-WAIT is looked at, in seconds: around the lengths that stacks are known for.
const AGES: [u64; 15] = [1, 5, 10, 20, 28, 33, 45, 55, 66, 90, 115, 125, 180, 235, 245];
/// A TIME-WAIT shorter than this is shorter than any path's lifetime of a segment, doubled.
const SHORT: u64 = 60;

/// A connection in TIME-WAIT at the server: both FINs are acknowledged.
async fn time_wait(lab: &Lab, offer: &Offer) -> Result<Conversation, Stop> {
    let mut c = lab.closed_by_server_with(offer).await?;
    c.take_fin();
    let s = c.snd_nxt;
    let ours = fin().label("our FIN, and the ACK of its");
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == s + 1
    };
    match lab.ask(&mut c, &ours, lab.ack_window(), decides).await {
        Some(got) if got.segment.has(Flags::RST) => {
            Err(inconclusive("our FIN was reset: there is no TIME-WAIT"))
        }
        Some(_) => {
            c.advance(1);
            Ok(c)
        }
        None => Err(inconclusive("our FIN was not acknowledged")),
    }
}

fn usual(lab: &Lab) -> Offer {
    usual_offer(lab.setting().mss)
}

fn plain(lab: &Lab) -> Offer {
    Offer::of(&[TcpOption::Mss(lab.setting().mss)])
}

/// What our FIN, sent again, meets.
async fn ask_again(lab: &Lab, c: &mut Conversation, label: &'static str) -> Option<Got> {
    let decides = |c: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.flags.contains(Flags::ACK) && got.ack == c.snd_nxt
    };
    lab.ask(c, &fin().seq(-1).label(label), lab.now_window(), decides).await
}

check!(
    TW_REACK,
    tw_reack,
    CheckInfo {
        id: "tw-reack",
        title: "Our FIN again: the last ACK was lost",
        rules: &[EIGHTH],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::TimeWait, Group::Fin],
        expect: "the ACK again: this is what TIME-WAIT is for",
        why: "Where the last ACK is lost and not repeated, the client's close ends in a reset or hangs.",
    }
);

async fn tw_reack(lab: Lab) -> Ruling {
    let mut c = time_wait(&lab, &usual(&lab)).await?;
    let r = c.rcv_nxt;
    Ok(match ask_again(&lab, &mut c, "our FIN again").await {
        Some(got) if got.segment.has(Flags::RST) => {
            fail(format!("reset: {}", c.notation(&got.segment)))
        }
        Some(got) if got.segment.seq == r => pass("acknowledged again"),
        Some(got) => {
            warn(format!("acknowledged with another number: {}", c.notation(&got.segment)))
        }
        None => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            found(verdict, "not acknowledged again")
        }
    })
}

check!(
    TW_RST,
    tw_rst,
    CheckInfo {
        id: "tw-rst",
        title: "An exact RST in TIME-WAIT",
        rules: &[HAZARDS],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::TimeWait, Group::Rst],
        expect: "TIME-WAIT goes on: its end by a RST is what RFC 1337 warns of",
        why: "A TIME-WAIT that one RST ends lets old duplicates into the next connection of that pair \
              of ports.",
    }
);

async fn tw_rst(lab: Lab) -> Ruling {
    let mut c = time_wait(&lab, &usual(&lab)).await?;
    // One of them arrives.
    for _ in 0..3 {
        c.send(&rst().label("an exact RST"));
        c.pause(Duration::from_millis(50)).await;
    }
    Ok(match ask_again(&lab, &mut c, "is it still there? our FIN again").await {
        Some(got) if got.segment.has(Flags::RST) => warn("one RST ended TIME-WAIT"),
        Some(_) => pass("TIME-WAIT survived the RST"),
        None => {
            let verdict = lab.on_silence(Class::Stray, Verdict::Warn);
            found(verdict, "after the RST nothing answers our FIN")
        }
    })
}

check!(
    TW_OLD,
    tw_old,
    CheckInfo {
        id: "tw-old",
        title: "Old data, new data and numbers out of the window in TIME-WAIT",
        rules: &[FIRST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::TimeWait, Group::Window],
        expect: "an ACK each, and TIME-WAIT goes on",
        why: "The ACK is what tells a peer that lost track where the connection stands.",
    }
);

async fn tw_old(lab: Lab) -> Ruling {
    let stimuli = [
        (
            "old data",
            Class::Ordinary,
            (Verdict::Fail, Verdict::Fail),
            data(b"old").seq(-4).label("old data"),
        ),
        (
            "new data",
            Class::Ordinary,
            // Their number is in the window, and they are behind our FIN: whoever sends them deserves
            // no answer (RFC 9293 §3.10.7.4, seventh), or that of a socket that nobody reads.
            (Verdict::Tolerated, Verdict::Tolerated),
            data(b"new").label("data behind our FIN"),
        ),
        (
            "an ACK out of the window",
            Class::OutOfWindow,
            // Nobody waits for this answer but whoever has lost track.
            (Verdict::Warn, Verdict::Fail),
            ack().seq(300_000).label("out of the window"),
        ),
    ];
    let runs: Vec<Running<'_, Ruling>> = stimuli
        .iter()
        .map(|(_, class, otherwise, what)| -> Running<'_, _> {
            Box::pin(answered_in_time_wait(&lab, *class, *otherwise, what))
        })
        .collect();
    let all = join(runs).await;
    gravest(stimuli.iter().map(|(name, ..)| *name).zip(all).collect())
}

/// The ruling on a segment that TIME-WAIT has to acknowledge; `silence` and `reset` are what the other
/// answers deserve. Taken, it is a failure.
async fn answered_in_time_wait(
    lab: &Lab,
    class: Class,
    (silence, reset): (Verdict, Verdict),
    what: &Seg,
) -> Ruling {
    let mut c = time_wait(lab, &usual(lab)).await?;
    let s = c.snd_nxt;
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.flags == Flags::ACK && got.ack.is_at_or_after(s)
    };
    Ok(match lab.ask(&mut c, what, lab.now_window(), decides).await {
        Some(got) if got.segment.has(Flags::RST) => {
            found(reset, format!("reset: {}", c.notation(&got.segment)))
        }
        Some(got) if got.segment.ack != s => {
            fail(format!("it was taken: {}", c.notation(&got.segment)))
        }
        Some(_) => pass("acknowledged"),
        None => found(lab.on_silence(class, silence), "no answer"),
    })
}

check!(
    TW_NOACK,
    tw_noack,
    CheckInfo {
        id: "tw-noack",
        title: "Segments without ACK in TIME-WAIT",
        rules: &[FIFTH],
        level: Level::Observation,
        cost: Cost::Noisy,
        groups: &[Group::TimeWait],
        expect: "silence, or the ACK that an unacceptable number asks for",
        why: "It tells stacks apart; nothing depends on it.",
    }
);

async fn tw_noack(lab: Lab) -> Ruling {
    let mut seen = Vec::new();
    for (name, what) in [("NULL", seg(Flags::NONE)), ("FIN", seg(Flags::FIN).seq(-1))] {
        let mut c = time_wait(&lab, &usual(&lab)).await?;
        c.send(&what.label("without ACK"));
        let answer = c.listen(lab.now_window()).await;
        seen.push(match answer.first() {
            Some(got) => format!("{name}: {}", c.notation(&got.segment)),
            None => format!("{name}: silence"),
        });
    }
    Ok(info(seen.join("; ")))
}

/// What a SYN on the same ports meets in TIME-WAIT.
enum Reopened {
    /// A new connection: the SYN-ACK.
    Accepted(Segment),
    /// The old one answers.
    Acknowledged,
    Reset,
    Silence,
}

async fn reopen(lab: &Lab, c: &mut Conversation, what: &Seg, offset: i64) -> Reopened {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // modulo 2^32
    let syn_ack = c.snd_nxt + offset as u32 + 1;
    let old = c.snd_nxt;
    let decides = move |_: &Conversation, got: &Segment| {
        got.has(Flags::RST)
            || got.has(Flags::SYN | Flags::ACK) && got.ack == syn_ack
            || got.flags == Flags::ACK && got.ack == old
    };
    match lab.ask(c, &what.clone().seq(offset), lab.now_window(), decides).await {
        None => Reopened::Silence,
        Some(got) if got.segment.has(Flags::RST) => Reopened::Reset,
        Some(got) if got.segment.has(Flags::SYN) => Reopened::Accepted(got.segment),
        Some(_) => Reopened::Acknowledged,
    }
}

check!(
    TW_SYN_HIGHER,
    tw_syn_higher,
    CheckInfo {
        id: "tw-syn-higher",
        title: "A SYN with a higher number on the ports of a TIME-WAIT",
        rules: &[MAY_2],
        level: Level::May,
        cost: Cost::Safe,
        groups: &[Group::TimeWait, Group::Syn, Group::Isn],
        expect: "a new connection whose initial number is above the old one's last; or an ACK",
        why: "A busy client comes back on the same port within the minute; with a lower initial \
              number its new connection may take in old data.",
    }
);

async fn tw_syn_higher(lab: Lab) -> Ruling {
    let mut c = time_wait(&lab, &plain(&lab)).await?;
    let r = c.rcv_nxt;
    let what = syn().options(&[TcpOption::Mss(lab.setting().mss)]).label("SYN on the same ports");
    Ok(match reopen(&lab, &mut c, &what, FAR).await {
        // The largest number of the old connection is that of its FIN, one before `r`.
        Reopened::Accepted(syn_ack) if syn_ack.seq.is_at_or_after(r) => {
            pass("a new connection, its initial number above the old one's last")
        }
        Reopened::Accepted(syn_ack) => fail(format!(
            "a new connection, whose initial number is not above the old one's last: {}",
            c.notation(&syn_ack)
        )),
        Reopened::Acknowledged => pass("the old connection answered"),
        Reopened::Reset => warn("reset: TIME-WAIT did not last"),
        Reopened::Silence => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Warn);
            found(verdict, "neither a new connection nor an ACK")
        }
    })
}

check!(
    TW_SYN_LOWER,
    tw_syn_lower,
    CheckInfo {
        id: "tw-syn-lower",
        title: "A SYN with a lower number on the ports of a TIME-WAIT",
        rules: &[FIRST, REUSE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::TimeWait, Group::Syn],
        expect: "an ACK, or silence (RFC 6191); TIME-WAIT goes on",
        why: "An old duplicate of a SYN must not open a connection that nobody asked for.",
    }
);

async fn tw_syn_lower(lab: Lab) -> Ruling {
    let mut c = time_wait(&lab, &plain(&lab)).await?;
    let began = lab.time();
    let what = syn().options(&[TcpOption::Mss(lab.setting().mss)]).label("SYN on the same ports");
    match reopen(&lab, &mut c, &what, -FAR).await {
        Reopened::Accepted(syn_ack) => {
            return Ok(fail(format!("a new connection: {}", c.notation(&syn_ack))));
        }
        Reopened::Reset => return Ok(fail("reset: the SYN ended TIME-WAIT")),
        Reopened::Acknowledged | Reopened::Silence => {}
    }
    c.pause(Duration::from_millis(1200)).await;
    Ok(match ask_again(&lab, &mut c, "is it still there? our FIN again").await {
        Some(got) if !got.segment.has(Flags::RST) => pass("not accepted, and TIME-WAIT went on"),
        Some(_) if is_over_by_itself(&lab, lab.time().since(began)).await? => {
            return Err(inconclusive("its TIME-WAIT is over before one could see it"));
        }
        Some(_) => fail("the SYN ended TIME-WAIT"),
        None => {
            // A firewall may have taken the SYN for the end of what it knew of the connection.
            let verdict = lab.on_silence(Class::OutOfWindow, Verdict::Fail);
            found(verdict, "after the SYN nothing answers our FIN")
        }
    })
}

/// Whether a TIME-WAIT to which nothing is done is over after `age`.
async fn is_over_by_itself(lab: &Lab, age: Duration) -> Result<bool, Stop> {
    let mut c = time_wait(lab, &plain(lab)).await?;
    c.pause(age).await;
    let got = ask_again(lab, &mut c, "another one, to compare: our FIN again").await;
    Ok(got.is_some_and(|got| got.segment.has(Flags::RST)))
}

check!(
    TW_SYN_TS_NEWER,
    tw_syn_ts_newer,
    CheckInfo {
        id: "tw-syn-ts-newer",
        title: "A SYN with a newer timestamp and a lower number in TIME-WAIT",
        rules: &[REUSE],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::TimeWait, Group::Syn, Group::Timestamps],
        expect: "a new connection: the timestamp proves that the SYN is new",
        why: "Without it a busy client waits a minute for each pair of ports.",
    }
);

async fn tw_syn_ts_newer(lab: Lab) -> Ruling {
    let mut c = time_wait_with_timestamps(&lab).await?;
    let what = syn_with_timestamp(&lab, c.ts_now().wrapping_add(10_000));
    Ok(match reopen(&lab, &mut c, &what, -FAR).await {
        Reopened::Accepted(_) => pass("a new connection"),
        Reopened::Acknowledged => warn("not accepted: the old connection answered"),
        Reopened::Reset => warn("reset"),
        Reopened::Silence => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Warn);
            found(verdict, "not accepted: silence")
        }
    })
}

check!(
    TW_SYN_TS_OLDER,
    tw_syn_ts_older,
    CheckInfo {
        id: "tw-syn-ts-older",
        title: "A SYN with an older timestamp and a higher number in TIME-WAIT",
        rules: &[REUSE],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::TimeWait, Group::Syn, Group::Timestamps],
        expect: "no new connection: the timestamp says that the SYN is old",
        why: "Data of the new connection would carry timestamps that the old one's guard throws away.",
    }
);

async fn tw_syn_ts_older(lab: Lab) -> Ruling {
    let mut c = time_wait_with_timestamps(&lab).await?;
    let what = syn_with_timestamp(&lab, c.ts_now().wrapping_sub(100_000));
    Ok(match reopen(&lab, &mut c, &what, FAR).await {
        Reopened::Accepted(syn_ack) => warn(format!("a new connection: {}", c.notation(&syn_ack))),
        Reopened::Acknowledged => pass("not accepted: the old connection answered"),
        Reopened::Reset => warn("reset"),
        Reopened::Silence => pass("not accepted: silence"),
    })
}

check!(
    TW_SYN_TS_MIXED,
    tw_syn_ts_mixed,
    CheckInfo {
        id: "tw-syn-ts-mixed",
        title: "A SYN with a timestamp and a lower number after a connection without",
        rules: &[REUSE],
        level: Level::Observation,
        cost: Cost::Safe,
        groups: &[Group::TimeWait, Group::Syn, Group::Timestamps],
        expect: "nothing is demanded",
        why: "It tells by which rules the server reuses the ports of a TIME-WAIT.",
    }
);

async fn tw_syn_ts_mixed(lab: Lab) -> Ruling {
    if !lab.server().timestamps {
        return Err(not_applicable("the server knows no timestamps"));
    }
    let mut c = time_wait(&lab, &plain(&lab)).await?;
    let what = syn_with_timestamp(&lab, c.ts_now());
    Ok(info(match reopen(&lab, &mut c, &what, -FAR).await {
        Reopened::Accepted(_) => "a new connection",
        Reopened::Acknowledged => "the old connection answered",
        Reopened::Reset => "reset",
        Reopened::Silence => "silence",
    }))
}

async fn time_wait_with_timestamps(lab: &Lab) -> Result<Conversation, Stop> {
    if !lab.server().timestamps {
        return Err(not_applicable("the server knows no timestamps"));
    }
    time_wait(lab, &usual(lab)).await
}

fn syn_with_timestamp(lab: &Lab, value: u32) -> Seg {
    let timestamps = TcpOption::Timestamps { value, echo: 0 };
    syn().options(&[TcpOption::Mss(lab.setting().mss), timestamps]).label("SYN on the same ports")
}

check!(
    TW_LENGTH,
    tw_length,
    CheckInfo {
        id: "tw-length",
        title: "How long TIME-WAIT lasts",
        rules: &[MUST_13],
        level: Level::Should,
        cost: Cost::Slow,
        groups: &[Group::TimeWait, Group::Fin],
        expect: "2 MSL, 240 s by the letter; a minute is what most servers have",
        why: "A shorter one lets old duplicates into the next connection of that pair of ports.",
    }
);

async fn tw_length(lab: Lab) -> Ruling {
    let looks: Vec<Running<'_, _>> = AGES
        .iter()
        .map(|age| -> Running<'_, _> { Box::pin(is_in_time_wait(&lab, *age)) })
        .collect();
    let mut there = 0;
    let (mut gone, mut refused) = (None, None);
    for (age, look) in AGES.iter().zip(join(looks).await) {
        match look {
            Ok(Some(true)) => there = *age,
            Ok(Some(false)) => gone = gone.or(Some(*age)),
            Ok(None) => {}
            Err(stop) => refused = Some(stop),
        }
    }
    // One connection that failed leaves a gap; that all of them did is what there is to say.
    if there == 0
        && gone.is_none()
        && let Some(stop) = refused
    {
        return Err(stop);
    }
    let Some(gone) = gone else { return Ok(info(format!("more than {there} s"))) };
    let text = format!("between {there} and {gone} s");
    let finding = if gone < SHORT { warn(text) } else { info(text) };
    Ok(finding.time("time-wait", Duration::from_secs(there + gone) / 2))
}

/// Whether the server is still in TIME-WAIT after so many seconds; `None` where it is silent. Each
/// look restarts its timer, and so needs a connection of its own.
async fn is_in_time_wait(lab: &Lab, age: u64) -> Result<Option<bool>, Stop> {
    let mut c = time_wait(lab, &usual(lab)).await?;
    let until = lab.time() + Duration::from_secs(age);
    while let Some(arrival) = c.next(until).await {
        // What comes again had been sent before our last ACK was there.
        if matches!(&arrival, Arrival::Segment(got) if got.segment.has(Flags::FIN)) {
            c.send(&ack().label("ACK of its FIN, once more"));
        }
    }
    let got = ask_again(lab, &mut c, "is it still there? our FIN again").await;
    Ok(got.map(|got| !got.segment.has(Flags::RST)))
}
