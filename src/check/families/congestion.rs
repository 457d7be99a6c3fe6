//! ECN, AccECN and Fast Open in the handshake.

use crate::check::finding::{
    Ruling, fail, found, gravest, inconclusive, info, not_applicable, pass, warn,
};
use crate::check::lab::{Answer, Lab, seg, syn};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, FigureValue, Finding, Group, Level, Rule, Verdict};
use crate::wire::{Flags, Segment, TcpOption};

const ECN_SETUP_RULE: Rule = Rule { rfc: 3168, section: "6.1.1", detail: "" };
const ACCURATE: Rule = Rule { rfc: 9768, section: "3.1.1", detail: "table 2" };
const COOKIE: Rule = Rule { rfc: 7413, section: "4.1.1", detail: "" };
const SERVER: Rule = Rule { rfc: 7413, section: "4.2.2", detail: "" };

/// The three bits with which ECN is agreed on.
const ECN: Flags = Flags::AE.union(Flags::CWR).union(Flags::ECE);

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] =
    &[&TFO_REQ, &TFO_BADCOOKIE, &ECN_SETUP, &ECN_NONSETUP, &ACCECN_SETUP];

/// AE, CWR and ECE, as one number.
fn code(segment: &Segment) -> u16 {
    let bit = |flag, value| if segment.has(flag) { value } else { 0 };
    bit(Flags::AE, 4) | bit(Flags::CWR, 2) | bit(Flags::ECE, 1)
}

/// The cookie of a SYN-ACK.
fn cookie(segment: &Segment) -> Option<&[u8]> {
    segment.options.iter().find_map(|option| match option {
        TcpOption::FastOpen(cookie) => Some(cookie.as_slice()),
        _ => None,
    })
}

/// The SYN-ACK to a SYN with this cookie and these data, and how many of the data it acknowledges.
async fn fast_open(lab: &Lab, cookie: &[u8], payload: &[u8]) -> Result<(Segment, u32), Ruling> {
    let mut c = lab.conversation().map_err(Err)?;
    let options = [TcpOption::Mss(lab.setting().mss), TcpOption::FastOpen(cookie.to_vec())];
    let answer = lab.provoke(&mut c, &syn().options(&options).payload(payload)).await;
    match &answer {
        Answer::SynAck(got) => {
            let acked = got.segment.ack.offset_from(c.iss + 1);
            Ok((got.segment.clone(), acked))
        }
        _ => Err(lab.no_syn_ack(&c, &answer, Verdict::Warn).await),
    }
}

check!(
    TFO_REQ,
    tfo_req,
    CheckInfo {
        id: "tfo-req",
        title: "Fast Open: a cookie is asked for",
        rules: &[COOKIE],
        level: Level::Observation,
        cost: Cost::Safe,
        groups: &[Group::Syn, Group::Options],
        expect: "a cookie of 4 to 16 bytes, an even number, or none",
        why: "With a cookie, later connections save a round trip; a SYN that asks for one must work anyway.",
    }
);

async fn tfo_req(lab: Lab) -> Ruling {
    let syn_ack = match fast_open(&lab, &[], &[]).await {
        Ok((syn_ack, _)) => syn_ack,
        Err(ruling) => return ruling,
    };
    Ok(match cookie(&syn_ack).map(<[u8]>::len) {
        None => info("no cookie: the server does not speak Fast Open"),
        Some(len @ (4 | 6 | 8 | 10 | 12 | 14 | 16)) => info(format!("a cookie of {len} bytes")),
        Some(len) => warn(format!("a cookie of {len} bytes, which cannot be")),
    })
}

check!(
    TFO_BADCOOKIE,
    tfo_badcookie,
    CheckInfo {
        id: "tfo-badcookie",
        title: "Fast Open: a cookie that is made up",
        rules: &[SERVER],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Syn, Group::Options],
        expect: "the SYN-ACK acknowledges the SYN and not the data; with the true cookie it may take both",
        why: "Whoever takes data on a wrong cookie does work, and sends answers, for forged addresses.",
    }
);

async fn tfo_badcookie(lab: Lab) -> Ruling {
    let first = match fast_open(&lab, &[], &[]).await {
        Ok((syn_ack, _)) => syn_ack,
        Err(ruling) => return ruling,
    };
    let Some(true_one) = cookie(&first).filter(|cookie| !cookie.is_empty()) else {
        return Err(not_applicable("the server does not speak Fast Open"));
    };
    let made_up: Vec<u8> = true_one.iter().map(|byte| byte ^ 0x5a).collect();
    let (answer, acked) = match fast_open(&lab, &made_up, b"0123456789").await {
        Ok(answer) => answer,
        Err(ruling) => return ruling,
    };
    if acked > 0 {
        return Ok(fail(format!("{acked} bytes were taken with a cookie that is made up")));
    }
    let fresh = if cookie(&answer).is_some() { "with a fresh cookie" } else { "without a cookie" };
    let with_true = match fast_open(&lab, true_one, b"0123456789").await {
        Ok((_, 0)) => "the data are not taken with the true one either",
        Ok(_) => "with the true one the data are taken at once",
        Err(_) => "with the true one there was no SYN-ACK",
    };
    Ok(pass(format!("only the SYN is acknowledged, {fresh}; {with_true}")))
}

