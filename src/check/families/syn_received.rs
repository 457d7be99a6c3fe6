//! The half-open connection: SYN-RECEIVED.

use std::time::Duration;

use super::schedule;
use crate::check::finding::{
    Ruling, fail, found, gravest, inconclusive, info, not_applicable, pass, tolerated, warn,
};
use crate::check::lab::{
    Class, Conversation, Lab, Seg, Survival, ack, data, fin, join, rst, seg, usual_offer,
};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Finding, Group, Level, Rule, Trigger, Verdict};
use crate::time::Instant;
use crate::wire::{Flags, Segment};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &SYNRCVD_DUP_SYN,
    &SYNRCVD_SYN_OTHER,
    &SYNRCVD_BADACK,
    &SYNRCVD_RST_EXACT,
    &SYNRCVD_RST_INWINDOW,
    &SYNRCVD_RST_OUTSIDE,
    &SYNRCVD_DATA,
    &SYNRCVD_FIN,
    &SYNRCVD_FIN_NOACK,
    &SYNRCVD_OOW,
    &SYNACK_RETX,
    &SYNACK_GIVEUP,
];

const FIRST: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "first, check the sequence number" };
const SECOND: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "second, check the RST bit" };
const FOURTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "fourth, check the SYN bit" };
const FIFTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "fifth, check the ACK field" };
const SEVENTH: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "seventh, process the segment text" };
const EIGHTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "eighth, check the FIN bit" };
const RESETS: Rule = Rule { rfc: 9293, section: "3.5.2", detail: "(2)" };
const CLOSED: Rule = Rule { rfc: 9293, section: "3.10.7.1", detail: "" };
const BLIND_RST: Rule = Rule { rfc: 5961, section: "3.2", detail: "" };
const RTO: Rule = Rule { rfc: 6298, section: "2", detail: "(2.1)" };
const BACKOFF: Rule = Rule { rfc: 6298, section: "5", detail: "(5.5)" };

/// From one stimulus to the next that may be throttled.
const APART: Duration = Duration::from_millis(1200);

async fn half_open(lab: &Lab) -> Result<Conversation, crate::check::finding::Stop> {
    lab.half_open(&usual_offer(lab.setting().mss)).await.map(|(c, _)| c)
}

check!(
    SYNRCVD_DUP_SYN,
    synrcvd_dup_syn,
    CheckInfo {
        id: "synrcvd-dup-syn",
        title: "The same SYN again: the SYN-ACK was lost",
        rules: &[FIRST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::SynReceived, Group::Syn],
        expect: "the same SYN-ACK again, or an ACK, or nothing until its own timer",
        why: "A client whose SYN-ACK was lost repeats its SYN; another initial number would break \
              the connection that the first one began.",
    }
);

async fn synrcvd_dup_syn(lab: Lab) -> Ruling {
    let offer = usual_offer(lab.setting().mss);
    let (mut c, first) = lab.half_open(&offer).await?;
    let again = offer.syn(&c).seq_at(c.iss).label("the same SYN again");
    c.send(&again);
    let Some(got) = c.expect(lab.now_window(), |_, _| true).await else {
        return Ok(tolerated("nothing, until its own timer"));
    };
    let segment = &got.segment;
    Ok(if segment.has(Flags::RST) {
        fail(format!("reset: {}", c.notation(segment)))
    } else if segment.has(Flags::SYN) && segment.seq != first.seq {
        fail(format!("another initial number: {}", c.notation(segment)))
    } else if segment.has(Flags::SYN) {
        pass("the same SYN-ACK again")
    } else {
        pass("an ACK")
    })
}

check!(
    SYNRCVD_SYN_OTHER,
    synrcvd_syn_other,
    CheckInfo {
        id: "synrcvd-syn-other",
        title: "Another SYN on the same ports",
        rules: &[FIRST, FOURTH],
        level: Level::Observation,
        cost: Cost::Noisy,
        groups: &[Group::SynReceived, Group::Syn, Group::Window],
        expect: "out of the window an ACK; in it RST, a new SYN-ACK or a challenge ACK",
        why: "It tells what a client that restarts in the middle of a handshake meets.",
    }
);

