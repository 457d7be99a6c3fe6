//! The open connection: RST, SYN and segments without ACK.

use std::time::Duration;

use crate::check::finding::{
    Ruling, Stop, fail, found, gravest, info, not_applicable, pass, tolerated, warn,
};
use crate::check::lab::{
    Class, Conversation, Lab, Liveness, Offer, Running, Seg, ack, join, rst, seg, syn, usual_offer,
};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Trigger, Verdict};
use crate::wire::{Flags, Segment, TcpOption};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &SYNCOOKIE_DETECT,
    &ACCEPT_QUEUE,
    &DEFER_ACCEPT,
    &EST_RST_EXACT,
    &EST_RST_INWINDOW,
    &EST_RST_OUTSIDE,
    &EST_SYN,
    &EST_SYNACK,
    &EST_NOACK,
];

const FIRST: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "first, check the sequence number" };
const SECOND: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "second, check the RST bit" };
const FOURTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "fourth, check the SYN bit" };
const FIFTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "fifth, check the ACK field" };
const SHLD_2: Rule = Rule { rfc: 9293, section: "3.5.3", detail: "SHLD-2" };
const BLIND_RST: Rule = Rule { rfc: 5961, section: "3.2", detail: "" };
const BLIND_SYN: Rule = Rule { rfc: 5961, section: "4.2", detail: "" };
const COOKIES: Rule = Rule { rfc: 4987, section: "3.6", detail: "" };
const OPEN: Rule = Rule { rfc: 9293, section: "3.5", detail: "" };

/// How long a half-open connection is watched for a repeated SYN-ACK.
const REPEATED: Duration = Duration::from_secs(4);
/// How long a server may put off an accept: Linux repeats the SYN-ACK after 7 s.
const DEFERRED: Duration = Duration::from_secs(9);

check!(
    SYNCOOKIE_DETECT,
    syncookie_detect,
    CheckInfo {
        id: "syncookie-detect",
        title: "Signs of SYN cookies",
        rules: &[COOKIES],
        level: Level::Observation,
        cost: Cost::Safe,
        groups: &[Group::SynReceived, Group::Syn],
        expect: "nothing is demanded: cookies keep a server reachable in a flood, and cost options",
        why: "A server that uses them without a flood loses window scaling and SACK for some clients.",
    }
);

async fn syncookie_detect(lab: Lab) -> Ruling {
    let offer = usual_offer(lab.setting().mss);
    let (mut quiet, first) = lab.half_open(&offer).await?;
    let repeated = quiet.expect(REPEATED, |_, got| got.has(Flags::SYN)).await.is_some();
    // A cookie is not forgotten by a RST, and is no obstacle to another SYN on the same ports.
    let (mut reset, _) = lab.half_open(&offer).await?;
    lab.reset_for_sure(&mut reset, "RST: forget it").await;
    reset.send(&ack().label("and yet the ACK"));
    let refused = reset.expect(lab.now_window(), |_, got| got.has(Flags::RST)).await.is_some();
    let other = offer.syn(&quiet).seq_at(quiet.iss + 1_000_000).label("another SYN, same ports");
    quiet.send(&other);
    let fresh = quiet.expect(lab.now_window(), |c, got| {
        got.has(Flags::SYN | Flags::ACK) && got.ack == c.iss + 1_000_001 && got.seq != first.seq
    });
    let fresh = fresh.await.is_some();
    let asked = [
        (Some(!repeated), "the SYN-ACK is not repeated"),
        (Some(!refused), "an ACK after RST is not refused"),
        (Some(fresh), "another SYN on the same ports is answered at once"),
        (forgets_options(&lab).await?, "no options without timestamps to keep them in"),
        (rounds_the_mss(&lab).await?, "our MSS is rounded down"),
    ];
    let signs: Vec<&str> =
        asked.iter().filter_map(|(seen, sign)| (*seen == Some(true)).then_some(*sign)).collect();
    let text = signs.join("; ");
    Ok(if signs.is_empty() {
        info("no sign of them")
    } else if asked.iter().all(|(seen, _)| *seen != Some(false)) {
        info(format!("SYN cookies: {text}"))
    } else {
        info(format!("not clear: {text}"))
    })
}

/// Whether the server agrees on neither scaling nor SACK where we offer no timestamps, in which a
/// cookie keeps them; absent where it agrees on none of them anyway.
async fn forgets_options(lab: &Lab) -> Result<Option<bool>, Stop> {
    let server = lab.server();
    if !server.timestamps || !server.sack && server.window_scale.is_none() {
        return Ok(None);
    }
    let mss = TcpOption::Mss(lab.setting().mss);
    let scale = [TcpOption::Nop, TcpOption::WindowScale(0)];
    let offer = Offer::of(&[&[mss, TcpOption::SackPermitted], &scale[..]].concat());
    let (c, _) = lab.half_open(&offer).await?;
    Ok(Some(!c.peer.sack && c.peer.window_scale.is_none()))
}

