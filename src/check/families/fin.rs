//! We close first: what the server's kernel makes of our FIN, and its application of the end of file.

use std::time::Duration;

use crate::check::finding::{
    Ruling, Stop, fail, found, inconclusive, info, not_applicable, pass, tolerated,
};
use crate::check::lab::{
    Class, Conversation, Got, Lab, Liveness, Opening, Seg, ack, data, fin, seg, usual_offer,
};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Finding, Group, Level, Rule, Verdict};
use crate::wire::{Flags, Segment};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &FIN_ACKED,
    &FIN_REPLY,
    &FIN_ACK_ONCE,
    &FIN_OOW,
    &FIN_BADACK,
    &FIN_NOACK,
    &FIN_BADCSUM,
    &FIN_MALFORMED,
];

const EIGHTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "eighth, check the FIN bit" };
const FIRST: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "first, check the sequence number" };
const FIFTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "fifth, check the ACK field" };
const CASE_2: Rule = Rule { rfc: 9293, section: "3.6", detail: "case 2" };
const MUST_3: Rule = Rule { rfc: 9293, section: "3.1", detail: "MUST-3" };
const HEADER: Rule = Rule { rfc: 9293, section: "3.1", detail: "data offset" };

/// Beyond any window that is not scaled.
const FAR: i64 = 300_000;
/// Beyond anything that a server may have under way in a window that is not scaled.
const UNSENT: i64 = 200_000;

check!(
    FIN_ACKED,
    fin_acked,
    CheckInfo {
        id: "fin-acked",
        title: "Our FIN is acknowledged",
        rules: &[EIGHTH, CASE_2],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "an ACK of the FIN at once, whatever the application does with the end of file",
        why: "Where it is missing, every close of a client hangs until its retransmissions run out.",
    }
);

async fn fin_acked(lab: Lab) -> Ruling {
    let mut c = lab.ready().await?;
    Ok(match lab.close(&mut c).await {
        Closed::Acknowledged(_, after) => timed(pass("acknowledged"), "ack-of-fin", after),
        Closed::Reset(got) => info(format!("the application resets: {}", c.notation(&got.segment))),
        Closed::Silence => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            found(verdict, "the FIN was never acknowledged")
        }
    })
}

/// What our FIN was answered with.
pub(super) enum Closed {
    /// Acknowledged; how long after the FIN, where it was sent only once.
    Acknowledged(Got, Option<Duration>),
    /// Reset.
    Reset(Got),
    /// Nothing.
    Silence,
}

impl Lab {
    /// Sends our FIN and waits for its acknowledgment; SND.NXT moves behind it.
    pub(super) async fn close(&self, c: &mut Conversation) -> Closed {
        let end = c.snd_nxt + 1;
        let decides = |_: &Conversation, got: &Segment| {
            got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == end
        };
        let began = self.time();
        let Some(got) = self.ask(c, &fin(), self.ack_window(), decides).await else {
            return Closed::Silence;
        };
        if got.segment.has(Flags::RST) {
            return Closed::Reset(got);
        }
        c.advance(1);
        let after = self.only_sent_since(began).map(|left| got.stamp.at.since(left));
        Closed::Acknowledged(got, after)
    }
}

/// A finding with an interval, where it was measured.
fn timed(finding: Finding, name: &'static str, value: Option<Duration>) -> Finding {
    match value {
        Some(value) => finding.time(name, value),
        None => finding,
    }
}

check!(
    FIN_REPLY,
    fin_reply,
    CheckInfo {
        id: "fin-reply",
        title: "How soon the server closes after us",
        rules: &[CASE_2],
        level: Level::Observation,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "nothing is demanded: from CLOSE-WAIT on, it is the application's turn",
        why: "A server that stays in CLOSE-WAIT leaks a socket with each client that leaves.",
    }
);

async fn fin_reply(lab: Lab) -> Ruling {
    let mut c = lab.ready().await?;
    let Closed::Acknowledged(acked, after) = lab.close(&mut c).await else {
        return Err(inconclusive("our FIN was not acknowledged"));
    };
    let merged = acked.segment.has(Flags::FIN);
    let theirs = if merged { Some(acked.clone()) } else { read_to_fin(&lab, &mut c).await };
    let finding = match theirs {
        Some(theirs) => {
            let dwell = theirs.stamp.at.since(acked.stamp.at);
            let how = if merged { "with the ACK of ours" } else { "after the ACK of ours" };
            info(format!("it closed {how}")).time("close-wait-dwell", dwell)
        }
        None if c.was_reset => info("it reset the connection in place of closing it"),
        None => info(format!(
            "still CLOSE-WAIT after {} s: the application holds the socket",
            lab.server_window().as_secs()
        )),
    };
    Ok(timed(finding, "ack-of-fin", after))
}

