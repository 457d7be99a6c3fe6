//! Retransmission of FIN and data, and its schedule. All of it takes minutes.

use std::time::Duration;

use super::schedule;
use crate::check::finding::{Ruling, fail, found, inconclusive, not_applicable, pass, warn};
use crate::check::lab::{Class, Conversation, Got, Lab, Offer, ack, fin};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, FigureValue, Finding, Group, Level, Rule, Trigger, Verdict};
use crate::time::Instant;
use crate::wire::{Flags, Segment, TcpOption};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] =
    &[&FIN_RETX, &FIN_RETX_DUPACK, &FINWAIT1_RETX, &DATA_RETX, &ZWIN_DATA_CLOSE];

const BACKOFF: Rule = Rule { rfc: 6298, section: "5", detail: "(5.5)" };
const MUST_20: Rule = Rule { rfc: 9293, section: "3.8.3", detail: "MUST-20, SHLD-11" };
const ALL_UP_TO_FIN: Rule = Rule { rfc: 9293, section: "3.6", detail: "" };
const MUST_36: Rule = Rule { rfc: 9293, section: "3.8.6.1", detail: "MUST-36, SHLD-29, SHLD-30" };

/// How long a zero window is kept.
const SHUT: Duration = Duration::from_secs(40);

check!(
    FIN_RETX,
    fin_retx,
    CheckInfo {
        id: "fin-retx",
        title: "The server's FIN is not acknowledged",
        rules: &[BACKOFF, MUST_20],
        level: Level::Should,
        cost: Cost::Slow,
        groups: &[Group::Fin, Group::Retransmission],
        expect: "the FIN again and again, each gap twice the one before, for 100 s at least",
        why: "Without back-off a server floods a path that is down; one that gives up early forgets \
              clients behind a short outage.",
    }
);

async fn fin_retx(lab: Lab) -> Ruling {
    unacknowledged_fin(&lab, false).await
}

check!(
    FIN_RETX_DUPACK,
    fin_retx_dupack,
    CheckInfo {
        id: "fin-retx-dupack",
        title: "The server's FIN is answered by old ACKs",
        rules: &[ALL_UP_TO_FIN, BACKOFF],
        level: Level::Must,
        cost: Cost::Slow,
        groups: &[Group::Fin, Group::Retransmission],
        expect: "the FIN goes on being retransmitted: an old ACK acknowledges nothing",
        why: "A stack that takes any ACK for the one of its FIN leaves its peer waiting for a close \
              that never comes.",
    }
);

async fn fin_retx_dupack(lab: Lab) -> Ruling {
    unacknowledged_fin(&lab, true).await
}

/// Our FIN is acknowledged, theirs never; answered by old ACKs, or not at all.
async fn unacknowledged_fin(lab: &Lab, old_acks: bool) -> Ruling {
    let mut c = lab.ready_to_close().await?;
    let s = c.snd_nxt;
    let taken = |_: &Conversation, got: &Segment| got.has(Flags::ACK) && got.ack == s + 1;
    let Some(first) = lab.ask(&mut c, &fin(), lab.ack_window(), taken).await else {
        return Err(inconclusive("our FIN was not acknowledged"));
    };
    c.advance(1);
    let mut times: Vec<Instant> = Vec::new();
    let old = |c: &mut Conversation| {
        if old_acks {
            c.send(&ack().label("an old ACK: not of the FIN"));
        }
    };
    // Merged with the ACK of ours or not, the first FIN is treated alike.
    if first.segment.has(Flags::FIN) {
        times.push(first.stamp.at);
        old(&mut c);
    }
    let fins = schedule::watch(&mut c, |got| got.has(Flags::FIN), old).await;
    times.extend(fins.iter().map(|got| got.stamp.at));
    if times.is_empty() {
        return Err(inconclusive("the server did not close this time"));
    }
    if let Some(other) = renumbered(&fins) {
        return Ok(fail(format!("its FIN moved: {}", c.notation(&other.segment))));
    }
    if old_acks && times.len() == 1 {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        return Ok(found(verdict, "an old ACK stopped the retransmission of the FIN"));
    }
    let finding = schedule::judge(lab, "FIN", &times, !old_acks);
    Ok(with_what_is_left(lab, &mut c, finding).await)
}

/// A FIN that does not end where the first one does, alone or behind data.
fn renumbered(fins: &[Got]) -> Option<&Got> {
    let end = fins.first()?.segment.seq_end();
    fins.iter().find(|got| got.segment.seq_end() != end)
}

/// What a late acknowledgment of the server's FIN meets.
async fn with_what_is_left(lab: &Lab, c: &mut Conversation, finding: Finding) -> Finding {
    c.take_fin();
    c.send(&ack().label("late: the ACK of its FIN"));
    let reset = c.expect(lab.now_window(), |_, got| got.has(Flags::RST)).await.is_some();
    let left = if reset || c.was_reset { "gone" } else { "silent" };
    finding.figure("after-a-late-ack", FigureValue::Word(left.to_owned()))
}

check!(
    FINWAIT1_RETX,
    finwait1_retx,
    CheckInfo {
        id: "finwait1-retx",
        title: "FIN-WAIT-1: its data are acknowledged, its FIN is not",
        rules: &[BACKOFF, MUST_20],
        level: Level::Should,
        cost: Cost::Slow,
        groups: &[Group::ServerCloses, Group::Fin, Group::Retransmission],
        expect: "the FIN again and again, each gap twice the one before, for 100 s at least",
        why: "Without back-off a server floods a path that is down; one that gives up early loses \
              the end of the stream for clients behind a short outage.",
    }
);