async fn synrcvd_syn_other(lab: Lab) -> Ruling {
    let offer = usual_offer(lab.setting().mss);
    let mut seen = Vec::new();
    for (name, offset) in [("in the window", 100), ("out of it", 300_000)] {
        let (mut c, _) = lab.half_open(&offer).await?;
        let other = offer.syn(&c).seq(offset).label("another SYN");
        c.send(&other);
        let answer = c.expect(lab.now_window(), |_, _| true).await;
        seen.push(match answer {
            Some(got) => format!("{name}: {}", c.notation(&got.segment)),
            None => format!("{name}: silence"),
        });
    }
    Ok(info(seen.join("; ")))
}

check!(
    SYNRCVD_BADACK,
    synrcvd_badack,
    CheckInfo {
        id: "synrcvd-badack",
        title: "An ACK that does not acknowledge the SYN-ACK",
        rules: &[FIFTH, RESETS],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::SynReceived, Group::Rst],
        expect: "RST with SEQ = SEG.ACK; the right ACK still opens the connection",
        why: "It clears away half-open connections of an earlier life without harming the new one.",
    }
);

async fn synrcvd_badack(lab: Lab) -> Ruling {
    lab.bears_connections()?;
    let low = bad_ack(&lab, -1, Class::Ordinary);
    let high = bad_ack(&lab, 1000, Class::OutOfWindow);
    let [low, high] = pair(join(vec![Box::pin(low), Box::pin(high)]).await)?;
    gravest(vec![("too low", low), ("too high", high)])
}

/// Two results out of a list of two.
fn pair(all: Vec<Ruling>) -> Result<[Ruling; 2], crate::check::finding::Stop> {
    all.try_into().map_err(|_| inconclusive("a part of it did not end"))
}

async fn bad_ack(lab: &Lab, offset: i64, class: Class) -> Ruling {
    let mut c = half_open(lab).await?;
    let wrong = ack().ack(offset).label("an ACK of the wrong number");
    let reset = |_: &Conversation, got: &Segment| got.has(Flags::RST);
    let got = lab.ask(&mut c, &wrong, lab.now_window(), reset).await;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // modulo 2^32
    let named = c.rcv_nxt + offset as u32;
    c.pass_over_resets_at(named);
    match lab.complete(&mut c).await {
        Survival::Alive => {}
        Survival::Gone(got) => {
            return Ok(fail(format!("the right ACK was refused: {}", c.notation(&got.segment))));
        }
        Survival::Silent => return Err(inconclusive("after the right ACK the server is silent")),
    }
    Ok(match got {
        Some(got) if got.segment.seq == named => pass("RST, and the right ACK opens it"),
        Some(got) => warn(format!("RST of another number: {}", c.notation(&got.segment))),
        None => found(lab.on_silence(class, Verdict::Warn), "no RST; the right ACK opens it"),
    })
}

check!(
    SYNRCVD_RST_EXACT,
    synrcvd_rst_exact,
    CheckInfo {
        id: "synrcvd-rst-exact",
        title: "An exact RST",
        rules: &[SECOND],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::SynReceived, Group::Rst],
        expect: "the half-open connection is gone: no more SYN-ACK, a late ACK is reset",
        why: "Otherwise half-open scans and clients that give up fill the table of half-open \
              connections.",
    }
);

async fn synrcvd_rst_exact(lab: Lab) -> Ruling {
    let mut c = half_open(&lab).await?;
    lab.reset_for_sure(&mut c, "an exact RST").await;
    let more = c.expect(Duration::from_secs(5), |_, got| got.has(Flags::SYN)).await;
    if let Some(more) = more {
        return Ok(fail(format!("it is still there: {}", c.notation(&more.segment))));
    }
    let reset = |_: &Conversation, got: &Segment| got.has(Flags::RST);
    let late = ack().label("a late ACK");
    let gone = lab.ask(&mut c, &late, lab.now_window(), reset).await;
    c.become_established();
    half_open(&lab).await?;
    Ok(match gone {
        Some(_) => pass("gone, and a new SYN is answered"),
        None => found(
            lab.on_silence(Class::Stray, Verdict::Warn),
            "no more SYN-ACK; a late ACK meets silence",
        ),
    })
}

