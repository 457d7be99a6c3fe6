//! The SYN and its answer.

use super::closed::checksum_ruling;
use crate::check::finding::{Ruling, fail, found, gravest, inconclusive, info, pass};
use crate::check::lab::{
    Answer, Class, Conversation, Got, Lab, Opening, Running, ack, data, join, seg, syn, usual_offer,
};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Trigger, Verdict};
use crate::net::Dir;
use crate::wire::{Flags, Segment, TcpOption, checksum};

const THIRD: Rule = Rule { rfc: 9293, section: "3.10.7.2", detail: "third, check for a SYN" };
const HEADER: Rule = Rule { rfc: 9293, section: "3.1", detail: "header format" };
const SENDS_SUM: Rule = Rule { rfc: 9293, section: "3.1", detail: "MUST-2" };
const CHECKS_SUM: Rule = Rule { rfc: 9293, section: "3.1", detail: "MUST-3" };
const PADDING: Rule = Rule { rfc: 9293, section: "3.1", detail: "MUST-69" };
const RESERVED: Rule = Rule { rfc: 9293, section: "3.1", detail: "reserved control bits" };
const WINDOW: Rule = Rule { rfc: 9293, section: "3.8.6", detail: "managing the window" };

/// The control bits for which no use is known yet.
const RESERVED_BITS: Flags = Flags::from_bits(0xe00);

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &SYNACK_BASIC,
    &SYN_CANARY_RETRY,
    &SYN_BADCSUM,
    &SYN_MALFORMED,
    &SYN_DATA,
    &RESERVED_BITS_CHECK,
    &SYN_WND0,
    &IP_HEADER,
];

check!(
    SYNACK_BASIC,
    synack_basic,
    CheckInfo {
        id: "synack-basic",
        title: "The answer to an ordinary SYN",
        rules: &[THIRD, SENDS_SUM, PADDING],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Syn],
        expect: "SYN-ACK that acknowledges the SYN and nothing else, with a right checksum and sane options",
        why: "Without it nobody connects at all.",
    }
);

async fn synack_basic(lab: Lab) -> Ruling {
    let mut c = lab.conversation()?;
    let syn = usual_offer(lab.setting().mss).syn(&c);
    let answer = lab.provoke(&mut c, &syn).await;
    let Answer::SynAck(Got { segment, checksum_right, .. }) = &answer else {
        return lab.no_syn_ack(&c, &answer, Verdict::Fail).await;
    };
    let shown = c.notation(segment);
    if segment.ack != c.iss + 1 {
        return Ok(fail(format!("it acknowledges more than the SYN: {shown}")));
    }
    if segment.flags != Flags::SYN | Flags::ACK {
        return Ok(fail(format!("bits beside SYN and ACK: {shown}")));
    }
    if !segment.payload.is_empty() {
        return Ok(fail(format!("a SYN-ACK with data: {shown}")));
    }
    if let Some(TcpOption::Malformed(_)) = segment.options.last() {
        return Ok(fail(format!("an option of a length that cannot be: {shown}")));
    }
    if let Some(TcpOption::EndOfList(rest)) = segment.options.last()
        && rest.iter().any(|byte| *byte != 0)
    {
        return Ok(fail(format!("the options are not padded with zeros: {shown}")));
    }
    let sum = if checksum_right.is_some() { "" } else { " (its checksum cannot be seen here)" };
    Ok(pass(format!("{shown}{sum}")).count("window", segment.window.into()))
}

check!(
    SYN_CANARY_RETRY,
    syn_canary_retry,
    CheckInfo {
        id: "syn-canary-retry",
        title: "SYNs until the first answer",
        rules: &[THIRD],
        level: Level::Observation,
        cost: Cost::Safe,
        groups: &[Group::Syn, Group::Retransmission],
        expect: "the first SYN is answered",
        why: "A first SYN that is lost or ignored costs every client a second.",
    }
);

async fn syn_canary_retry(lab: Lab) -> Ruling {
    let (_c, _) = lab.half_open(&usual_offer(lab.setting().mss)).await?;
    let sent = lab.segments(Dir::Tx).len();
    let text = if sent == 1 {
        "the first SYN was answered".to_owned()
    } else {
        format!("{sent} SYNs were needed")
    };
    Ok(info(text).count("syns", sent as u64))
}

check!(
    SYN_BADCSUM,
    syn_badcsum,
    CheckInfo {
        id: "syn-badcsum",
        title: "A SYN with a wrong checksum",
        rules: &[CHECKS_SUM],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Syn],
        expect: "silence; then a SYN with the right one is answered",
        why: "A stack that does not check takes corrupted data for what was sent.",
    }
);

