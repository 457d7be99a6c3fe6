//! FIN and the data around it.

use std::time::Duration;

use super::fin::Closed;
use crate::check::finding::{
    Ruling, Stop, fail, found, inconclusive, info, not_applicable, pass, tolerated,
};
use crate::check::lab::{Class, Conversation, Got, Lab, Seg, ack, data, fin, seg};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Finding, Group, Level, Rule, Trigger, Verdict};
use crate::wire::{Flags, Segment};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &FIN_PAYLOAD,
    &FIN_HOLE,
    &FIN_HOLE_DATA,
    &DATA_AFTER_FIN,
    &DATA_OVER_FIN,
    &FIN_RETX_CLOSEWAIT,
    &HALF_CLOSE_DATA,
    &ZWIN_FIN,
    &UNREAD_CLOSE,
];

const EIGHTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "eighth, check the FIN bit" };
const SEVENTH: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "seventh, process the segment text" };
const FIRST: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "first, check the sequence number" };
const QUEUE: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "SHLD-31" };
const HALF_CLOSE: Rule = Rule { rfc: 9293, section: "3.6.1", detail: "MAY-1" };
const SHLD_3: Rule = Rule { rfc: 9293, section: "3.6.1", detail: "SHLD-3" };
const UNREAD: Rule = Rule { rfc: 2525, section: "2.17", detail: "" };
const ZERO_WINDOW: Rule = Rule { rfc: 9293, section: "3.8.6.1", detail: "" };

/// A server that stays in CLOSE-WAIT for so long can be asked something there.
const DWELL: Duration = Duration::from_millis(200);

fn push_fin(payload: &[u8]) -> Seg {
    seg(Flags::FIN | Flags::PSH | Flags::ACK).payload(payload)
}

check!(
    FIN_PAYLOAD,
    fin_payload,
    CheckInfo {
        id: "fin-payload",
        title: "Data and FIN in one segment",
        rules: &[SEVENTH, EIGHTH],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "data and FIN acknowledged; what is echoed is whole",
        why: "Most short requests end like this: a server that drops the data loses the request.",
    }
);

async fn fin_payload(lab: Lab) -> Ruling {
    let mut c = lab.ready_to_close().await?;
    let (s, before) = (c.snd_nxt, c.received.len());
    let what = push_fin(b"hello").label("data and FIN");
    let acked = |_: &Conversation, got: &Segment| got.has(Flags::ACK) && got.ack == s + 6;
    if lab.ask(&mut c, &what, lab.ack_window(), acked).await.is_none() {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        return Ok(found(verdict, "data and FIN were never acknowledged together"));
    }
    c.advance(6);
    Ok(stream(&lab, &mut c, before, b"hello", pass("data and FIN acknowledged")).await)
}

/// What the server echoes after our FIN has to be what we sent.
async fn stream(
    lab: &Lab,
    c: &mut Conversation,
    before: usize,
    sent: &[u8],
    good: Finding,
) -> Finding {
    if !lab.server().echoes {
        return good;
    }
    c.drain_to_fin(lab.server_window()).await;
    if c.peer_fin.is_some() && c.received[before..] != *sent {
        let echoed = String::from_utf8_lossy(&c.received[before..]).into_owned();
        return fail(format!("acknowledged, but the stream is not what was sent: {echoed:?}"));
    }
    good
}