/// The segment with the server's FIN. What it says before is acknowledged, or it could not go on; one
/// that trickles for ever is not read for ever.
async fn read_to_fin(lab: &Lab, c: &mut Conversation) -> Option<Got> {
    let last = lab.time() + 3 * lab.server_window();
    let mut until = lab.time() + lab.server_window();
    while let Some(got) = c.next_segment(until).await {
        if got.segment.has(Flags::FIN) {
            return Some(got);
        }
        if c.was_reset {
            return None;
        }
        if !got.segment.payload.is_empty() {
            c.send(&ack());
            until = (lab.time() + lab.server_window()).min(last);
        }
    }
    None
}

check!(
    FIN_ACK_ONCE,
    fin_ack_once,
    CheckInfo {
        id: "fin-ack-once",
        title: "One byte, then the FIN by itself",
        rules: &[EIGHTH],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "one or two ACKs, the last of both",
        why: "The last byte and the end of a stream often come in two segments.",
    }
);

async fn fin_ack_once(lab: Lab) -> Ruling {
    let mut c = lab.ready().await?;
    let s = c.snd_nxt;
    c.push(&data(b"x").label("one byte"));
    let before = fin().label("the FIN by itself");
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == s + 2
    };
    // Where the byte is lost, the FIN alone brings no acknowledgment of both.
    for _ in 0..3 {
        c.send(&before);
        match c.expect(lab.ack_window().max(Duration::from_millis(1200)), decides).await {
            Some(got) if got.segment.has(Flags::RST) => {
                return Ok(info(format!("the application resets: {}", c.notation(&got.segment))));
            }
            Some(_) => {
                c.advance(1);
                return Ok(pass("both are acknowledged"));
            }
            None => c.send(&data(b"x").seq(-1).label("no answer: the byte once more")),
        }
    }
    let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
    Ok(found(verdict, "byte and FIN were never acknowledged together"))
}

check!(
    FIN_OOW,
    fin_oow,
    CheckInfo {
        id: "fin-oow",
        title: "A FIN far out of the window",
        rules: &[FIRST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin, Group::Window],
        expect: "an ACK of what is expected; the connection lives",
        why: "A server that takes it can be closed by anybody who guesses the addresses and ports.",
    }
);

async fn fin_oow(lab: Lab) -> Ruling {
    not_taken(&lab, &fin().seq(FAR).label("FIN out of the window"), true).await
}

check!(
    FIN_BADACK,
    fin_badack,
    CheckInfo {
        id: "fin-badack",
        title: "A FIN that acknowledges what was never sent",
        rules: &[FIFTH],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin, Group::Window],
        expect: "an ACK; the FIN is dropped with its segment, the connection lives",
        why: "A server that takes it can be closed by a forged segment with a guessed number.",
    }
);

async fn fin_badack(lab: Lab) -> Ruling {
    not_taken(&lab, &fin().ack(UNSENT).label("FIN that acknowledges what was never sent"), true)
        .await
}

check!(
    FIN_NOACK,
    fin_noack,
    CheckInfo {
        id: "fin-noack",
        title: "A FIN without ACK",
        rules: &[FIFTH],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::Fin],
        expect: "silence: it is dropped, the connection lives",
        why: "Scanners send it; a server that takes it loses connections to them.",
    }
);

async fn fin_noack(lab: Lab) -> Ruling {
    not_taken(&lab, &seg(Flags::FIN).label("FIN without ACK"), false).await
}

check!(
    FIN_BADCSUM,
    fin_badcsum,
    CheckInfo {
        id: "fin-badcsum",
        title: "A FIN with a wrong checksum",
        rules: &[MUST_3],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "silence: it is dropped, the connection lives",
        why: "A damaged segment must not close a connection.",
    }
);

async fn fin_badcsum(lab: Lab) -> Ruling {
    if lab.is_this_host() {
        return Err(not_applicable(
            "this host's own packets to itself are not verified everywhere",
        ));
    }
    let what = fin().wrong_checksum().label("FIN with a wrong checksum");
    let finding = not_taken(&lab, &what, false).await?;
    if finding.verdict == Verdict::Fail && !can_see_checksums(&lab).await? {
        // On a link inside one machine nobody computes checksums, and the receiver need not look.
        return Err(not_applicable(format!(
            "{}, but on this link the kernel vouches for checksums",
            finding.observed
        )));
    }
    Ok(finding)
}