check!(
    SYNRCVD_RST_INWINDOW,
    synrcvd_rst_inwindow,
    CheckInfo {
        id: "synrcvd-rst-inwindow",
        title: "A RST in the window that is not exact",
        rules: &[SECOND, BLIND_RST],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::SynReceived, Group::Rst, Group::Window],
        expect: "a challenge ACK; the connection can still be opened",
        why: "A guessed RST must not prevent a connection.",
    }
);

async fn synrcvd_rst_inwindow(lab: Lab) -> Ruling {
    lab.bears_connections()?;
    let mut c = half_open(&lab).await?;
    let end = c.snd_nxt;
    let challenge = |_: &Conversation, got: &Segment| got.flags == Flags::ACK && got.ack == end;
    let what = rst().seq(100).label("RST in the window, not exact");
    let challenged = lab.ask(&mut c, &what, lab.now_window(), challenge).await.is_some();
    Ok(match (lab.complete(&mut c).await, challenged) {
        (Survival::Alive, true) => pass("a challenge ACK, and the connection opens"),
        (Survival::Alive, false) => tolerated("silence, and the connection opens"),
        (Survival::Gone(got), _) => warn(format!("it was obeyed: {}", c.notation(&got.segment))),
        (Survival::Silent, _) => {
            found(lab.on_silence(Class::Ordinary, Verdict::Warn), "no connection after it")
        }
    })
}

check!(
    SYNRCVD_RST_OUTSIDE,
    synrcvd_rst_outside,
    CheckInfo {
        id: "synrcvd-rst-outside",
        title: "A RST out of the window",
        rules: &[FIRST, SECOND],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::SynReceived, Group::Rst, Group::Window],
        expect: "silence; the connection can still be opened",
        why: "A blind RST must not prevent a connection.",
    }
);

async fn synrcvd_rst_outside(lab: Lab) -> Ruling {
    lab.bears_connections()?;
    let mut c = half_open(&lab).await?;
    let end = c.snd_nxt;
    let what = rst().seq(-1000).label("RST out of the window");
    let challenge = |_: &Conversation, got: &Segment| got.flags == Flags::ACK && got.ack == end;
    let answered = lab.disturb(&mut c, &what, challenge).await.is_some();
    Ok(match (lab.complete(&mut c).await, answered) {
        (Survival::Alive, false) => {
            return lab.ignored(Class::OutOfWindow, "silence, and the connection opens");
        }
        (Survival::Alive, true) => tolerated("an ACK, and the connection opens"),
        (Survival::Gone(got), _) => fail(format!("it was obeyed: {}", c.notation(&got.segment))),
        (Survival::Silent, _) => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "no connection after it")
        }
    })
}

check!(
    SYNRCVD_DATA,
    synrcvd_data,
    CheckInfo {
        id: "synrcvd-data",
        title: "The last ACK is lost, data come first",
        rules: &[FIFTH, SEVENTH],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::SynReceived],
        expect: "the data open the connection, are acknowledged, and reach the application",
        why: "Whenever the last ACK of a handshake is lost, the request has to do its work.",
    }
);

async fn synrcvd_data(lab: Lab) -> Ruling {
    waits_for_us(&lab)?;
    let at_once =
        first_segment(&lab, data(b"hello").label("data in place of the ACK"), Duration::ZERO);
    let later = first_segment(&lab, data(b"hello").label("data in place of the ACK"), APART);
    let [at_once, later] = pair(join(vec![Box::pin(at_once), Box::pin(later)]).await)?;
    gravest(vec![("at once", at_once), ("after a SYN-ACK more", later)])
}

/// Not applicable where the server closes before it could take anything.
fn waits_for_us(lab: &Lab) -> Result<(), crate::check::finding::Stop> {
    if lab.server().closes_first == Some(Trigger::Connect) {
        return Err(not_applicable("the server closes as soon as it is connected"));
    }
    lab.bears_connections()
}

