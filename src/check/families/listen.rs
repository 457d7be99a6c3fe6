//! A listening port, before any SYN (RFC 9293 §3.10.7.2).

use super::closed::{RESETS, bare_reset, nowhere, silent};
use crate::check::finding::{Ruling, fail, gravest, inconclusive, info, pass};
use crate::check::lab::{Answer, Lab, Running, Seg, ack, fin, join, seg};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Verdict};
use crate::wire::{Flags, Segment};

const FIRST: Rule = Rule { rfc: 9293, section: "3.10.7.2", detail: "first, check for a RST" };
const SECOND: Rule = Rule { rfc: 9293, section: "3.10.7.2", detail: "second, check for an ACK" };
const THIRD: Rule = Rule { rfc: 9293, section: "3.10.7.2", detail: "third, check for a SYN" };
const FOURTH: Rule =
    Rule { rfc: 9293, section: "3.10.7.2", detail: "fourth, other data or control" };

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &LISTEN_ACK,
    &LISTEN_SYNACK,
    &LISTEN_FINACK,
    &LISTEN_NOACK,
    &LISTEN_RST,
    &LISTEN_SYNFIN,
    &LISTEN_SYN_PSH_URG,
];

check!(
    LISTEN_ACK,
    listen_ack,
    CheckInfo {
        id: "listen-ack",
        title: "An ACK to a listening port",
        rules: &[SECOND],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Listen, Group::Rst],
        expect: "a bare RST with SEQ = SEG.ACK",
        why: "After a restart of the server its old clients learn only by this RST that their connections are gone.",
    }
);

async fn listen_ack(lab: Lab) -> Ruling {
    bare_reset(&lab, lab.conversation()?, ack(), Verdict::Fail).await
}

check!(
    LISTEN_SYNACK,
    listen_synack,
    CheckInfo {
        id: "listen-synack",
        title: "A SYN-ACK to a listening port",
        rules: &[SECOND],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Listen, Group::Rst],
        expect: "a bare RST with SEQ = SEG.ACK",
        why: "It ends half-open connections that somebody else began in the server's name.",
    }
);

async fn listen_synack(lab: Lab) -> Ruling {
    // A stack that is careful with reflected SYN-ACKs keeps silent, and nobody misses the RST.
    let what = seg(Flags::SYN | Flags::ACK);
    bare_reset(&lab, lab.conversation()?, what, Verdict::Tolerated).await
}

check!(
    LISTEN_FINACK,
    listen_finack,
    CheckInfo {
        id: "listen-finack",
        title: "A FIN-ACK to a listening port",
        rules: &[SECOND],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Listen, Group::Rst, Group::Fin],
        expect: "a bare RST with SEQ = SEG.ACK",
        why: "A client that closes after the server's restart otherwise repeats its FIN until it gives up.",
    }
);

async fn listen_finack(lab: Lab) -> Ruling {
    bare_reset(&lab, lab.conversation()?, fin(), Verdict::Fail).await
}

check!(
    LISTEN_NOACK,
    listen_noack,
    CheckInfo {
        id: "listen-noack",
        title: "Segments with neither SYN, ACK nor RST to a listening port",
        rules: &[FOURTH],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::Listen, Group::Fin],
        expect: "silence for FIN, no flags at all, FIN-PSH-URG and data; then a SYN is answered as before",
        why: "A connection begun without a SYN is one that no firewall has seen.",
    }
);

async fn listen_noack(lab: Lab) -> Ruling {
    let variants = [
        ("FIN", seg(Flags::FIN)),
        ("no flags", seg(Flags::NONE)),
        ("FIN-PSH-URG", seg(Flags::FIN | Flags::PSH | Flags::URG)),
        ("data", seg(Flags::PSH).payload(b"hello")),
    ];
    let ruling = all_ignored(&lab, &variants, Verdict::Warn).await;
    lab.still_open().await?;
    ruling
}

