//! Options of the SYN, and what the server makes of them.

use crate::check::finding::{
    Ruling, Stop, fail, found, gravest, inconclusive, not_applicable, pass, tolerated,
};
use crate::check::lab::{
    Answer, Conversation, Lab, Offer, Running, Seg, ack, data, join, syn, usual_offer,
};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Trigger, Verdict};
use crate::net::Dir;
use crate::wire::{Flags, Segment, SeqNum, TcpOption};

const SUPPORTED: Rule = Rule { rfc: 9293, section: "3.1", detail: "MUST-4" };
const UNKNOWN: Rule = Rule { rfc: 9293, section: "3.1", detail: "MUST-6" };
const LENGTH: Rule = Rule { rfc: 9293, section: "3.1", detail: "MUST-7" };
const UNALIGNED: Rule = Rule { rfc: 9293, section: "3.2", detail: "MUST-64" };
const SCALE: Rule = Rule { rfc: 7323, section: "2.2", detail: "" };
const SCALE_USE: Rule = Rule { rfc: 7323, section: "2.3", detail: "" };
const STAMPS: Rule = Rule { rfc: 7323, section: "3.2", detail: "" };
const ECHO: Rule = Rule { rfc: 7323, section: "4.3", detail: "" };
const SACK: Rule = Rule { rfc: 2018, section: "2", detail: "" };
const SHRINK: Rule = Rule { rfc: 9293, section: "3.8.6", detail: "SHLD-14" };

/// Timestamps by our clock.
const OUR_CLOCK: TcpOption = TcpOption::Timestamps { value: 0, echo: 0 };

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &OPT_NOT_OFFERED,
    &OPT_EACH,
    &OPT_ORDER,
    &OPT_UNKNOWN,
    &OPT_BADLEN,
    &OPT_WS15,
    &WS_VALUE,
    &TS_PRESENT,
    &TS_ECHO,
];

/// The names of the options that a SYN has and that are agreed on only if both ends say so.
fn agreed(segment: &Segment) -> Vec<&'static str> {
    let name = |option: &TcpOption| match option {
        TcpOption::WindowScale(_) => Some("window scale"),
        TcpOption::SackPermitted => Some("SACK-permitted"),
        TcpOption::Timestamps { .. } => Some("timestamps"),
        _ => None,
    };
    segment.options.iter().filter_map(name).collect()
}

/// The values of our clock that our segments so far have borne, SYNs only or all.
fn our_stamps(lab: &Lab, syns_only: bool) -> Vec<u32> {
    let ours = lab.segments(Dir::Tx).into_iter();
    let ours = ours.filter(|segment| !syns_only || segment.has(Flags::SYN));
    ours.filter_map(|segment| segment.timestamps().map(|(value, _)| value)).collect()
}

check!(
    OPT_NOT_OFFERED,
    opt_not_offered,
    CheckInfo {
        id: "opt-not-offered",
        title: "Nothing is agreed on that we did not offer",
        rules: &[SCALE, STAMPS, SACK],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Options, Group::Timestamps],
        expect: "a SYN without options is answered without window scale, timestamps and SACK-permitted",
        why: "A client that did not offer scaling reads every window wrong if the server scales.",
    }
);

async fn opt_not_offered(lab: Lab) -> Ruling {
    let (_c, syn_ack) = lab.half_open(&Offer::default()).await?;
    let named = agreed(&syn_ack);
    Ok(match named.as_slice() {
        [] => pass("none of them"),
        // RFC 2018 does not forbid it in so many words, and a client without SACK never sends one.
        ["SACK-permitted"] => tolerated("SACK-permitted, which was not offered"),
        named => fail(format!("not offered, and yet answered: {}", named.join(", "))),
    })
}

check!(
    OPT_EACH,
    opt_each,
    CheckInfo {
        id: "opt-each",
        title: "Each option for itself, and all together",
        rules: &[SCALE, STAMPS, SACK],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Options, Group::Timestamps],
        expect: "only what was offered comes back, once, and TSecr is our TSval",
        why: "An end that agrees on more than was offered loses the other one after the handshake.",
    }
);

async fn opt_each(lab: Lab) -> Ruling {
    let scale = [TcpOption::Nop, TcpOption::WindowScale(7)];
    let together = [&scale[..], &[TcpOption::SackPermitted, OUR_CLOCK]].concat();
    let variants = [
        ("window scale", scale.to_vec()),
        ("SACK-permitted", vec![TcpOption::SackPermitted]),
        ("timestamps", vec![OUR_CLOCK]),
        ("all", together),
    ];
    let mut parts = Vec::new();
    for (name, options) in variants {
        parts.push((name, offered(&lab, options).await));
    }
    gravest(parts)
}