/// Whether the server sends no more than 536 bytes in a segment where 1,000 are allowed: a cookie has
/// room for a few sizes only. Absent where it does not greet with so much.
async fn rounds_the_mss(lab: &Lab) -> Result<Option<bool>, Stop> {
    const ALLOWED: u16 = 1000;
    const ROUNDED: usize = 536;
    if lab.target().is_ipv6() || lab.server().greets <= ALLOWED.into() {
        return Ok(None);
    }
    let mut c = lab.open_with(&Offer::of(&[TcpOption::Mss(ALLOWED)])).await?;
    let got = c.expect(lab.server_window(), |_, got| !got.payload.is_empty()).await;
    // Several may have been merged on the way, but none is cut.
    Ok(got.map(|got| got.segment.payload.len() % ROUNDED == 0))
}

check!(
    ACCEPT_QUEUE,
    accept_queue,
    CheckInfo {
        id: "accept-queue",
        title: "Whether our ACK is taken at once",
        rules: &[OPEN],
        level: Level::Observation,
        cost: Cost::Safe,
        groups: &[Group::SynReceived],
        expect: "silence; the SYN-ACK again means that the queue of connections to accept is full",
        why: "A server that is too slow to accept looks like a network that loses packets.",
    }
);

async fn accept_queue(lab: Lab) -> Ruling {
    let (mut c, _) = lab.half_open(&usual_offer(lab.setting().mss)).await?;
    c.send(&ack());
    let again = c.expect(REPEATED, |_, got| got.has(Flags::SYN)).await.is_some();
    if !again {
        return Ok(info("taken at once"));
    }
    c.send(&ack().label("the ACK again"));
    let still = c.expect(REPEATED, |_, got| got.has(Flags::SYN)).await.is_some();
    Ok(if still {
        info("the SYN-ACK comes again and again: the queue is full, or the server waits for data")
    } else {
        info("taken the second time: the first ACK was lost, or found no room")
    })
}

check!(
    DEFER_ACCEPT,
    defer_accept,
    CheckInfo {
        id: "defer-accept",
        title: "Whether the server waits for data before it accepts",
        rules: &[OPEN],
        level: Level::Observation,
        cost: Cost::Safe,
        groups: &[Group::SynReceived],
        expect: "nothing is demanded",
        why: "A health check that only connects never reaches the application of such a server.",
    }
);

async fn defer_accept(lab: Lab) -> Ruling {
    if lab.server().closes_first == Some(Trigger::Connect) {
        return Err(not_applicable("the server closes as soon as it is connected"));
    }
    let (mut c, _) = lab.half_open(&usual_offer(lab.setting().mss)).await?;
    c.send(&ack());
    let again = c.expect(DEFERRED, |_, got| got.has(Flags::SYN)).await.is_some();
    c.become_established();
    if !again {
        return Ok(info("it accepts at once"));
    }
    Ok(match lab.liveness(&mut c).await {
        Liveness::Alive => info("the SYN-ACK comes again until there are data: it waits for them"),
        _ => info("the SYN-ACK comes again, and data do not help"),
    })
}

check!(
    EST_RST_EXACT,
    est_rst_exact,
    CheckInfo {
        id: "est-rst-exact",
        title: "An exact RST",
        rules: &[SECOND, SHLD_2],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Rst],
        expect: "the connection is gone: data are reset. Also with data in the RST, or with an odd ACK",
        why: "A server that ignores it keeps connections whose client has crashed.",
    }
);

async fn est_rst_exact(lab: Lab) -> Ruling {
    // A firewall takes the number of the third for a forgery, and swallows it.
    let kinds = [
        ("plain", Class::Ordinary, rst()),
        ("with data", Class::Ordinary, rst().payload(b"0123456789")),
        ("with an odd ACK", Class::OutOfWindow, seg(Flags::RST | Flags::ACK).ack(5000)),
    ];
    let runs: Vec<Running<'_, Ruling>> = kinds
        .iter()
        .map(|(_, class, what)| -> Running<'_, _> { Box::pin(gone_after(&lab, *class, what)) })
        .collect();
    let all = join(runs).await;
    gravest(kinds.iter().map(|(name, ..)| *name).zip(all).collect())
}

async fn gone_after(lab: &Lab, class: Class, what: &Seg) -> Ruling {
    let mut c = lab.established().await?;
    // One of them arrives.
    for _ in 0..3 {
        c.send(&what.clone().label("an exact RST"));
        c.collect(Duration::from_millis(50) + lab.rtt()).await;
    }
    Ok(match lab.liveness(&mut c).await {
        Liveness::Reset(_) => {
            c.leave_quietly();
            pass("gone: data are reset")
        }
        Liveness::Alive => found(lab.on_silence(class, Verdict::Fail), "the connection lives on"),
        Liveness::Dead => {
            found(lab.on_silence(Class::Stray, Verdict::Warn), "data meet silence in place of RST")
        }
    })
}

check!(
    EST_RST_INWINDOW,
    est_rst_inwindow,
    CheckInfo {
        id: "est-rst-inwindow",
        title: "A RST in the window that is not exact",
        rules: &[BLIND_RST, SECOND],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Rst, Group::Window],
        expect: "a challenge ACK; the connection lives",
        why: "Whoever guesses addresses and ports can otherwise cut connections with a few packets.",
    }
);

