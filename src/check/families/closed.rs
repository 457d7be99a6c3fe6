//! A port where nobody listens (RFC 9293 §3.10.7.1).

use std::net::SocketAddr;

use crate::check::finding::{
    Ruling, Stop, fail, found, gravest, inconclusive, not_applicable, pass, tolerated,
};
use crate::check::lab::{
    Answer, Class, Conversation, Got, Lab, Running, Seg, ack, fin, join, seg, syn,
};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Verdict};
use crate::wire::{Flags, SeqNum};

const CLOSED: Rule = Rule { rfc: 9293, section: "3.10.7.1", detail: "" };
const RESET: Rule = Rule { rfc: 9293, section: "3.5.2", detail: "group 1" };
const CHECKSUM: Rule = Rule { rfc: 9293, section: "3.1", detail: "MUST-3" };

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] =
    &[&CLOSED_SYN, &CLOSED_SYN_DATA, &CLOSED_ACK, &CLOSED_NOACK, &CLOSED_RST, &CLOSED_BADCSUM];

/// The closed port.
fn closed_port(lab: &Lab) -> Result<SocketAddr, Stop> {
    let path = &lab.setting().path;
    match path.closed_port {
        Some(closed) if closed.refuses => Ok(SocketAddr::new(lab.target().ip(), closed.port)),
        Some(_) if path.stray_answered == Some(false) => {
            Err(inconclusive("no closed port answers, and no stray segment is answered at all"))
        }
        _ => Err(not_applicable("no port is known that refuses connections")),
    }
}

/// What `what` is answered with, from a port where nobody listens.
async fn refused(lab: &Lab, what: &Seg) -> Result<(Conversation, Option<Got>), Stop> {
    let mut conversation = lab.conversation_with(closed_port(lab)?)?;
    match lab.provoke(&mut conversation, what).await {
        Answer::Reset(got) | Answer::Other(got) | Answer::SynAck(got) => {
            Ok((conversation, Some(got)))
        }
        Answer::Icmp => Err(inconclusive("an ICMP error came in place of a RST")),
        Answer::Silence => {
            conversation.leave_quietly();
            Ok((conversation, None))
        }
    }
}

/// The ruling on the answer to a segment without ACK, which has to be
/// `<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>`.
async fn acknowledging_reset(lab: &Lab, what: Seg, silence: Verdict, wrong: Verdict) -> Ruling {
    let (c, got) = refused(lab, &what).await?;
    let Some(Got { segment, .. }) = got else {
        return Ok(found(lab.on_silence(Class::Stray, silence), "silence"));
    };
    let shown = c.notation(&segment);
    if !segment.has(Flags::RST | Flags::ACK) || segment.ack != c.iss + what.len() {
        let due = format!("{shown}, where RST and ack {} are due", what.len());
        return Ok(found(wrong, due));
    }
    Ok(match (segment.seq, segment.window) {
        (SeqNum(0), 0) => pass("RST with the right acknowledgment"),
        (SeqNum(0), _) => tolerated(format!("a window in a RST: {shown}")),
        (seq, _) => tolerated(format!("SEQ {seq} in place of 0: {shown}")),
    })
}

/// The ruling on the answer to a segment that acknowledges what nobody sent, which has to be
/// `<SEQ=SEG.ACK><CTL=RST>`; `none` where none comes.
pub(super) async fn bare_reset(lab: &Lab, mut c: Conversation, what: Seg, none: Verdict) -> Ruling {
    let due = nowhere(&c);
    let segment = match lab.provoke(&mut c, &what.ack_at(due)).await {
        Answer::Reset(got) | Answer::Other(got) | Answer::SynAck(got) => got.segment,
        Answer::Icmp => return Err(inconclusive("an ICMP error came in place of a RST")),
        Answer::Silence => {
            c.leave_quietly();
            return Ok(found(lab.on_silence(Class::Stray, none), "silence"));
        }
    };
    if !segment.has(Flags::RST) {
        return Ok(fail(format!("{} in place of RST", c.notation(&segment))));
    }
    if segment.seq != due {
        return Ok(fail(format!("RST with SEQ {} in place of SEG.ACK, {due}", segment.seq)));
    }
    if segment.has(Flags::ACK) {
        return Ok(tolerated("RST with the right SEQ, and an ACK that is not due"));
    }
    Ok(pass("RST with SEQ = SEG.ACK"))
}