/// Whether what the server sends comes with checksums that are really there.
async fn can_see_checksums(lab: &Lab) -> Result<bool, Stop> {
    let mut c = lab.conversation()?;
    match lab.knock(&mut c, &usual_offer(lab.setting().mss)).await {
        Opening::SynAck(got) => Ok(got.checksum_right.is_some()),
        _ => Err(inconclusive("no SYN is answered any more")),
    }
}

/// A FIN that must not be taken: the connection lives after it. Where `answered`, an ACK is due.
async fn not_taken(lab: &Lab, what: &Seg, answered: bool) -> Ruling {
    let mut c = lab.established().await?;
    let s = c.snd_nxt;
    // What an application says, or says again, is no answer.
    let says = |_: &Conversation, got: &Segment| {
        let pure = got.flags == Flags::ACK && got.payload.is_empty();
        pure || got.has(Flags::RST) || got.has(Flags::ACK) && got.ack.is_after(s)
    };
    let got = if answered {
        lab.ask(&mut c, what, lab.now_window(), says).await
    } else {
        lab.disturb(&mut c, what, says).await
    };
    if let Some(got) = &got
        && (got.segment.has(Flags::RST) || got.segment.ack.is_after(s))
    {
        let what = if got.segment.has(Flags::RST) { "reset" } else { "it was taken" };
        return Ok(fail(format!("{what}: {}", c.notation(&got.segment))));
    }
    Ok(match lab.liveness(&mut c).await {
        Liveness::Reset(got) => {
            fail(format!("the connection is gone: {}", c.notation(&got.segment)))
        }
        // An ACK of what is out of order may come first, and that of the FIN behind it. It is no
        // silence, which a path that loses might explain.
        Liveness::Dead if c.acked() == Some(s + 1) => fail("it was taken, and acknowledged later"),
        Liveness::Dead => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            found(verdict, "the connection is dead after it")
        }
        Liveness::Alive if c.peer_fin.is_some() => {
            // On a path that loses, a server that closes by itself may have been taken for another.
            found(lab.on_silence(Class::Ordinary, Verdict::Fail), "the server closed after it")
        }
        Liveness::Alive => match (answered, got) {
            (true, Some(_)) => pass("an ACK, and the connection lives"),
            (true, None) => {
                let verdict = lab.on_silence(Class::OutOfWindow, Verdict::Warn);
                found(verdict, "no ACK, but the connection lives")
            }
            // Without ACK, or with a wrong checksum: a firewall drops both as no part of anything.
            (false, None) => {
                return lab.ignored(Class::Stray, "silence, and the connection lives");
            }
            (false, Some(_)) => tolerated("an ACK, and the connection lives"),
        },
    })
}

check!(
    FIN_MALFORMED,
    fin_malformed,
    CheckInfo {
        id: "fin-malformed",
        title: "A FIN whose header cannot be",
        rules: &[HEADER],
        level: Level::Must,
        cost: Cost::Intrusive,
        groups: &[Group::Fin],
        expect: "silence: it is dropped, the connection lives, and so does the server",
        why: "A stack that reads beyond a header that lies can be crashed by one packet.",
    }
);

async fn fin_malformed(lab: Lab) -> Ruling {
    let mut c = lab.ready().await?;
    let s = c.snd_nxt;
    let whole = c.bytes_of(&fin());
    let mut short_offset = whole.clone();
    let mut long_offset = whole.clone();
    if let (Some(short), Some(long)) = (short_offset.get_mut(12), long_offset.get_mut(12)) {
        *short = 4 << 4;
        *long = 15 << 4;
    }
    let cut = whole.get(..12).unwrap_or_default().to_vec();
    for (bytes, label) in [
        (short_offset, "FIN, data offset 4"),
        (long_offset, "FIN, data offset 15 of 20 bytes"),
        (cut, "FIN, cut off after 12 bytes"),
    ] {
        let right = c.with_checksum(bytes);
        c.send_raw(&right, label);
    }
    let taken = |_: &Conversation, got: &Segment| got.has(Flags::RST) || got.ack.is_after(s);
    if let Some(got) = c.expect(lab.now_window(), taken).await {
        return Ok(fail(format!("it was taken: {}", c.notation(&got.segment))));
    }
    Ok(match lab.liveness(&mut c).await {
        Liveness::Alive => pass("silence, and the connection lives"),
        Liveness::Reset(got) => {
            fail(format!("the connection is gone: {}", c.notation(&got.segment)))
        }
        Liveness::Dead => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            found(verdict, "the connection is dead after it")
        }
    })
}
