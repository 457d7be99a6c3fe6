//! Segment sizes: what is announced, and what is honoured.
//!
//! What a capture shows as one segment may be several: the sender's kernel hands large ones to a card
//! that cuts them, and the receiver's merges what it gets. So a segment that is too large proves
//! nothing by itself. The first segment that is repeated after a timeout comes alone (RFC 5681 §3.1:
//! a loss window of one segment), and what is not acknowledged is repeated.

use std::time::Duration;

use crate::check::finding::{
    Ruling, Stop, fail, found, gravest, inconclusive, info, not_applicable, pass, tolerated, warn,
};
use crate::check::lab::{
    Answer, Class, Conversation, Got, Lab, Offer, Seg, ack, data, syn, usual_offer,
};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Trigger, Verdict};
use crate::net::Dir;
use crate::wire::{Segment, SeqNum, TcpOption, emit_options};

const SENDS: Rule = Rule { rfc: 9293, section: "3.7.1", detail: "SHLD-5" };
const VALUE: Rule = Rule { rfc: 9293, section: "3.7.1", detail: "MUST-67" };
const DEFAULT: Rule = Rule { rfc: 9293, section: "3.7.1", detail: "MUST-15" };
const EFFECTIVE: Rule = Rule { rfc: 9293, section: "3.7.1", detail: "MUST-16" };
const ONLY_SYN: Rule = Rule { rfc: 9293, section: "3.2", detail: "MUST-65" };

/// What comes later than this after the first copy of a segment was repeated after a timeout: merged
/// copies of one burst come closer together.
const LATER: Duration = Duration::from_millis(150);
/// How long repetitions are waited for.
const REPETITIONS: Duration = Duration::from_secs(10);
/// Times that the server is asked for data.
const ASKED: u32 = 4;

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] =
    &[&MSS_ANNOUNCED, &MSS_DEFAULT, &MSS_HONOURED, &MSS_ZERO, &MSS_NONSYN];

/// How large the server's segments are, beside a limit.
enum Size {
    /// None is larger; the largest.
    Within(usize),
    /// They are larger, even alone.
    Beyond(usize),
    /// It cannot be told, and why.
    Unclear(&'static str),
}

/// What makes the server send more than so many bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Greeting,
    Echo,
    Answer,
}

/// What makes the server send more than `bytes`.
fn source(lab: &Lab, bytes: usize) -> Result<Source, Stop> {
    let server = lab.server();
    if server.greets > bytes as u64 {
        Ok(Source::Greeting)
    } else if server.echoes {
        Ok(Source::Echo)
    } else if server.answers > bytes as u64 {
        Ok(Source::Answer)
    } else {
        Err(not_applicable(format!("the server never sends more than {bytes} bytes at a time")))
    }
}

/// What has to be sent for it.
fn stimulus(lab: &Lab, c: &Conversation, source: Source) -> Vec<Seg> {
    match source {
        Source::Greeting => Vec::new(),
        Source::Answer => vec![data(&lab.setting().request)],
        Source::Echo => {
            // Room for timestamps and another option is left.
            let mss = usize::from(c.peer.mss.unwrap_or(536).min(lab.setting().mss));
            let size = mss.saturating_sub(20).max(1);
            let block = vec![b'x'; size];
            #[allow(clippy::cast_possible_wrap)] // at most 65,535
            let second = size as i64;
            vec![data(&block), data(&block).seq(second)]
        }
    }
}

/// What a segment takes of the MSS: data and options (RFC 9293 §3.7.1).
fn size(segment: &Segment) -> usize {
    segment.payload.len() + emit_options(&segment.options).len()
}