/// `what` comes instead of the ACK of the handshake, after a while.
async fn first_segment(lab: &Lab, what: Seg, after: Duration) -> Ruling {
    let mut c = half_open(lab).await?;
    c.collect(after).await;
    c.become_established();
    let end = c.snd_nxt + what.len();
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == end
    };
    Ok(match lab.ask(&mut c, &what, lab.ack_window(), decides).await {
        Some(got) if got.segment.has(Flags::RST) => {
            fail(format!("reset: {}", c.notation(&got.segment)))
        }
        Some(_) => {
            c.advance(what.len());
            served(lab, &mut c, &what).await
        }
        None => found(lab.on_silence(Class::Ordinary, Verdict::Fail), "never acknowledged"),
    })
}

/// Whether the application was told too of what opened its connection: what is echoed comes back, and
/// whoever closes after us does.
async fn served(lab: &Lab, c: &mut Conversation, what: &Seg) -> Finding {
    let server = lab.server();
    let missing = if what.flags().contains(Flags::FIN) {
        if server.closes_after_fin.is_none() {
            return pass("acknowledged");
        }
        c.drain_to_fin(lab.server_window()).await;
        (c.peer_fin.is_none() && !c.was_reset).then_some("acknowledged, but it does not close")
    } else {
        if !server.echoes {
            return pass("acknowledged");
        }
        let due = server.greets + u64::from(what.len());
        c.drain(lab.server_window(), due).await;
        ((c.received.len() as u64) < due).then_some("acknowledged, but it is never echoed")
    };
    match missing {
        None => pass("acknowledged, and the application served"),
        Some(text) => found(lab.on_silence(Class::Ordinary, Verdict::Fail), text),
    }
}

check!(
    SYNRCVD_FIN,
    synrcvd_fin,
    CheckInfo {
        id: "synrcvd-fin",
        title: "The last ACK is lost, our FIN comes first",
        rules: &[FIFTH, EIGHTH],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::SynReceived, Group::Fin],
        expect: "the FIN opens the connection and is acknowledged, and the application closes",
        why: "A client that connects and closes at once must not leave anything behind.",
    }
);

async fn synrcvd_fin(lab: Lab) -> Ruling {
    waits_for_us(&lab)?;
    first_segment(&lab, fin().label("FIN in place of the ACK"), Duration::ZERO).await
}

check!(
    SYNRCVD_FIN_NOACK,
    synrcvd_fin_noack,
    CheckInfo {
        id: "synrcvd-fin-noack",
        title: "A FIN without ACK",
        rules: &[FIFTH],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::SynReceived, Group::Fin],
        expect: "silence: it is dropped; the connection can still be opened",
        why: "Scanners send it; it must not prevent a connection.",
    }
);

async fn synrcvd_fin_noack(lab: Lab) -> Ruling {
    lab.bears_connections()?;
    let mut c = half_open(&lab).await?;
    let end = c.snd_nxt;
    c.send(&seg(Flags::FIN).label("FIN without ACK"));
    let taken = |_: &Conversation, got: &Segment| got.has(Flags::RST) || got.ack == end + 1;
    if let Some(got) = c.expect(lab.now_window(), taken).await {
        return Ok(fail(format!("it was not dropped: {}", c.notation(&got.segment))));
    }
    Ok(match lab.complete(&mut c).await {
        Survival::Alive => return lab.ignored(Class::Stray, "silence, and the connection opens"),
        Survival::Gone(got) => {
            fail(format!("no connection after it: {}", c.notation(&got.segment)))
        }
        Survival::Silent => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "no connection after it")
        }
    })
}

check!(
    SYNRCVD_OOW,
    synrcvd_oow,
    CheckInfo {
        id: "synrcvd-oow",
        title: "Data out of the window",
        rules: &[FIRST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::SynReceived, Group::Window],
        expect: "an ACK of what is expected",
        why: "The ACK is what tells a peer that lost track where the connection stands.",
    }
);