async fn offered(lab: &Lab, mut options: Vec<TcpOption>) -> Ruling {
    options.insert(0, TcpOption::Mss(lab.setting().mss));
    let ours = agreed(&Segment { options: options.clone(), ..Segment::default() });
    let (c, syn_ack) = lab.half_open(&Offer::of(&options)).await?;
    let theirs = agreed(&syn_ack);
    for (at, name) in theirs.iter().enumerate() {
        if theirs[..at].contains(name) {
            return Ok(fail(format!("{name} twice: {}", c.notation(&syn_ack))));
        }
        if !ours.contains(name) {
            // See opt-not-offered.
            let harmless = *name == "SACK-permitted";
            let verdict = if harmless { Verdict::Tolerated } else { Verdict::Fail };
            return Ok(found(verdict, format!("{name} was not offered")));
        }
    }
    if let Some((_, echo)) = syn_ack.timestamps()
        && !our_stamps(lab, true).contains(&echo)
    {
        return Ok(fail(format!("TSecr {echo} is not our TSval: {}", c.notation(&syn_ack))));
    }
    Ok(pass(match theirs.as_slice() {
        [] => "none of them".to_owned(),
        theirs => theirs.join(", "),
    }))
}

/// The ruling on a SYN whose options are odd and have to be borne.
async fn borne(lab: &Lab, options: Vec<TcpOption>, else_: Verdict) -> (Ruling, Option<Segment>) {
    let mut c = match lab.conversation() {
        Ok(c) => c,
        Err(stop) => return (Err(stop), None),
    };
    match lab.provoke(&mut c, &syn().options(&options)).await {
        Answer::SynAck(got) => (Ok(pass("SYN-ACK")), Some(got.segment)),
        answer => (lab.no_syn_ack(&c, &answer, else_).await, None),
    }
}

check!(
    OPT_ORDER,
    opt_order,
    CheckInfo {
        id: "opt-order",
        title: "Options at odd places",
        rules: &[UNALIGNED, SUPPORTED],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Options],
        expect: "SYN-ACK to an MSS off its word boundary, to two of them, and to bytes behind the end of the list",
        why: "Not every client lays out its options as the usual ones do.",
    }
);

async fn opt_order(lab: Lab) -> Ruling {
    let mss = TcpOption::Mss(lab.setting().mss);
    let behind_end = TcpOption::EndOfList(vec![0xde, 0xad, 0xbe]);
    let variants = [
        ("MSS behind one NOP", vec![TcpOption::Nop, mss.clone()], Verdict::Fail),
        ("bytes behind the end", vec![mss.clone(), behind_end], Verdict::Fail),
        // No rule says what two of them mean.
        ("two MSS", vec![mss, TcpOption::Mss(1000)], Verdict::Warn),
    ];
    let mut parts = Vec::new();
    for (name, options, otherwise) in variants {
        parts.push((name, borne(&lab, options, otherwise).await.0));
    }
    gravest(parts)
}

check!(
    OPT_UNKNOWN,
    opt_unknown,
    CheckInfo {
        id: "opt-unknown",
        title: "Options that nobody knows",
        rules: &[UNKNOWN],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Options],
        expect: "SYN-ACK without them, for a kind not assigned, an experimental one and MPTCP",
        why: "A server that stumbles over new options stands in the way of every extension.",
    }
);

async fn opt_unknown(lab: Lab) -> Ruling {
    let variants = [
        ("kind 200", 200, vec![0xca, 0xfe, 0xba, 0xbe]),
        ("kind 254", 254, vec![0x5d, 0x0e, 0xca, 0xfe]),
        ("MPTCP", 30, vec![0x01, 0x01]),
    ];
    let mut parts = Vec::new();
    for (name, kind, data) in variants {
        let options = vec![TcpOption::Mss(lab.setting().mss), TcpOption::Unknown { kind, data }];
        let (ruling, syn_ack) = borne(&lab, options, Verdict::Fail).await;
        let back =
            syn_ack.is_some_and(|got| got.options.iter().any(|option| option.kind() == Some(kind)));
        let ruling = match (back, name) {
            (false, _) => ruling,
            (true, "MPTCP") => Ok(pass("SYN-ACK with MPTCP, which it knows")),
            (true, _) => Ok(fail("the option comes back")),
        };
        parts.push((name, ruling));
    }
    gravest(parts)
}