/// How large the segments of the server's data are, none of which is acknowledged; `odd` is added to
/// what provokes them.
async fn measure(
    lab: &Lab,
    c: &mut Conversation,
    (source, limit): (Source, usize),
    odd: Option<TcpOption>,
) -> Size {
    if source != Source::Greeting {
        c.drain(lab.server_window(), lab.server().greets).await;
    }
    let base = c.rcv_nxt;
    let asking = stimulus(lab, c, source);
    let mut all: Vec<Got> = Vec::new();
    let has_data =
        |got: &Got| !got.segment.payload.is_empty() && got.segment.seq.is_at_or_after(base);
    for _ in 0..ASKED {
        for what in &asking {
            let what = what.clone().ack_at(base);
            c.send(&odd.iter().fold(what, |what, option| what.option(option.clone())));
        }
        all.extend(c.collect(lab.now_window()).await);
        if all.iter().any(has_data) {
            break;
        }
    }
    // What was taken of ours: the RST at the end has to come right behind it.
    let taken = all.iter().map(|got| got.segment.ack).filter(|ack| ack.is_after(c.snd_nxt));
    c.snd_nxt = taken.reduce(SeqNum::later).unwrap_or(c.snd_nxt);
    all.retain(has_data);
    let largest = all.iter().map(|got| size(&got.segment)).max().unwrap_or(0);
    let end = all.iter().map(|got| got.segment.seq_end()).reduce(SeqNum::later).unwrap_or(base);
    if largest <= limit {
        let enough = end.offset_from(base) as usize > limit;
        let few = Size::Unclear("this time the server sent too little");
        return if enough { Size::Within(largest) } else { few };
    }
    let until = c.now() + REPETITIONS;
    let kept = |repeated: &[usize]| repeated.iter().copied().find(|size| *size <= limit);
    let mut repeated = repetitions(&all, base);
    while repeated.len() < 2 && kept(&repeated).is_none() {
        let Some(got) = c.next_segment(until).await else { break };
        all.push(got);
        repeated = repetitions(&all, base);
    }
    if let Some(size) = kept(&repeated) {
        return Size::Within(size);
    }
    // Repeated as a whole, it may have been merged on the way again.
    let alone = |size: &usize| {
        *size <= usize::from(lab.setting().mss) && *size < end.offset_from(base) as usize
    };
    match repeated.first() {
        Some(first) if repeated.len() >= 2 && repeated.iter().all(alone) => Size::Beyond(*first),
        _ => Size::Unclear("large segments, which may have been merged on the way"),
    }
}

/// The sizes of the copies of the segment at `base` that were sent after a timeout.
fn repetitions(all: &[Got], base: SeqNum) -> Vec<usize> {
    let copies = || all.iter().filter(|got| got.segment.seq == base && size(&got.segment) > 0);
    let Some(first) = copies().map(|got| got.stamp.at).min() else { return Vec::new() };
    copies()
        .filter(|got| got.stamp.at.since(first) >= LATER)
        .map(|got| size(&got.segment))
        .collect()
}

check!(
    MSS_ANNOUNCED,
    mss_announced,
    CheckInfo {
        id: "mss-announced",
        title: "The MSS that the server announces",
        rules: &[SENDS, VALUE, ONLY_SYN],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::Options],
        expect: "an MSS in the SYN-ACK, and in no other segment",
        why: "Without it, clients send segments of 536 bytes: three times the packets for the same data.",
    }
);

async fn mss_announced(lab: Lab) -> Ruling {
    let mut c = lab.open().await?;
    if lab.server().closes_first == Some(Trigger::Connect) {
        c.drain_to_fin(lab.server_window()).await;
    } else {
        c.drain(lab.server_window(), lab.server().greets).await;
        c.request(b"ping", lab.now_window()).await;
        c.collect(lab.rtt()).await;
    }
    let theirs = lab.segments(Dir::Rx);
    let later = theirs.iter().find(|got| !got.has(crate::wire::Flags::SYN) && got.mss().is_some());
    if let Some(later) = later {
        return Ok(fail(format!("an MSS outside the handshake: {}", c.notation(later))));
    }
    Ok(match c.peer.mss {
        None => tolerated(format!("none: {} is assumed", default_mss(&lab))),
        Some(mss) if mss < 64 => warn(format!("{mss}: no room for data")).count("mss", mss.into()),
        Some(mss) => pass(format!("{mss}")).count("mss", mss.into()),
    })
}