async fn est_rst_inwindow(lab: Lab) -> Ruling {
    let left = Box::pin(challenged_rst(&lab, false));
    let right = Box::pin(challenged_rst(&lab, true));
    let all = join::<Ruling>(vec![left, right]).await;
    gravest(["at the left edge", "at the right edge"].into_iter().zip(all).collect())
}

async fn challenged_rst(lab: &Lab, right_edge: bool) -> Ruling {
    let mut c = lab.established().await?;
    let (s, r) = (c.snd_nxt, c.rcv_nxt);
    let window = i64::from(c.their_window());
    if window < 2 {
        return Err(not_applicable("the window has room for the exact number only"));
    }
    let offset = if right_edge { window - 1 } else { 1 };
    let challenge = |_: &Conversation, got: &Segment| {
        got.flags == Flags::ACK && got.ack == s && got.seq == r && got.payload.is_empty()
    };
    let what = rst().seq(offset).label("RST in the window, not exact");
    let challenged = lab.ask(&mut c, &what, lab.now_window(), challenge).await.is_some();
    Ok(match (lab.liveness(&mut c).await, challenged) {
        (Liveness::Alive, true) => pass("a challenge ACK, and it lives"),
        (Liveness::Alive, false) => tolerated("silence, and it lives"),
        (Liveness::Reset(got), _) => warn(format!("it was obeyed: {}", c.notation(&got.segment))),
        (Liveness::Dead, _) => {
            found(lab.on_silence(Class::Ordinary, Verdict::Warn), "the connection is dead after it")
        }
    })
}

check!(
    EST_RST_OUTSIDE,
    est_rst_outside,
    CheckInfo {
        id: "est-rst-outside",
        title: "A RST out of the window",
        rules: &[FIRST, BLIND_RST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Rst, Group::Window],
        expect: "silence; the connection lives",
        why: "A server that obeys it can be cut off by anybody.",
    }
);

async fn est_rst_outside(lab: Lab) -> Ruling {
    let old = Box::pin(ignored_rst(&lab, -1));
    let far = Box::pin(ignored_rst(&lab, 1 << 30));
    let all = join::<Ruling>(vec![old, far]).await;
    gravest(["one too low", "far too high"].into_iter().zip(all).collect())
}

async fn ignored_rst(lab: &Lab, offset: i64) -> Ruling {
    let mut c = lab.established().await?;
    let (s, r) = (c.snd_nxt, c.rcv_nxt);
    let what = rst().seq(offset).label("RST out of the window");
    let answer = |_: &Conversation, got: &Segment| {
        got.flags == Flags::ACK && got.ack == s && got.seq == r && got.payload.is_empty()
    };
    let answered = lab.disturb(&mut c, &what, answer).await.is_some();
    Ok(match (lab.liveness(&mut c).await, answered) {
        (Liveness::Alive, false) => {
            return lab.ignored(Class::OutOfWindow, "silence, and it lives");
        }
        (Liveness::Alive, true) => tolerated("an ACK, and it lives"),
        (Liveness::Reset(got), _) => fail(format!("it was obeyed: {}", c.notation(&got.segment))),
        (Liveness::Dead, _) => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "the connection is dead after it")
        }
    })
}

check!(
    EST_SYN,
    est_syn,
    CheckInfo {
        id: "est-syn",
        title: "A SYN on an open connection",
        rules: &[BLIND_SYN, FOURTH],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Syn, Group::Window],
        expect: "a challenge ACK, whatever its number; the connection lives",
        why: "A guessed SYN must not cut a connection; a client that restarted needs the ACK to clear \
              the old one away.",
    }
);

async fn est_syn(lab: Lab) -> Ruling {
    let kinds = [
        ("in the window", Some(100), Verdict::Warn),
        ("exact", Some(0), Verdict::Warn),
        ("the first one's number", None, Verdict::Fail),
        ("far away", Some(1 << 30), Verdict::Fail),
    ];
    let runs: Vec<Running<'_, Ruling>> = kinds
        .iter()
        .map(|(_, offset, reset)| -> Running<'_, _> {
            Box::pin(challenged_syn(&lab, *offset, *reset))
        })
        .collect();
    let all = join(runs).await;
    gravest(kinds.iter().map(|kind| kind.0).zip(all).collect())
}