check!(
    OPT_BADLEN,
    opt_badlen,
    CheckInfo {
        id: "opt-badlen",
        title: "Options of a length that cannot be",
        rules: &[LENGTH],
        level: Level::Must,
        cost: Cost::Intrusive,
        groups: &[Group::Options],
        expect: "SYN-ACK, RST or silence, and a server that answers a good SYN afterwards",
        why: "An option of length 0 makes a careless parser run for ever: one segment stops the machine.",
    }
);

async fn opt_badlen(lab: Lab) -> Ruling {
    let variants = [
        ("MSS of length 0", vec![2, 0, 5, 0xb4]),
        ("kind 5 of length 1", vec![1, 1, 5, 1]),
        ("timestamps beyond the header", vec![8, 40, 0, 0]),
        ("MSS of length 3", vec![2, 3, 5, 0]),
    ];
    let runs: Vec<Running<'_, Result<String, Stop>>> = variants
        .into_iter()
        .map(|(name, bytes)| -> Running<'_, _> { Box::pin(bad_option(&lab, name, bytes)) })
        .collect();
    let seen: Vec<String> = join(runs).await.into_iter().collect::<Result<_, _>>()?;
    lab.still_open().await?;
    Ok(pass(seen.join("; ")))
}

/// What a SYN with such an option is answered with.
async fn bad_option(lab: &Lab, name: &'static str, bytes: Vec<u8>) -> Result<String, Stop> {
    let mut c = lab.conversation()?;
    let what = syn().options(&[TcpOption::Malformed(bytes)]);
    let came = match lab.provoke(&mut c, &what.label(name)).await {
        Answer::SynAck(_) => "SYN-ACK",
        Answer::Reset(_) => "RST",
        Answer::Other(_) => "another segment",
        Answer::Icmp => "an ICMP error",
        Answer::Silence => "silence",
    };
    Ok(format!("{name}: {came}"))
}

check!(
    OPT_WS15,
    opt_ws15,
    CheckInfo {
        id: "opt-ws15",
        title: "A window shift of 15",
        rules: &[SCALE_USE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Options, Group::Window],
        expect: "SYN-ACK, and a connection that works: 15 is taken for 14",
        why: "A shift beyond the largest overflows window arithmetic that does not expect it.",
    }
);

async fn opt_ws15(lab: Lab) -> Ruling {
    let mss = TcpOption::Mss(lab.setting().mss);
    let options = [mss, TcpOption::Nop, TcpOption::WindowScale(15)];
    let mut c = lab.conversation()?;
    let answer = lab.provoke(&mut c, &syn().options(&options)).await;
    let Answer::SynAck(_) = &answer else {
        return lab.no_syn_ack(&c, &answer, Verdict::Fail).await;
    };
    c.send(&ack());
    c.become_established();
    c.drain(lab.server_window(), lab.server().greets).await;
    lab.lives_on(&mut c, "the connection works").await
}

check!(
    WS_VALUE,
    ws_value,
    CheckInfo {
        id: "ws-value",
        title: "The window before and after scaling",
        rules: &[SCALE, SHRINK],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::Options, Group::Window],
        expect: "the SYN-ACK's window is not scaled, later ones are, and the right edge never moves back",
        why: "A right edge that moves back takes away room that the client has used already: it has to send again.",
    }
);

async fn ws_value(lab: Lab) -> Ruling {
    let mut offer = usual_offer(lab.setting().mss);
    offer.options.extend([TcpOption::Nop, TcpOption::WindowScale(0)]);
    let mut c = lab.ready_with(&offer).await?;
    let Some(shift) = c.peer.window_scale else {
        return Err(not_applicable("the server does not scale windows"));
    };
    let end = c.snd_nxt + 4;
    let acked = |_: &_, got: &Segment| got.has(Flags::ACK) && got.ack.is_at_or_after(end);
    let first = lab.ask(&mut c, &data(b"ping"), lab.ack_window(), acked).await;
    let Some(first) = first.filter(|got| !got.segment.has(Flags::RST)) else {
        return Err(inconclusive("our few bytes were not acknowledged"));
    };
    c.advance(4);
    c.collect(lab.rtt()).await;
    let shift = shift.min(14);
    let edges: Vec<(SeqNum, SeqNum)> = lab
        .segments(Dir::Rx)
        .iter()
        .filter(|got| got.has(Flags::ACK) && !got.has(Flags::RST))
        .map(|got| {
            let scaled = if got.has(Flags::SYN) { 0 } else { shift };
            (got.ack, got.ack + (u32::from(got.window) << scaled))
        })
        .collect();
    // Of two segments the one that acknowledges more was sent later, however they arrived. A scaled
    // window is rounded down, by less than one unit.
    let moved_back = edges.iter().find_map(|(later, right)| {
        let before = edges.iter().filter(|(ack, _)| ack.is_before(*later));
        before.map(|(_, edge)| edge.distance(*right)).find(|by| *by >= 1 << shift)
    });
    let later = u64::from(first.segment.window) << shift;
    let observed = format!("{} in the SYN-ACK, then {later} (shift {shift})", c.peer.window);
    let finding = match moved_back {
        Some(by) => found(Verdict::Warn, format!("the right edge moves back by {by}: {observed}")),
        None => pass(observed),
    };
    Ok(finding.count("window-scale", shift.into()))
}