/// What holds where no MSS is announced.
fn default_mss(lab: &Lab) -> usize {
    if lab.target().is_ipv4() { 536 } else { 1220 }
}

check!(
    MSS_DEFAULT,
    mss_default,
    CheckInfo {
        id: "mss-default",
        title: "Segments to a client that announces no MSS",
        rules: &[DEFAULT],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Options],
        expect: "no more than 536 bytes in a segment, 1,220 in IPv6",
        why: "Small devices leave the option out because they cannot take more.",
    }
);

async fn mss_default(lab: Lab) -> Ruling {
    let limit = default_mss(&lab);
    let source = source(&lab, limit)?;
    let mut c = lab.open_with(&Offer::default()).await?;
    match measure(&lab, &mut c, (source, limit), None).await {
        Size::Within(largest) => Ok(pass(format!("{largest} bytes"))),
        Size::Beyond(size) => Ok(fail(format!("{size} bytes, where {limit} are allowed"))),
        Size::Unclear(why) => Err(inconclusive(why)),
    }
}

check!(
    MSS_HONOURED,
    mss_honoured,
    CheckInfo {
        id: "mss-honoured",
        title: "Segments to a client that announces a small MSS",
        rules: &[EFFECTIVE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Options],
        expect: "no more data and options in a segment than the MSS says: 536, 100, and 1,000 with timestamps",
        why: "Behind a tunnel the MSS is what keeps large segments from vanishing without a word.",
    }
);

async fn mss_honoured(lab: Lab) -> Ruling {
    let timestamps = TcpOption::Timestamps { value: 0, echo: 0 };
    let variants = [
        ("536", 536, vec![TcpOption::Mss(536)], Verdict::Fail),
        // A floor of its own is a protection against clients that ask for tiny segments.
        ("100", 100, vec![TcpOption::Mss(100)], Verdict::Tolerated),
        ("1000 with timestamps", 1000, vec![TcpOption::Mss(1000), timestamps], Verdict::Fail),
    ];
    source(&lab, 1000)?;
    let mut parts = Vec::new();
    for (name, limit, options, beyond) in variants {
        parts.push((name, honoured(&lab, limit, &Offer::of(&options), beyond).await));
    }
    gravest(parts)
}

async fn honoured(lab: &Lab, limit: usize, offer: &Offer, beyond: Verdict) -> Ruling {
    let source = source(lab, limit)?;
    let mut c = lab.open_with(offer).await?;
    match measure(lab, &mut c, (source, limit), None).await {
        Size::Within(largest) => Ok(pass(format!("{largest} bytes"))),
        Size::Beyond(size) => Ok(found(beyond, format!("{size} bytes"))),
        Size::Unclear(why) => Err(inconclusive(why)),
    }
}

check!(
    MSS_ZERO,
    mss_zero,
    CheckInfo {
        id: "mss-zero",
        title: "An MSS of 0, and of 1",
        rules: &[EFFECTIVE],
        level: Level::Observation,
        cost: Cost::Intrusive,
        groups: &[Group::Options],
        expect: "a server that chooses a size of its own, and lives",
        why: "Dividing data by an MSS of 0 stops the machine; honouring one of 1 makes 41 bytes of each.",
    }
);