/// An acknowledgment number that nobody sent data for.
pub(super) fn nowhere(c: &Conversation) -> SeqNum {
    SeqNum(c.iss.0.wrapping_mul(3) | 1)
}

/// The ruling on what came for segments that have to be ignored: `reset` for a RST, a failure for a
/// connection.
pub(super) fn silent(lab: &Lab, c: &Conversation, all: &[Got], reset: Verdict) -> Ruling {
    match all.iter().map(|got| &got.segment).max_by_key(|segment| segment.has(Flags::SYN)) {
        None => lab.ignored(Class::Stray, "silence"),
        Some(segment) if segment.has(Flags::RST) => {
            Ok(found(reset, format!("answered by {}", c.notation(segment))))
        }
        Some(segment) => Ok(fail(format!("answered by {}", c.notation(segment)))),
    }
}

check!(
    CLOSED_SYN,
    closed_syn,
    CheckInfo {
        id: "closed-syn",
        title: "A closed port refuses a SYN",
        rules: &[CLOSED, RESET],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Closed, Group::Rst],
        expect: "RST and ACK, SEQ 0, our SYN acknowledged",
        why: "A client believes a refusal only if it acknowledges its SYN; with another number it waits until it times out.",
    }
);

async fn closed_syn(lab: Lab) -> Ruling {
    acknowledging_reset(&lab, syn(), Verdict::Fail, Verdict::Fail).await
}

check!(
    CLOSED_SYN_DATA,
    closed_syn_data,
    CheckInfo {
        id: "closed-syn-data",
        title: "A refusal counts the data of a SYN",
        rules: &[CLOSED],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Closed, Group::Rst],
        expect: "RST and ACK, SYN and 100 bytes acknowledged",
        why: "A stack that miscounts SEG.LEN here miscounts it wherever it answers for no connection.",
    }
);

async fn closed_syn_data(lab: Lab) -> Ruling {
    acknowledging_reset(&lab, syn().payload(&[b'x'; 100]), Verdict::Fail, Verdict::Fail).await
}

check!(
    CLOSED_ACK,
    closed_ack,
    CheckInfo {
        id: "closed-ack",
        title: "A closed port resets what acknowledges",
        rules: &[CLOSED, RESET],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Closed, Group::Rst],
        expect: "ACK, SYN-ACK, FIN-ACK and data are each answered by a bare RST with SEQ = SEG.ACK",
        why: "A peer whose other end has crashed learns it by this RST; with another SEQ it keeps a dead connection.",
    }
);

async fn closed_ack(lab: Lab) -> Ruling {
    let variants = [
        ("ACK", ack()),
        ("SYN-ACK", seg(Flags::SYN | Flags::ACK)),
        ("FIN-ACK", fin()),
        ("data", ack().payload(b"hello")),
    ];
    let mut parts = Vec::new();
    for (name, what) in variants {
        let c = lab.conversation_with(closed_port(&lab)?)?;
        parts.push((name, bare_reset(&lab, c, what.label(name), Verdict::Fail).await));
    }
    gravest(parts)
}

check!(
    CLOSED_NOACK,
    closed_noack,
    CheckInfo {
        id: "closed-noack",
        title: "A closed port resets what does not acknowledge",
        rules: &[CLOSED],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::Closed, Group::Rst, Group::Fin],
        expect: "FIN, no flags at all, data, FIN-PSH-URG and SYN-FIN are each answered by RST and ACK of all that they count",
        why: "It shows whether SYN, FIN and data are each counted in SEG.LEN, as every answer outside a connection needs.",
    }
);