/// A connection with timestamps over which data have gone, and what acknowledged them.
async fn stamped(
    lab: &Lab,
    what: impl Fn(&Conversation) -> Seg,
) -> Result<(Conversation, Segment), Stop> {
    let mut c = lab.ready().await?;
    if c.ts_recent.is_none() {
        return Err(not_applicable("the server does not agree on timestamps"));
    }
    let what = what(&c);
    let end = c.snd_nxt + what.len();
    let acked =
        |_: &_, got: &Segment| got.has(Flags::ACK) && got.ack == end && !got.has(Flags::RST);
    let Some(got) = lab.ask(&mut c, &what, lab.ack_window(), acked).await else {
        return Err(inconclusive("our few bytes were not acknowledged"));
    };
    c.advance(what.len());
    Ok((c, got.segment))
}

check!(
    TS_PRESENT,
    ts_present,
    CheckInfo {
        id: "ts-present",
        title: "Timestamps on every segment",
        rules: &[STAMPS],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Options, Group::Timestamps],
        expect: "once they are agreed on, every segment but RST has them",
        why: "The other end drops segments without them: what they carry arrives only when it is repeated.",
    }
);

async fn ts_present(lab: Lab) -> Ruling {
    let first_type = lab.server().closes_first == Some(Trigger::Connect);
    let c = if first_type {
        let c = lab.closed_by_server().await?;
        if c.ts_recent.is_none() {
            return Err(not_applicable("the server does not agree on timestamps"));
        }
        c
    } else {
        let (mut c, _) = stamped(&lab, |_| data(b"ping")).await?;
        c.collect(lab.now_window()).await;
        c
    };
    let theirs: Vec<Segment> = lab.segments(Dir::Rx);
    let all: Vec<&Segment> = theirs.iter().filter(|got| !got.has(Flags::RST)).collect();
    Ok(match all.iter().find(|got| got.timestamps().is_none()) {
        Some(bare) => fail(format!("without timestamps: {}", c.notation(bare))),
        None => pass(format!("on all {} segments", all.len())),
    })
}

check!(
    TS_ECHO,
    ts_echo,
    CheckInfo {
        id: "ts-echo",
        title: "Timestamps are echoed",
        rules: &[ECHO, STAMPS],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Options, Group::Timestamps],
        expect: "TSecr of the SYN-ACK is the SYN's TSval, that of an ACK the TSval of what it acknowledges",
        why: "Wrong echoes give wrong round-trip times, and so retransmissions too early or far too late.",
    }
);

async fn ts_echo(lab: Lab) -> Ruling {
    // A step of our clock sets the data apart from all that went before.
    let (c, acked) = stamped(&lab, |c| {
        data(b"ping").ts_value(c.ts_now().wrapping_add(5000)).label("TSval 5000 ahead")
    })
    .await?;
    let syns = our_stamps(&lab, true);
    let theirs = lab.segments(Dir::Rx);
    let syn_ack = theirs.iter().find(|got| got.has(Flags::SYN));
    if let Some((_, echo)) = syn_ack.and_then(Segment::timestamps)
        && !syns.contains(&echo)
    {
        return Ok(fail(format!("the SYN-ACK echoes {echo}, which we did not send")));
    }
    let Some((_, echo)) = acked.timestamps() else {
        return Ok(fail(format!("no timestamps: {}", c.notation(&acked))));
    };
    let last = our_stamps(&lab, false).into_iter().map(SeqNum).reduce(SeqNum::later);
    Ok(if last == Some(SeqNum(echo)) {
        pass("SYN and data are echoed")
    } else {
        fail(format!("the ACK of our data does not echo them: {}", c.notation(&acked)))
    })
}