async fn synrcvd_oow(lab: Lab) -> Ruling {
    lab.bears_connections()?;
    let mut c = half_open(&lab).await?;
    let end = c.snd_nxt;
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.flags == Flags::ACK && got.ack == end
    };
    let what = data(b"far").seq(200_000).label("data out of the window");
    Ok(match lab.ask(&mut c, &what, lab.now_window(), decides).await {
        Some(got) if got.segment.has(Flags::RST) => {
            fail(format!("reset: {}", c.notation(&got.segment)))
        }
        Some(_) => pass("an ACK"),
        None => found(lab.on_silence(Class::OutOfWindow, Verdict::Fail), "no ACK"),
    })
}

check!(
    SYNACK_RETX,
    synack_retx,
    CheckInfo {
        id: "synack-retx",
        title: "The SYN-ACK is not answered",
        rules: &[RTO, BACKOFF],
        level: Level::Should,
        cost: Cost::Slow,
        groups: &[Group::SynReceived, Group::Retransmission],
        expect: "the same SYN-ACK again, after 1 s (3 s in older rules), each gap twice the one before",
        why: "Without repetition one lost packet costs the client its own time-out; without back-off \
              a flood of SYNs makes a flood of answers.",
    }
);

async fn synack_retx(lab: Lab) -> Ruling {
    let (mut c, first) = lab.half_open(&usual_offer(lab.setting().mss)).await?;
    let began = lab.time();
    let all = schedule::watch(&mut c, |got| got.has(Flags::SYN | Flags::ACK), |_| ()).await;
    if let Some(other) = all.iter().find(|got| got.segment.seq != first.seq) {
        return Ok(fail(format!("another initial number: {}", c.notation(&other.segment))));
    }
    if let Some(other) = all.iter().find(|got| !got.segment.payload.is_empty()) {
        return Ok(fail(format!("a SYN-ACK with data: {}", c.notation(&other.segment))));
    }
    if all.is_empty() {
        return Ok(warn("the SYN-ACK is never repeated (SYN cookies?)"));
    }
    let mut times: Vec<Instant> = lab.last_arrival_before(began).into_iter().collect();
    times.extend(all.iter().map(|got| got.stamp.at));
    let finding = schedule::judge(&lab, "SYN-ACK", &times, false);
    let gap = schedule::gaps(&times).first().copied().unwrap_or_default().as_secs_f64();
    if finding.verdict == Verdict::Pass && !(0.8..=3.5).contains(&gap) {
        let text = format!("the first repetition came after {gap:.1} s");
        return Ok(Finding { observed: text, verdict: Verdict::Warn, ..finding });
    }
    Ok(finding)
}

check!(
    SYNACK_GIVEUP,
    synack_giveup,
    CheckInfo {
        id: "synack-giveup",
        title: "What is left once the server has given up",
        rules: &[CLOSED],
        level: Level::Observation,
        cost: Cost::Slow,
        groups: &[Group::SynReceived, Group::Retransmission],
        expect: "a late ACK meets LISTEN: RST",
        why: "It tells how long a handshake may take, and whether a flood of SYNs leaves anything.",
    }
);

async fn synack_giveup(lab: Lab) -> Ruling {
    let mut c = half_open(&lab).await?;
    let all = schedule::watch(&mut c, |got| got.has(Flags::SYN | Flags::ACK), |_| ()).await;
    let farewell = if c.was_reset { ", and a RST at the end" } else { "" };
    let expected = c.rcv_nxt;
    let late = ack().label("a late ACK");
    let reset = |_: &Conversation, got: &Segment| got.has(Flags::RST);
    let count = all.len();
    Ok(match lab.ask(&mut c, &late, lab.now_window(), reset).await {
        Some(got) if got.segment.seq == expected => {
            c.leave_quietly();
            info(format!("{count} repetitions{farewell}; a late ACK is reset"))
        }
        Some(got) => info(format!("{count} repetitions{farewell}; {}", c.notation(&got.segment))),
        None => info(format!("{count} repetitions{farewell}; a late ACK meets silence")),
    })
}