async fn finwait1_retx(lab: Lab) -> Ruling {
    let mut c = lab.closed_by_server().await?;
    // The FIN that came is in the trace; those that follow are its repetitions.
    let began = lab.time();
    let fins = schedule::watch(&mut c, |got| got.has(Flags::FIN), |_| ()).await;
    if let Some(other) = renumbered(&fins) {
        return Ok(fail(format!("its FIN moved: {}", c.notation(&other.segment))));
    }
    let mut times = vec![began];
    times.extend(fins.iter().map(|got| got.stamp.at));
    if let Some(first) = lab.last_arrival_before(began) {
        times[0] = first;
    }
    let finding = schedule::judge(&lab, "FIN", &times, true);
    Ok(with_what_is_left(&lab, &mut c, finding).await)
}

check!(
    DATA_RETX,
    data_retx,
    CheckInfo {
        id: "data-retx",
        title: "The server's data are not acknowledged",
        rules: &[BACKOFF, MUST_20],
        level: Level::Should,
        cost: Cost::Slow,
        groups: &[Group::Established, Group::Retransmission],
        expect: "the first segment again and again, each gap twice the one before, for 100 s at least",
        why: "Without back-off a server floods a path that is down; one that gives up early breaks \
              connections over a short outage.",
    }
);

async fn data_retx(lab: Lab) -> Ruling {
    if lab.server().greets == 0 {
        return Err(not_applicable("the server says nothing by itself"));
    }
    let mut c = lab.open().await?;
    let first = c.irs + 1;
    let data = |got: &Segment| got.seq == first && !got.payload.is_empty();
    let times: Vec<Instant> =
        schedule::watch(&mut c, data, |_| ()).await.iter().map(|got| got.stamp.at).collect();
    if times.is_empty() {
        return Err(inconclusive("this time the server said nothing"));
    }
    Ok(schedule::judge(&lab, "data", &times, true))
}

/// Whether probes come ever more slowly (SHLD-30): none sooner than the one before, and the last much
/// later. Too few of them do not tell.
fn grow(gaps: &[Duration]) -> bool {
    let [.., last] = gaps else { return true };
    gaps.windows(2).all(|pair| pair[1].mul_f64(1.1) >= pair[0])
        && (gaps.len() < 3 || *last >= gaps[gaps.len() / 2].mul_f64(1.5))
}

check!(
    ZWIN_DATA_CLOSE,
    zwin_data_close,
    CheckInfo {
        id: "zwin-data-close",
        title: "Our window is zero while the server has data and a FIN to send",
        rules: &[MUST_36, Rule { rfc: 9293, section: "3.8.6.1", detail: "MUST-37" }],
        level: Level::Must,
        cost: Cost::Slow,
        groups: &[Group::ServerCloses, Group::Window, Group::Retransmission],
        expect: "probes, ever more slowly, as long as we answer them; then the data and the FIN",
        why: "A server that does not probe a closed window hangs for ever when the one segment that \
              opens it is lost.",
    }
);

async fn zwin_data_close(lab: Lab) -> Ruling {
    let Some(trigger) = lab.server().closes_first else {
        return Err(not_applicable("the server never closes first"));
    };
    let shut = Offer {
        options: vec![TcpOption::Mss(lab.setting().mss)],
        window: Some(0),
        ..Offer::default()
    };
    let mut c = lab.open_with(&shut).await?;
    if trigger == Trigger::Request {
        let request = lab.setting().request.clone();
        c.request(&request, lab.now_window()).await;
    }
    let until = lab.time() + SHUT;
    let mut probes: Vec<Instant> = Vec::new();
    while let Some(got) = c.next_segment(until).await {
        if c.was_reset {
            return Ok(fail(format!("it gave up: {}", c.notation(&got.segment))));
        }
        probes.push(got.stamp.at);
        c.send(&ack().label("the window is still zero"));
    }
    c.window = 65535;
    c.send(&ack().label("the window opens"));
    c.drain_to_fin(SHUT).await;
    let gaps = schedule::gaps(&probes);
    let finding = if c.peer_fin.is_none() {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        found(verdict, "the FIN never came after the window had opened")
    } else if probes.is_empty() {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        found(verdict, format!("no probe of the closed window in {} s", SHUT.as_secs()))
    } else if grow(&gaps) || lab.is_lossy() {
        pass(format!("{} probes; then the data and the FIN", probes.len()))
    } else {
        warn(format!("{} probes, not ever more slowly; then the data and the FIN", probes.len()))
    };
    Ok(finding.figure("schedule", FigureValue::Times(gaps)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_probes_do_not_come_ever_more_slowly() {
        let grows = |seconds: &[u64]| {
            grow(&seconds.iter().copied().map(Duration::from_secs).collect::<Vec<_>>())
        };
        assert!(grows(&[1, 2, 4, 8, 16]));
        assert!(grows(&[5, 5]));
        assert!(!grows(&[1, 1, 1, 1, 1]));
        assert!(!grows(&[1, 2, 4, 2, 8]));
    }
}