check!(
    ECN_SETUP,
    ecn_setup,
    CheckInfo {
        id: "ecn-setup",
        title: "A SYN that offers ECN",
        rules: &[ECN_SETUP_RULE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Syn],
        expect: "ECE alone, or neither bit",
        why: "A server that reflects the bits looks as if it spoke ECN, and never reduces its rate.",
    }
);

async fn ecn_setup(lab: Lab) -> Ruling {
    let mut c = lab.conversation()?;
    let answer = lab.provoke(&mut c, &seg(Flags::SYN | Flags::ECE | Flags::CWR)).await;
    let Answer::SynAck(got) = &answer else {
        return lab.no_syn_ack(&c, &answer, Verdict::Warn).await;
    };
    Ok(match code(&got.segment) {
        0 => word(pass("no ECN"), "none"),
        1 => word(pass("ECN is agreed on"), "classic"),
        3 => fail("both bits come back: they are reflected"),
        _ => warn(format!("neither yes nor no: {}", c.notation(&got.segment))),
    })
}

fn word(finding: Finding, value: &str) -> Finding {
    finding.figure("ecn", FigureValue::Word(value.to_owned()))
}

check!(
    ECN_NONSETUP,
    ecn_nonsetup,
    CheckInfo {
        id: "ecn-nonsetup",
        title: "A SYN with one of the ECN bits",
        rules: &[ECN_SETUP_RULE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Syn],
        expect: "a SYN-ACK that does not agree on ECN",
        why: "ECN that only one end believes in marks packets for nobody: congestion is not answered.",
    }
);

async fn ecn_nonsetup(lab: Lab) -> Ruling {
    let mut parts = Vec::new();
    for (name, flag) in [("ECE", Flags::ECE), ("CWR", Flags::CWR)] {
        parts.push((name, one_ecn_bit(&lab, flag).await));
    }
    gravest(parts)
}

async fn one_ecn_bit(lab: &Lab, flag: Flags) -> Ruling {
    let mut c = lab.conversation()?;
    let answer = lab.provoke(&mut c, &seg(Flags::SYN | flag)).await;
    let Answer::SynAck(got) = &answer else {
        return lab.no_syn_ack(&c, &answer, Verdict::Warn).await;
    };
    Ok(match code(&got.segment) {
        0 => pass("no ECN"),
        1 => fail("ECN is agreed on, which was not offered"),
        // So that AccECN can be extended, RFC 9768 has what has no meaning yet taken for an offer.
        2 => pass("taken for an offer of AccECN"),
        _ => warn(format!("neither yes nor no: {}", c.notation(&got.segment))),
    })
}

check!(
    ACCECN_SETUP,
    accecn_setup,
    CheckInfo {
        id: "accecn-setup",
        title: "A SYN that offers AccECN",
        rules: &[ACCURATE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Syn],
        expect: "the code of the SYN's IP-ECN field (AccECN), ECE alone (ECN), or none of the bits",
        why: "A server that reflects the bits breaks the fallback for every client that offers AccECN.",
    }
);

async fn accecn_setup(lab: Lab) -> Ruling {
    let variants = [("not-ECT", 0, 2), ("ECT(1)", 1, 3), ("ECT(0)", 2, 4), ("CE", 3, 6)];
    let mut parts = Vec::new();
    for (name, ip_ecn, due) in variants {
        parts.push((name, accurate(&lab, ip_ecn, due).await));
    }
    gravest(parts)
}

/// The ruling on the answer to an offer of AccECN with this IP-ECN field, which has the code `due`.
async fn accurate(lab: &Lab, ip_ecn: u8, due: u16) -> Ruling {
    let mut c = lab.conversation()?;
    let answer = lab.provoke(&mut c, &seg(Flags::SYN | ECN).tos(ip_ecn)).await;
    let Answer::SynAck(got) = &answer else {
        return lab.no_syn_ack(&c, &answer, Verdict::Warn).await;
    };
    match code(&got.segment) {
        0 => Ok(pass("no ECN")),
        1 | 5 => Ok(pass("classic ECN")),
        7 => Ok(fail("all three bits come back: they are reflected")),
        right if right == due => Ok(pass("AccECN, with the right code")),
        // A router may have changed the field.
        2 | 3 | 4 | 6 if ip_ecn != 0 => Err(inconclusive(format!(
            "AccECN, with the code of another IP-ECN field: {}",
            c.notation(&got.segment)
        ))),
        _ => Ok(found(Verdict::Warn, format!("the wrong code: {}", c.notation(&got.segment)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_that_of_the_rfc() {
        let answer = |flags| code(&Segment { flags, ..Segment::default() });
        let syn_ack = Flags::SYN | Flags::ACK;
        assert_eq!(answer(syn_ack), 0);
        assert_eq!(answer(syn_ack | Flags::ECE), 0b001);
        assert_eq!(answer(syn_ack | Flags::CWR), 0b010);
        assert_eq!(answer(syn_ack | Flags::AE), 0b100);
        assert_eq!(answer(syn_ack | ECN), 0b111);
    }
}