async fn mss_zero(lab: Lab) -> Ruling {
    let mut seen = Vec::new();
    for mss in [0, 1] {
        let mut c = lab.conversation()?;
        let what = syn().options(&[TcpOption::Mss(mss)]).label("an MSS that cannot be");
        let came = match lab.provoke(&mut c, &what).await {
            Answer::SynAck(_) => {
                c.send(&ack());
                c.become_established();
                match source(&lab, 100) {
                    Ok(source) => match measure(&lab, &mut c, (source, 1), None).await {
                        Size::Within(_) => "segments of one byte".to_owned(),
                        Size::Beyond(size) => format!("segments of {size} bytes"),
                        Size::Unclear(_) => "segments of an unknown size".to_owned(),
                    },
                    Err(_) => "SYN-ACK".to_owned(),
                }
            }
            Answer::Reset(_) => "RST".to_owned(),
            Answer::Other(got) => c.notation(&got.segment),
            Answer::Icmp => "an ICMP error".to_owned(),
            Answer::Silence => "silence".to_owned(),
        };
        seen.push(format!("{mss}: {came}"));
    }
    lab.still_open().await?;
    Ok(info(seen.join("; ")))
}

check!(
    MSS_NONSYN,
    mss_nonsyn,
    CheckInfo {
        id: "mss-nonsyn",
        title: "An MSS on data",
        rules: &[ONLY_SYN],
        level: Level::Should,
        cost: Cost::Noisy,
        groups: &[Group::Options],
        expect: "it is ignored: segments stay as large as they were",
        why: "Whoever can slip in one segment could otherwise cut a connection into single bytes.",
    }
);

async fn mss_nonsyn(lab: Lab) -> Ruling {
    const FEW: usize = 100;
    let source = match source(&lab, FEW)? {
        Source::Greeting if lab.server().answers > FEW as u64 => Source::Answer,
        Source::Greeting => {
            return Err(not_applicable("the server answers nothing that we could send it"));
        }
        other => other,
    };
    let mut c = lab.ready_with(&usual_offer(lab.setting().mss)).await?;
    match measure(&lab, &mut c, (source, FEW), Some(TcpOption::Mss(1))).await {
        Size::Within(size) => Ok(warn(format!("segments of {size} bytes since"))),
        Size::Beyond(size) => Ok(pass(format!("segments of {size} bytes all the same"))),
        Size::Unclear(_) => {
            let largest = lab.segments(Dir::Rx).iter().map(|got| got.payload.len()).max();
            match largest {
                Some(largest) if largest > FEW => Ok(pass("large segments all the same")),
                Some(largest) if largest > 0 => Ok(found(
                    lab.on_silence(Class::Ordinary, Verdict::Warn),
                    format!("segments of {largest} bytes at most since, and then nothing more"),
                )),
                _ => Err(inconclusive("this time the server sent too little")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::time::{Clock, Instant, Stamp};
    use crate::wire::{Flags, IpHeader};

    fn got(millis: u64, seq: u32, bytes: usize) -> Got {
        let here = IpAddr::from([192, 0, 2, 1]);
        let ip = IpHeader {
            src: here,
            dst: here,
            ttl: 64,
            tos: 0,
            id: 0,
            dont_fragment: true,
            flow_label: 0,
        };
        let payload = vec![0; bytes];
        let segment =
            Segment { seq: SeqNum(seq), flags: Flags::ACK, payload, ..Segment::default() };
        let at = Instant::ZERO + Duration::from_millis(millis);
        Got { stamp: Stamp { at, clock: Clock::Virtual }, ip, segment, checksum_right: Some(true) }
    }

    #[test]
    fn only_what_comes_after_a_timeout_counts_as_repeated() {
        // One burst that was merged, a copy of it that the network made, and two repetitions.
        let all = [
            got(0, 1, 5360),
            got(20, 1, 5360),
            got(200, 1, 536),
            got(210, 537, 536),
            got(600, 1, 536),
        ];
        assert_eq!(repetitions(&all, SeqNum(1)), [536, 536]);
    }

    #[test]
    fn options_take_their_part_of_the_mss() {
        let mut segment = got(0, 1, 988).segment;
        segment.options = vec![TcpOption::Timestamps { value: 1, echo: 2 }];
        assert_eq!(size(&segment), 1000);
    }
}