async fn syn_badcsum(lab: Lab) -> Ruling {
    let mut c = lab.conversation()?;
    let bad = syn().wrong_checksum().label("its checksum is wrong");
    let all = lab.ignore(&mut c, &bad).await;
    let finding = checksum_ruling(&lab, &c, &all)?;
    lab.still_open().await?;
    Ok(finding)
}

check!(
    SYN_MALFORMED,
    syn_malformed,
    CheckInfo {
        id: "syn-malformed",
        title: "SYNs whose header cannot be",
        rules: &[HEADER],
        level: Level::Must,
        cost: Cost::Intrusive,
        groups: &[Group::Syn],
        expect: "silence for a data offset below 5, one beyond the segment and a cut header; then a SYN is answered",
        why: "Whoever trusts these lengths reads beyond the packet: one segment stops the machine.",
    }
);

async fn syn_malformed(lab: Lab) -> Ruling {
    let mut parts: Vec<Running<'_, (&'static str, Ruling)>> = Vec::new();
    let lab = &lab;
    parts.push(Box::pin(async move { ("data offset 4", malformed(lab, Some(4), 20).await) }));
    parts.push(Box::pin(async move { ("data offset 15", malformed(lab, Some(15), 20).await) }));
    parts.push(Box::pin(async move { ("12 bytes", malformed(lab, None, 12).await) }));
    let ruling = gravest(join(parts).await);
    lab.still_open().await?;
    ruling
}

/// A SYN with this data offset, in words, cut to so many bytes.
async fn malformed(lab: &Lab, offset: Option<u8>, length: usize) -> Ruling {
    let mut c = lab.conversation()?;
    let mut bytes = c.bytes_of(&syn());
    if let Some(offset) = offset {
        bytes[12] = offset << 4;
        bytes[16..18].fill(0);
        let sum = checksum::tcp(c.local.ip(), c.remote.ip(), &bytes);
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    }
    bytes.truncate(length);
    c.send_raw(&bytes, "its header cannot be");
    lab.pause(std::time::Duration::from_millis(400)).await;
    c.send_raw(&bytes, "again, against loss");
    let all = c.listen(lab.now_window()).await;
    Ok(match all.first() {
        None => pass("silence"),
        Some(got) if got.segment.has(Flags::SYN) => {
            c.adopt(&got.segment);
            c.snd_nxt = c.iss + 1;
            fail(format!("answered by {}", c.notation(&got.segment)))
        }
        Some(got) => fail(format!("answered by {}", c.notation(&got.segment))),
    })
}

check!(
    SYN_DATA,
    syn_data,
    CheckInfo {
        id: "syn-data",
        title: "A SYN with data, without Fast Open",
        rules: &[THIRD],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Syn],
        expect: "a SYN-ACK of the SYN, or of the data too; then the data are taken, once",
        why: "A server that drops or doubles what a SYN carries corrupts the first request.",
    }
);

async fn syn_data(lab: Lab) -> Ruling {
    let payload = b"0123456789";
    let mut c = lab.conversation()?;
    let answer = lab.provoke(&mut c, &syn().payload(payload)).await;
    let Answer::SynAck(Got { segment: syn_ack, .. }) = &answer else {
        return lab.no_syn_ack(&c, &answer, Verdict::Fail).await;
    };
    let all = c.iss + 11;
    let at_once = syn_ack.ack == all;
    c.snd_nxt = c.iss + 1;
    c.become_established();
    if lab.server().closes_first == Some(Trigger::Connect) {
        c.send(&ack());
        return Ok(pass("SYN-ACK (the server closes at once: nothing more to ask)"));
    }
    let done = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack.is_at_or_after(all)
    };
    let again = data(payload).label("the data again");
    let Some(got) = lab.ask(&mut c, &again, lab.ack_window(), done).await else {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        return Ok(found(verdict, "the data were never acknowledged"));
    };
    if got.segment.has(Flags::RST) {
        return Err(inconclusive(format!("reset: {}", c.notation(&got.segment))));
    }
    c.advance(10);
    if lab.server().echoes && lab.server().greets == 0 {
        c.drain_until_quiet(lab.now_window()).await;
        if c.received.len() > payload.len() {
            return Ok(fail(format!("{} bytes came back of 10", c.received.len())));
        }
    }
    Ok(if at_once { pass("taken with the SYN") } else { pass("taken behind the SYN, once") })
}

check!(
    RESERVED_BITS_CHECK,
    reserved_bits,
    CheckInfo {
        id: "reserved-bits",
        title: "Control bits that are reserved",
        rules: &[RESERVED],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Syn],
        expect: "SYN and data with all three of them are answered as without, and none comes back",
        why: "Whoever minds them stands in the way of every extension that will use them.",
    }
);

