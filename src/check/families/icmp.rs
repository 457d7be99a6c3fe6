//! ICMP errors about a connection, told truthfully by the host at its other end: ours.

use std::time::Duration;

use crate::check::finding::{Ruling, Stop, fail, found, gravest, inconclusive, info, pass};
use crate::check::lab::{Class, Lab, Running, Survival, join, usual_offer};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Verdict};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] =
    &[&ICMP_SOFT_SYNRCVD, &ICMP_HARD_SYNRCVD, &ICMP_SOFT_EST];

const MUST_56: Rule = Rule { rfc: 9293, section: "3.9.2.2", detail: "MUST-56" };
const SHLD_26: Rule = Rule { rfc: 9293, section: "3.9.2.2", detail: "SHLD-26" };

/// An error by name, with type and code in IPv4 and in IPv6.
type Kind = (&'static str, (u8, u8), (u8, u8));

/// RFC 9293 §3.9.2.2: they say that something is wrong now, not that it is hopeless.
const SOFT: [Kind; 4] = [
    ("network unreachable", (3, 0), (1, 0)),
    ("host unreachable", (3, 1), (1, 3)),
    ("time exceeded", (11, 0), (3, 0)),
    ("parameter problem", (12, 0), (4, 0)),
];
/// They say that there is nobody to talk to, or that it is forbidden.
const HARD: [Kind; 3] = [
    ("protocol unreachable", (3, 2), (1, 1)),
    ("port unreachable", (3, 3), (1, 4)),
    ("prohibited", (3, 13), (1, 1)),
];

fn code(lab: &Lab, kind: &Kind) -> (u8, u8) {
    if lab.target().is_ipv4() { kind.1 } else { kind.2 }
}

check!(
    ICMP_SOFT_SYNRCVD,
    icmp_soft_synrcvd,
    CheckInfo {
        id: "icmp-soft-synrcvd",
        title: "A soft ICMP error about the SYN-ACK",
        rules: &[MUST_56],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::SynReceived, Group::Icmp],
        expect: "the handshake can still be completed",
        why: "A router that is busy for a moment must not prevent a connection.",
    }
);

async fn icmp_soft_synrcvd(lab: Lab) -> Ruling {
    let runs: Vec<Running<'_, Ruling>> =
        SOFT.iter().map(|kind| -> Running<'_, _> { Box::pin(soft(&lab, kind)) }).collect();
    let all = join(runs).await;
    gravest(SOFT.iter().map(|kind| kind.0).zip(all).collect())
}

async fn soft(lab: &Lab, kind: &Kind) -> Ruling {
    Ok(match after(lab, kind).await? {
        Survival::Alive => pass("the handshake completed"),
        Survival::Gone(_) => fail("our ACK was reset"),
        Survival::Silent => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "the handshake did not complete")
        }
    })
}

/// What our ACK meets after an error about the SYN-ACK.
async fn after(lab: &Lab, kind: &Kind) -> Result<Survival, Stop> {
    let (mut c, _) = lab.half_open(&usual_offer(lab.setting().mss)).await?;
    let Some(packet) = lab.last_packet_to(c.local) else {
        return Err(inconclusive("the SYN-ACK is not there to be quoted"));
    };
    c.send_icmp(code(lab, kind), &packet, "an error about the SYN-ACK");
    // It has to be there before our ACK.
    c.collect(Duration::from_millis(50) + lab.rtt()).await;
    Ok(lab.complete(&mut c).await)
}

check!(
    ICMP_HARD_SYNRCVD,
    icmp_hard_synrcvd,
    CheckInfo {
        id: "icmp-hard-synrcvd",
        title: "A hard ICMP error about the SYN-ACK",
        rules: &[SHLD_26],
        level: Level::Observation,
        cost: Cost::Noisy,
        groups: &[Group::SynReceived, Group::Icmp],
        expect: "the RFC wants the connection aborted; many stacks are more careful",
        why: "It tells whether a forged error can prevent connections to this server.",
    }
);

async fn icmp_hard_synrcvd(lab: Lab) -> Ruling {
    let mut seen = Vec::new();
    for kind in &HARD {
        let what = match after(&lab, kind).await? {
            Survival::Alive => "the handshake completed",
            Survival::Gone(_) => "aborted",
            Survival::Silent => "silence",
        };
        seen.push(format!("{}: {what}", kind.0));
    }
    Ok(info(seen.join("; ")))
}

check!(
    ICMP_SOFT_EST,
    icmp_soft_est,
    CheckInfo {
        id: "icmp-soft-est",
        title: "Soft ICMP errors about an open connection",
        rules: &[MUST_56],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::Established, Group::Icmp],
        expect: "the connection lives",
        why: "A router that is busy for a moment must not cut connections.",
    }
);

async fn icmp_soft_est(lab: Lab) -> Ruling {
    let mut c = lab.with_data_under_way().await?;
    let Some(packet) = lab.last_packet_to(c.local) else {
        return Err(inconclusive("there is no segment of the server to be quoted"));
    };
    for kind in &SOFT {
        c.send_icmp(code(&lab, kind), &packet, "an error about its last segment");
    }
    c.collect(Duration::from_millis(50) + lab.rtt()).await;
    Ok(match lab.survives(&mut c).await {
        Survival::Alive => pass("the connection lives"),
        Survival::Gone(got) => fail(format!("it is gone: {}", c.notation(&got.segment))),
        Survival::Silent => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "the connection is dead after it")
        }
    })
}