async fn closed_noack(lab: Lab) -> Ruling {
    let variants = [
        ("FIN", seg(Flags::FIN)),
        ("no flags", seg(Flags::NONE)),
        ("data without flags", seg(Flags::NONE).payload(b"hello")),
        ("FIN-PSH-URG", seg(Flags::FIN | Flags::PSH | Flags::URG)),
        ("SYN-FIN", seg(Flags::SYN | Flags::FIN)),
    ];
    let mut parts = Vec::new();
    for (name, what) in variants {
        parts.push((name, without_ack(&lab, what.label(name)).await));
    }
    gravest(parts)
}

async fn without_ack(lab: &Lab, what: Seg) -> Ruling {
    let has_fin = what.flags().contains(Flags::FIN);
    let due = what.len();
    let (c, got) = refused(lab, &what).await?;
    let Some(Got { segment, .. }) = got else {
        return Ok(found(lab.on_silence(Class::Stray, Verdict::Warn), "silence"));
    };
    let shown = c.notation(&segment);
    if !segment.has(Flags::RST) {
        return Ok(fail(format!("{shown} in place of RST")));
    }
    if !segment.has(Flags::ACK) {
        return Ok(found(Verdict::Warn, format!("a RST without ACK: {shown}")));
    }
    let counted = segment.ack.offset_from(c.iss);
    Ok(if counted == due {
        pass("RST with the right acknowledgment")
    } else if has_fin && counted < due {
        tolerated(format!("RST acknowledges {counted} of {due}: the FIN is not counted"))
    } else {
        fail(format!("RST acknowledges {counted} in place of {due}"))
    })
}

check!(
    CLOSED_RST,
    closed_rst,
    CheckInfo {
        id: "closed-rst",
        title: "A closed port does not reset a reset",
        rules: &[RESET, CLOSED],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Closed, Group::Rst],
        expect: "silence, for RST, RST-ACK and SYN-RST",
        why: "Two ends that answer a RST by a RST send them to each other for ever.",
    }
);

async fn closed_rst(lab: Lab) -> Ruling {
    closed_port(&lab)?;
    let mut parts: Vec<Running<'static, (&'static str, Ruling)>> = Vec::new();
    for (name, flags) in RESETS {
        let lab = lab.clone();
        parts.push(Box::pin(async move { (name, unanswered(&lab, seg(flags)).await) }));
    }
    gravest(join(parts).await)
}

/// The ways to say RST.
pub(super) const RESETS: [(&str, Flags); 3] = [
    ("RST", Flags::RST),
    ("RST-ACK", Flags::RST.union(Flags::ACK)),
    ("SYN-RST", Flags::SYN.union(Flags::RST)),
];

async fn unanswered(lab: &Lab, what: Seg) -> Ruling {
    let mut c = lab.conversation_with(closed_port(lab)?)?;
    let what = what.ack_at(nowhere(&c));
    let all = lab.ignore(&mut c, &what).await;
    silent(lab, &c, &all, Verdict::Fail)
}

check!(
    CLOSED_BADCSUM,
    closed_badcsum,
    CheckInfo {
        id: "closed-badcsum",
        title: "A closed port ignores a SYN with a wrong checksum",
        rules: &[CHECKSUM],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Closed],
        expect: "silence",
        why: "A stack that does not check answers for connections that nobody asked for, to whomever a flipped bit names.",
    }
);

async fn closed_badcsum(lab: Lab) -> Ruling {
    let mut c = lab.conversation_with(closed_port(&lab)?)?;
    let all = lab.ignore(&mut c, &syn().wrong_checksum().label("its checksum is wrong")).await;
    checksum_ruling(&lab, &c, &all)
}

/// The ruling on what came for segments whose checksum was wrong.
pub(super) fn checksum_ruling(lab: &Lab, c: &Conversation, all: &[Got]) -> Ruling {
    match all.first() {
        None => lab.ignored(Class::Stray, "silence"),
        // On a link inside one host nobody computes checksums, and the receiver need not look.
        Some(got) if got.checksum_right.is_none() => Err(not_applicable(format!(
            "answered by {}, but on this link the kernel vouches for checksums",
            c.notation(&got.segment)
        ))),
        Some(got) => Ok(fail(format!("answered by {}", c.notation(&got.segment)))),
    }
}