async fn reserved_bits(lab: Lab) -> Ruling {
    let mut c = lab.conversation()?;
    let answer = lab.provoke(&mut c, &seg(Flags::SYN | RESERVED_BITS)).await;
    let Answer::SynAck(_) = &answer else {
        return lab.no_syn_ack(&c, &answer, Verdict::Fail).await;
    };
    c.send(&ack());
    c.become_established();
    if lab.server().closes_first != Some(Trigger::Connect) {
        c.drain(lab.server_window(), lab.server().greets).await;
        let odd = data(b"ping").with(RESERVED_BITS).label("all reserved bits");
        let end = c.snd_nxt + 4;
        let acked = |_: &_, got: &Segment| got.has(Flags::ACK) && got.ack.is_at_or_after(end);
        if lab.ask(&mut c, &odd, lab.ack_window(), acked).await.is_none() {
            return lab.lives_on(&mut c, "").await.map(|finding| match finding.verdict {
                // What has the bits is dropped, what has not is not.
                Verdict::Pass => {
                    let verdict = lab.on_silence(Class::Stray, Verdict::Fail);
                    found(verdict, "data with reserved bits were ignored")
                }
                _ => finding,
            });
        }
        c.advance(4);
    }
    let reflected =
        lab.segments(Dir::Rx).into_iter().find(|got| got.flags.intersects(RESERVED_BITS));
    Ok(reflected.map_or_else(
        || pass("answered as without them"),
        |got| fail(format!("reserved bits come back: {}", c.notation(&got))),
    ))
}

check!(
    SYN_WND0,
    syn_wnd0,
    CheckInfo {
        id: "syn-wnd0",
        title: "A SYN with window 0",
        rules: &[THIRD, WINDOW],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Syn, Group::Window],
        expect: "SYN-ACK, no data before we open the window (but for probes of one byte), and the data then",
        why: "A client short of memory is overrun, or never gets its data.",
    }
);

async fn syn_wnd0(lab: Lab) -> Ruling {
    let mut c = lab.conversation()?;
    let closed = usual_offer(lab.setting().mss).syn(&c).window(0);
    let answer = lab.provoke(&mut c, &closed).await;
    let Answer::SynAck(_) = &answer else {
        return lab.no_syn_ack(&c, &answer, Verdict::Fail).await;
    };
    c.window = 0;
    c.send(&ack().label("the window is still closed"));
    c.become_established();
    if lab.server().greets == 0
        && lab.server().echoes
        && !c.request(b"ping", lab.now_window()).await
    {
        return Err(inconclusive("our few bytes were not acknowledged"));
    }
    c.collect(lab.now_window()).await;
    let early = lab.segments(Dir::Rx).into_iter().find(|segment| segment.payload.len() > 1);
    if let Some(early) = early {
        return Ok(fail(format!("data into a closed window: {}", c.notation(&early))));
    }
    if lab.server().greets == 0 && !lab.server().echoes {
        return lab.lives_on(&mut c, "SYN-ACK (the server has nothing to send by itself)").await;
    }
    c.window = 65535;
    let open = ack().label("the window is open");
    let came = |c: &Conversation, _: &Segment| !c.received.is_empty();
    let seen = lab.ask(&mut c, &open, lab.server_window(), came).await;
    c.send(&ack());
    Ok(match seen {
        Some(_) => pass("nothing before the window was open, the data then"),
        None => found(
            lab.on_silence(Class::Ordinary, Verdict::Fail),
            "no data came once the window was open",
        ),
    })
}

check!(
    IP_HEADER,
    ip_header,
    CheckInfo {
        id: "ip-header",
        title: "The IP header of the SYN-ACK",
        rules: &[THIRD],
        level: Level::Observation,
        cost: Cost::Safe,
        groups: &[Group::Syn],
        expect: "whatever it is",
        why: "TTL and identification tell whether the host itself answers or something in front of it.",
    }
);

async fn ip_header(lab: Lab) -> Ruling {
    let mut c = lab.conversation()?;
    let Opening::SynAck(got) = lab.knock(&mut c, &usual_offer(lab.setting().mss)).await else {
        return Err(inconclusive("no SYN-ACK came"));
    };
    let ip = got.ip;
    let more = if ip.src.is_ipv4() {
        let fragment = if ip.dont_fragment { "don't fragment" } else { "may be fragmented" };
        format!("{fragment}, identification {}", if ip.id == 0 { "0" } else { "not 0" })
    } else {
        format!("flow label {}", if ip.flow_label == 0 { "0" } else { "not 0" })
    };
    Ok(info(format!("TTL {}, type of service {:#04x}, {more}", ip.ttl, ip.tos))
        .count("ttl", ip.ttl.into())
        .count("tos", ip.tos.into()))
}