/// The ruling on segments that a listening port has to ignore; `reset` for those it resets.
async fn all_ignored(lab: &Lab, variants: &[(&'static str, Seg)], reset: Verdict) -> Ruling {
    let mut parts: Vec<Running<'_, (&'static str, Ruling)>> = Vec::new();
    for (name, what) in variants {
        parts.push(Box::pin(async move { (*name, ignored(lab, what, reset).await) }));
    }
    gravest(join(parts).await)
}

async fn ignored(lab: &Lab, what: &Seg, reset: Verdict) -> Ruling {
    let mut c = lab.conversation()?;
    let acknowledges = what.flags().contains(Flags::ACK);
    let what = if acknowledges { what.clone().ack_at(nowhere(&c)) } else { what.clone() };
    let all = lab.ignore(&mut c, &what).await;
    silent(lab, &c, &all, reset)
}

check!(
    LISTEN_RST,
    listen_rst,
    CheckInfo {
        id: "listen-rst",
        title: "A RST to a listening port",
        rules: &[FIRST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Listen, Group::Rst],
        expect: "silence for RST, RST-ACK and SYN-RST; then a SYN is answered as before",
        why: "A RST must never be answered by a RST, and no stranger's RST may close a service.",
    }
);

async fn listen_rst(lab: Lab) -> Ruling {
    let variants = RESETS.map(|(name, flags)| (name, seg(flags)));
    let ruling = all_ignored(&lab, &variants, Verdict::Fail).await;
    lab.still_open().await?;
    ruling
}

check!(
    LISTEN_SYNFIN,
    listen_synfin,
    CheckInfo {
        id: "listen-synfin",
        title: "A SYN with FIN",
        rules: &[THIRD],
        level: Level::Observation,
        cost: Cost::Noisy,
        groups: &[Group::Listen, Group::Syn, Group::Fin],
        expect: "a SYN-ACK of the SYN alone, or silence",
        why: "A server that takes the FIN before the handshake is done closes for anybody who only claims an address.",
    }
);

async fn listen_synfin(lab: Lab) -> Ruling {
    let mut c = lab.conversation()?;
    let answer = lab.provoke(&mut c, &seg(Flags::SYN | Flags::FIN)).await;
    let got = match answer {
        Answer::SynAck(got) => got.segment,
        Answer::Reset(got) | Answer::Other(got) => {
            return Ok(info(format!("answered by {}", c.notation(&got.segment))));
        }
        Answer::Icmp => return Err(inconclusive("an ICMP error came in place of an answer")),
        Answer::Silence => {
            lab.still_open().await?;
            return Ok(info("silence, while an ordinary SYN is answered"));
        }
    };
    if got.ack == c.iss + 2 {
        return Ok(fail("the SYN-ACK acknowledges the FIN too"));
    }
    if got.has(Flags::FIN) {
        return Ok(fail(format!("the server closes at once: {}", c.notation(&got))));
    }
    c.send(&ack().label("does it remember the FIN?"));
    c.become_established();
    let counted = |_: &_, segment: &Segment| segment.has(Flags::ACK) && segment.ack == got.ack + 1;
    Ok(match c.expect(lab.ack_window(), counted).await {
        Some(_) => {
            c.advance(1);
            info("SYN-ACK; the FIN is taken once the handshake is done")
        }
        None => info("SYN-ACK; the FIN is forgotten"),
    })
}

check!(
    LISTEN_SYN_PSH_URG,
    listen_syn_psh_urg,
    CheckInfo {
        id: "listen-syn-psh-urg",
        title: "A SYN with PSH and URG",
        rules: &[THIRD],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::Listen, Group::Syn],
        expect: "a SYN-ACK",
        why: "The two bits mean nothing on a SYN; a server that minds them is closed to some old clients.",
    }
);

async fn listen_syn_psh_urg(lab: Lab) -> Ruling {
    let mut c = lab.conversation()?;
    let answer = lab.provoke(&mut c, &seg(Flags::SYN | Flags::PSH | Flags::URG)).await;
    if let Answer::SynAck(got) = &answer
        && got.segment.ack == c.iss + 1
    {
        return Ok(pass("SYN-ACK"));
    }
    lab.no_syn_ack(&c, &answer, Verdict::Fail).await
}