/// A SYN at `offset` from SND.NXT, or with the number of our first one; `reset` is what it deserves
/// where it cuts the connection.
async fn challenged_syn(lab: &Lab, offset: Option<i64>, reset: Verdict) -> Ruling {
    let mut c = lab.established().await?;
    let what = match offset {
        Some(offset) => syn().seq(offset),
        None => syn().seq_at(c.iss),
    };
    challenged(lab, &mut c, &what.label("SYN on an open connection"), reset).await
}

async fn challenged(lab: &Lab, c: &mut Conversation, what: &Seg, reset: Verdict) -> Ruling {
    let s = c.snd_nxt;
    let decides = |_: &Conversation, got: &Segment| {
        got.flags.intersects(Flags::RST | Flags::SYN)
            || got.flags == Flags::ACK && got.ack == s && got.payload.is_empty()
    };
    let got = lab.ask(c, what, lab.now_window(), decides).await;
    if let Some(got) = &got
        && got.segment.flags != Flags::ACK
    {
        return Ok(found(reset, format!("answered by {}", c.notation(&got.segment))));
    }
    Ok(match (lab.liveness(c).await, got) {
        (Liveness::Alive, Some(_)) => pass("a challenge ACK, and it lives"),
        (Liveness::Alive, None) => {
            found(lab.on_silence(Class::OutOfWindow, Verdict::Warn), "no ACK, but it lives")
        }
        (Liveness::Reset(got), _) => {
            found(reset, format!("the connection is gone: {}", c.notation(&got.segment)))
        }
        (Liveness::Dead, _) => {
            found(lab.on_silence(Class::Ordinary, reset), "the connection is dead after it")
        }
    })
}

check!(
    EST_SYNACK,
    est_synack,
    CheckInfo {
        id: "est-synack",
        title: "A SYN-ACK on an open connection",
        rules: &[FIRST, BLIND_SYN],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Established, Group::Syn, Group::Window],
        expect: "an ACK; the connection lives",
        why: "A duplicate of an old handshake must not cut a connection.",
    }
);

async fn est_synack(lab: Lab) -> Ruling {
    let mut c = lab.established().await?;
    let what = seg(Flags::SYN | Flags::ACK).seq_at(c.iss).label("SYN-ACK on an open connection");
    challenged(&lab, &mut c, &what, Verdict::Fail).await
}

check!(
    EST_NOACK,
    est_noack,
    CheckInfo {
        id: "est-noack",
        title: "Segments without ACK",
        rules: &[FIFTH],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::Established],
        expect: "silence: they are dropped, the connection lives",
        why: "A server that takes data or FIN without an acknowledgment takes them from anybody.",
    }
);

async fn est_noack(lab: Lab) -> Ruling {
    let kinds = [
        ("NULL", seg(Flags::NONE)),
        ("data", seg(Flags::NONE).payload(b"data")),
        ("FIN", seg(Flags::FIN)),
        ("XMAS", seg(Flags::FIN | Flags::PSH | Flags::URG)),
    ];
    let runs: Vec<Running<'_, Ruling>> =
        kinds.iter().map(|(_, what)| -> Running<'_, _> { Box::pin(dropped(&lab, what)) }).collect();
    let all = join(runs).await;
    gravest(kinds.iter().map(|(name, _)| *name).zip(all).collect())
}

async fn dropped(lab: &Lab, what: &Seg) -> Ruling {
    let mut c = lab.established().await?;
    let s = c.snd_nxt;
    // What the application says, or says again, is no answer.
    let answer = |_: &Conversation, got: &Segment| {
        let pure = got.flags == Flags::ACK && got.payload.is_empty();
        pure || got.has(Flags::RST) || got.has(Flags::ACK) && got.ack.is_after(s)
    };
    let answer = lab.disturb(&mut c, &what.clone().label("without ACK"), answer).await;
    if let Some(got) = &answer
        && (got.segment.has(Flags::RST) || got.segment.ack.is_after(s))
    {
        return Ok(fail(format!("it was not dropped: {}", c.notation(&got.segment))));
    }
    Ok(match (lab.liveness(&mut c).await, answer) {
        // What has no ACK belongs to no connection, as a firewall sees it.
        (Liveness::Alive, None) => return lab.ignored(Class::Stray, "silence, and it lives"),
        (Liveness::Alive, Some(_)) => tolerated("an ACK, and it lives"),
        (Liveness::Reset(got), _) => {
            fail(format!("the connection is gone: {}", c.notation(&got.segment)))
        }
        (Liveness::Dead, _) => {
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "the connection is dead after it")
        }
    })
}