check!(
    FIN_HOLE,
    fin_hole,
    CheckInfo {
        id: "fin-hole",
        title: "A FIN ahead of missing data",
        rules: &[EIGHTH, QUEUE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "the FIN is not acknowledged before the five bytes are there; then all of it is",
        why: "A server that takes a FIN ahead of a hole loses the end of what was sent, in silence.",
    }
);

async fn fin_hole(lab: Lab) -> Ruling {
    let ahead = fin().seq(5).label("FIN, and five bytes before it missing");
    hole(&lab, &ahead, b"hello", 6).await
}

check!(
    FIN_HOLE_DATA,
    fin_hole_data,
    CheckInfo {
        id: "fin-hole-data",
        title: "Data and FIN ahead of missing data",
        rules: &[EIGHTH, QUEUE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "nothing is acknowledged before the hole is filled; then all of it is",
        why: "Packets overtake each other every day; the end of a stream must survive it.",
    }
);

async fn fin_hole_data(lab: Lab) -> Ruling {
    let ahead = push_fin(b"world").seq(5).label("data and FIN, and five bytes before them missing");
    hole(&lab, &ahead, b"helloworld", 11).await
}

/// `ahead` comes first, then the five bytes before it; all of it takes `len` numbers.
async fn hole(lab: &Lab, ahead: &Seg, sent: &[u8], len: u32) -> Ruling {
    let mut c = lab.ready_to_close().await?;
    let (s, before) = (c.snd_nxt, c.received.len());
    // Only what is acknowledged is wrong before the hole is filled; a duplicate ACK is due, and its
    // absence is a matter of other checks.
    let says = |_: &Conversation, got: &Segment| got.has(Flags::ACK);
    if let Some(early) = lab.ask(&mut c, ahead, lab.ack_window(), says).await
        && (early.segment.ack.is_after(s) || early.segment.has(Flags::FIN))
    {
        // A FIN alone says that the application was told of the end, or, on a path that loses, that the
        // server closes by itself and was taken for another.
        let acked = early.segment.ack.is_after(s);
        let verdict =
            if acked { Verdict::Fail } else { lab.on_silence(Class::Ordinary, Verdict::Fail) };
        return Ok(found(verdict, format!("it was taken early: {}", c.notation(&early.segment))));
    }
    let fill = data(&sent[..5]).label("the missing five bytes");
    let filled = |_: &Conversation, got: &Segment| got.has(Flags::ACK) && got.ack.is_after(s);
    let Some(filled) = lab.ask(&mut c, &fill, lab.ack_window(), filled).await else {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        return Ok(found(verdict, "the missing bytes were never acknowledged"));
    };
    let whole = |_: &Conversation, got: &Segment| got.has(Flags::ACK) && got.ack == s + len;
    let at_once =
        filled.segment.ack == s + len || c.expect(lab.ack_window(), whole).await.is_some();
    let good = if at_once {
        pass("acknowledged once complete, the FIN included")
    } else {
        let again = ahead.clone().label("what came early, again");
        if lab.ask(&mut c, &again, lab.ack_window(), whole).await.is_none() {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            return Ok(found(verdict, "what came early was never acknowledged, not when repeated"));
        }
        tolerated("what came early was forgotten, and taken when it was repeated")
    };
    c.advance(len);
    Ok(stream(lab, &mut c, before, sent, good).await)
}

/// A connection whose server is in CLOSE-WAIT, and stays there for a while.
pub(super) async fn close_wait(lab: &Lab) -> Result<Conversation, Stop> {
    if lab.server().closes_after_fin.is_some_and(|dwell| dwell < DWELL) {
        return Err(not_applicable("the server leaves CLOSE-WAIT at once"));
    }
    let mut c = lab.ready().await?;
    match lab.close(&mut c).await {
        Closed::Acknowledged(..) if c.peer_fin.is_none() => Ok(c),
        Closed::Acknowledged(..) => Err(inconclusive("this time the server closed at once")),
        Closed::Reset(_) => Err(not_applicable("the application resets after our FIN")),
        Closed::Silence => Err(inconclusive("our FIN was not acknowledged")),
    }
}

check!(
    DATA_AFTER_FIN,
    data_after_fin,
    CheckInfo {
        id: "data-after-fin",
        title: "Data behind our FIN",
        rules: &[SEVENTH],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "silence, or an ACK of the FIN and no more",
        why: "A server that takes data after the end of a stream hands its application what nobody \
              sent as part of it.",
    }
);

async fn data_after_fin(lab: Lab) -> Ruling {
    let mut c = close_wait(&lab).await?;
    let what = data(b"late").label("data behind the FIN");
    Ok(match beyond(&lab, &mut c, &what).await {
        Beyond::Acknowledged(got) => fail(format!("it was taken: {}", c.notation(&got.segment))),
        Beyond::Reset(got) => tolerated(format!("reset: {}", c.notation(&got.segment))),
        Beyond::No(0) => pass("silence"),
        Beyond::No(_) => pass("an ACK of the FIN and no more"),
    })
}

/// What a segment that must not be acknowledged met.
enum Beyond {
    /// It was.
    Acknowledged(Got),
    /// Reset.
    Reset(Got),
    /// It was not, in so many answers.
    No(usize),
}

async fn beyond(lab: &Lab, c: &mut Conversation, what: &Seg) -> Beyond {
    let end = c.snd_nxt;
    // Twice, for the one that may be lost.
    c.send(what);
    let mut answers = c.collect(Duration::from_millis(1200)).await;
    c.send(&what.clone().label("once more"));
    answers.extend(c.collect(lab.ack_window()).await);
    for got in &answers {
        if got.segment.has(Flags::RST) {
            return Beyond::Reset(got.clone());
        }
        if got.segment.has(Flags::ACK) && got.segment.ack.is_after(end) {
            return Beyond::Acknowledged(got.clone());
        }
    }
    Beyond::No(answers.len())
}

check!(
    DATA_OVER_FIN,
    data_over_fin,
    CheckInfo {
        id: "data-over-fin",
        title: "Data in the place of our FIN",
        rules: &[SEVENTH],
        level: Level::Must,
        cost: Cost::Noisy,
        groups: &[Group::Fin],
        expect: "an ACK of the FIN and no more, silence, or RST",
        why: "A stream that has ended cannot be made longer by whoever sends next.",
    }
);

async fn data_over_fin(lab: Lab) -> Ruling {
    let mut c = close_wait(&lab).await?;
    let what = data(b"instead").seq(-1).label("data on the number of the FIN");
    Ok(match beyond(&lab, &mut c, &what).await {
        Beyond::Acknowledged(got) => fail(format!("it was taken: {}", c.notation(&got.segment))),
        Beyond::Reset(_) => info("reset"),
        Beyond::No(0) => info("silence"),
        Beyond::No(_) => info("an ACK of the FIN and no more"),
    })
}

check!(
    FIN_RETX_CLOSEWAIT,
    fin_retx_closewait,
    CheckInfo {
        id: "fin-retx-closewait",
        title: "Our FIN again in CLOSE-WAIT: the ACK was lost",
        rules: &[FIRST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "an ACK, of the late one at least",
        why: "A client whose ACK was lost repeats its FIN until it gives up.",
    }
);

async fn fin_retx_closewait(lab: Lab) -> Ruling {
    let mut c = close_wait(&lab).await?;
    let again = fin().seq(-1).label("our FIN again");
    for _ in 0..4 {
        c.send(&again);
        c.pause(Duration::from_millis(50)).await;
    }
    // What those were answered with does not count: a stack may throttle.
    c.collect(Duration::from_millis(1200)).await;
    let end = c.snd_nxt;
    let acked = |_: &Conversation, got: &Segment| got.has(Flags::ACK) && got.ack == end;
    let late = fin().seq(-1).label("and once more, later");
    Ok(match lab.ask(&mut c, &late, lab.ack_window(), acked).await {
        Some(_) => pass("acknowledged again"),
        None => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            found(verdict, "not acknowledged again")
        }
    })
}

check!(
    HALF_CLOSE_DATA,
    half_close_data,
    CheckInfo {
        id: "half-close-data",
        title: "The server goes on sending after our FIN",
        rules: &[HALF_CLOSE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "our FIN acknowledged at once; later all data, in order, and the server's FIN",
        why: "A client that says that its request is complete still wants the answer.",
    }
);

async fn half_close_data(lab: Lab) -> Ruling {
    if lab.server().answers_after_eof == 0 {
        return Err(not_applicable("the server says nothing after our FIN"));
    }
    let mut c = lab.ready().await?;
    let before = c.received.len();
    let request = lab.setting().request.clone();
    let end = c.snd_nxt + u32::try_from(request.len()).unwrap_or(0) + 1;
    let what = push_fin(&request).label("the request, and our FIN");
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == end
    };
    match lab.ask(&mut c, &what, lab.ack_window(), decides).await {
        Some(got) if got.segment.has(Flags::RST) => {
            return Ok(fail(format!("reset: {}", c.notation(&got.segment))));
        }
        Some(_) => c.advance(what.len()),
        None => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            return Ok(found(verdict, "request and FIN were never acknowledged"));
        }
    }
    c.send(&ack());
    c.drain_to_fin(lab.server_window()).await;
    let bytes = (c.received.len() - before) as u64;
    if c.was_reset {
        return Ok(fail(format!("reset after {bytes} bytes")));
    }
    if c.peer_fin.is_none() {
        return Err(inconclusive(format!("{bytes} bytes, and no FIN in time")));
    }
    c.take_fin();
    c.send(&ack().label("ACK of its FIN"));
    Ok(if bytes == 0 {
        // On a path that loses, what it seemed to answer before may have been its greeting.
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        found(verdict, "the server closed without the answer that it gave before")
    } else {
        pass(format!("{bytes} bytes in order, then its FIN")).count("bytes-after-fin", bytes)
    })
}

check!(
    ZWIN_FIN,
    zwin_fin,
    CheckInfo {
        id: "zwin-fin",
        title: "Our FIN announces a window of zero",
        rules: &[ZERO_WINDOW],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin, Group::Window],
        expect: "the server's FIN, at the latest once the window opens",
        why: "A client that closes with a full buffer must not leave the server in CLOSE-WAIT.",
    }
);

async fn zwin_fin(lab: Lab) -> Ruling {
    let mut c = lab.ready_to_close().await?;
    c.window = 0;
    if !matches!(lab.close(&mut c).await, Closed::Acknowledged(..)) {
        return Err(inconclusive("our FIN was not acknowledged"));
    }
    c.drain_to_fin(Duration::from_secs(2) + lab.rtt()).await;
    if c.peer_fin.is_some() {
        return Ok(info("it sent its FIN into the closed window: a FIN needs no buffer"));
    }
    c.window = 65535;
    // It may have data to say first, which want to be acknowledged.
    for _ in 0..3 {
        c.send(&ack().label("the window opens"));
        c.drain_to_fin(lab.server_window()).await;
        if c.peer_fin.is_some() {
            return Ok(info("it waited for the window, and sent its FIN when it opened"));
        }
        if c.was_reset {
            return Ok(info("it reset the connection in place of closing it"));
        }
    }
    let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
    Ok(found(verdict, "its FIN never came, although the window is open"))
}

check!(
    UNREAD_CLOSE,
    unread_close,
    CheckInfo {
        id: "unread-close",
        title: "The server closes without reading what we sent",
        rules: &[SHLD_3, UNREAD],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::ServerCloses, Group::Rst],
        expect: "RST: the data were lost, and only the RST says so",
        why: "Without the RST a client believes that its request was received.",
    }
);

async fn unread_close(lab: Lab) -> Ruling {
    if lab.server().closes_first != Some(Trigger::Connect) {
        return Err(not_applicable("the server does not close as soon as it is connected"));
    }
    let mut c = lab.open().await?;
    c.push(&data(b"unread\r\n").label("what nobody reads"));
    let reset =
        c.expect(lab.server_window().min(Duration::from_secs(2)), |_, got| got.has(Flags::RST));
    Ok(match reset.await {
        Some(got) => pass(format!("reset: {}", c.notation(&got.segment))),
        None if c.peer_fin.is_some() => {
            info("a plain FIN: it read the data, or says nothing of them")
        }
        None => info("neither FIN nor RST"),
    })
}
