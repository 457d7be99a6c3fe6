//! LAST-ACK, CLOSING and what else lies between the two FINs.

use std::time::Duration;

use super::fin::Closed;
use super::fin_data::close_wait;
use crate::check::finding::{Ruling, Stop, fail, found, inconclusive, info, not_applicable, pass};
use crate::check::lab::{Class, Conversation, Lab, ack, fin, rst, syn};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Finding, Group, Level, Rule, Trigger, Verdict};
use crate::wire::{Flags, Segment};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[
    &LASTACK_FINRETX,
    &LASTACK_DONE,
    &SYN_IN_LASTACK,
    &RST_IN_CLOSE_STATES,
    &SIMCLOSE,
    &SIMCLOSE_UNACKED_DATA,
    &SYN_IN_FINWAIT2,
];

const FIRST: Rule =
    Rule { rfc: 9293, section: "3.10.7.4", detail: "first, check the sequence number" };
const SECOND: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "second, check the RST bit" };
const FIGURE_12: Rule = Rule { rfc: 9293, section: "3.6", detail: "Figure 12" };
const CASE_3: Rule = Rule { rfc: 9293, section: "3.6", detail: "case 3, Figure 13" };
const BLIND_RST: Rule = Rule { rfc: 5961, section: "3.2", detail: "" };
const BLIND_SYN: Rule = Rule { rfc: 5961, section: "4.2", detail: "" };

/// Beyond any window that is not scaled.
const FAR: i64 = 300_000;
/// Times that its FIN is acknowledged again before it counts that it goes on sending it.
const ACKS: usize = 4;
/// Within this comes a retransmission, whatever the application's patience: some begin with 3 s, and
/// one may be lost.
const AGAIN: Duration = Duration::from_secs(8);
/// Exact RSTs are sent in so many rounds before they count as ignored: a FIN that was under way looks
/// like an answer.
const ROUNDS: usize = 3;
/// Data that a server has under way without an acknowledgment, at most: an initial window.
const INITIAL_WINDOW: u64 = 4_000;

/// A connection whose server is in LAST-ACK: both FINs are sent, theirs is not acknowledged.
async fn last_ack(lab: &Lab) -> Result<Conversation, Stop> {
    let mut c = lab.ready_to_close().await?;
    if !matches!(lab.close(&mut c).await, Closed::Acknowledged(..)) {
        return Err(inconclusive("our FIN was not acknowledged"));
    }
    c.drain_to_fin(lab.server_window()).await;
    if c.peer_fin.is_none() {
        return Err(inconclusive("this time the server did not close after us"));
    }
    Ok(c)
}

/// Acknowledges the server's FIN until it stops coming; `false` where it does not stop.
pub(super) async fn ack_its_fin(lab: &Lab, c: &mut Conversation) -> bool {
    c.take_fin();
    c.send(&ack().label("ACK of its FIN"));
    // Longer than the first retransmission takes anywhere, by RFC 6298; each further one takes twice as
    // long, and would be missed by a wait that does not grow.
    let mut quiet =
        Duration::from_millis(1500).max(lab.last_gap(Flags::FIN) * 5 / 2) + 2 * lab.rtt();
    for _ in 0..ACKS {
        if c.expect(quiet, |_, got| got.has(Flags::FIN)).await.is_none() {
            return true;
        }
        quiet *= 2;
        c.send(&ack().label("ACK of its FIN, once more"));
    }
    false
}

check!(
    LASTACK_FINRETX,
    lastack_finretx,
    CheckInfo {
        id: "lastack-finretx",
        title: "Our FIN again in LAST-ACK",
        rules: &[FIRST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "an ACK of it, or the server's FIN again, which acknowledges it too",
        why: "A client that missed the ACK repeats its FIN until it gives up.",
    }
);

async fn lastack_finretx(lab: Lab) -> Ruling {
    let mut c = last_ack(&lab).await?;
    let end = c.snd_nxt;
    // A RST from CLOSED has no ACK bit.
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == end
    };
    let again = fin().seq(-1).label("our FIN again, not acknowledging its");
    Ok(match lab.ask(&mut c, &again, lab.server_window().max(AGAIN), decides).await {
        Some(got) if got.segment.has(Flags::RST) => {
            fail(format!("reset: {}", c.notation(&got.segment)))
        }
        Some(_) => pass("acknowledged again"),
        None => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            found(verdict, "neither an ACK nor its FIN again")
        }
    })
}

check!(
    LASTACK_DONE,
    lastack_done,
    CheckInfo {
        id: "lastack-done",
        title: "The last ACK ends the connection at the server",
        rules: &[FIGURE_12],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "silence; the same ACK again meets CLOSED: RST. No TIME-WAIT at who closes second",
        why: "A server that keeps the state of clients that closed first runs out of it.",
    }
);

async fn lastack_done(lab: Lab) -> Ruling {
    let mut c = last_ack(&lab).await?;
    if !ack_its_fin(&lab, &mut c).await {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        return Ok(found(verdict, "its FIN comes again although we acknowledge it"));
    }
    let expected = c.rcv_nxt;
    let again = ack().label("the same ACK again");
    let closed = lab.ask(&mut c, &again, lab.now_window(), |_, got| got.has(Flags::RST)).await;
    Ok(match closed {
        Some(got) if got.segment.seq == expected => {
            c.leave_quietly();
            pass("the server is CLOSED")
        }
        Some(got) => {
            found(Verdict::Warn, format!("RST of another number: {}", c.notation(&got.segment)))
        }
        None => info("silence: some state is left, or a firewall swallows the RST"),
    })
}

check!(
    SYN_IN_LASTACK,
    syn_in_lastack,
    CheckInfo {
        id: "syn-in-lastack",
        title: "A SYN with a far number in LAST-ACK",
        rules: &[BLIND_SYN],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::Fin, Group::Syn, Group::Window],
        expect: "a challenge ACK",
        why: "A guessed SYN must not end a connection that is being closed.",
    }
);

async fn syn_in_lastack(lab: Lab) -> Ruling {
    let mut c = last_ack(&lab).await?;
    Ok(challenged(&lab, &mut c).await)
}

check!(
    SYN_IN_FINWAIT2,
    syn_in_finwait2,
    CheckInfo {
        id: "syn-in-finwait2",
        title: "A SYN with a far number in FIN-WAIT-2",
        rules: &[BLIND_SYN],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::ServerCloses, Group::Syn, Group::Window],
        expect: "a challenge ACK",
        why: "A guessed SYN must not end a connection that is being closed.",
    }
);

async fn syn_in_finwait2(lab: Lab) -> Ruling {
    let mut c = lab.closed_by_server().await?;
    if !ack_its_fin(&lab, &mut c).await {
        return Err(inconclusive("its FIN comes again although we acknowledge it"));
    }
    Ok(challenged(&lab, &mut c).await)
}

/// A far SYN on an open connection is answered by an ACK of where it stands.
async fn challenged(lab: &Lab, c: &mut Conversation) -> Finding {
    let end = c.snd_nxt;
    let decides = |_: &Conversation, got: &Segment| {
        got.flags.intersects(Flags::RST | Flags::SYN) || got.flags == Flags::ACK && got.ack == end
    };
    let what = syn().seq(FAR).label("SYN, far from the window");
    match lab.ask(c, &what, lab.now_window(), decides).await {
        Some(got) if got.segment.flags == Flags::ACK => pass("a challenge ACK"),
        Some(got) => fail(format!("the SYN had an effect: {}", c.notation(&got.segment))),
        None => {
            let verdict = lab.on_silence(Class::OutOfWindow, Verdict::Warn);
            found(verdict, "no challenge ACK")
        }
    }
}

check!(
    RST_IN_CLOSE_STATES,
    rst_in_close_states,
    CheckInfo {
        id: "rst-in-close-states",
        title: "RST while the connection is being closed",
        rules: &[SECOND, BLIND_RST],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin, Group::Rst],
        expect: "one in the window is challenged; the exact one ends the connection",
        why: "An exact RST that is ignored leaves sockets behind; a guessed one that is obeyed cuts \
              answers short.",
    }
);

async fn rst_in_close_states(lab: Lab) -> Ruling {
    let mut seen = Vec::new();
    let mut worst = Verdict::NotApplicable;
    for (state, opened) in [
        ("CLOSE-WAIT", close_wait(&lab).await),
        ("LAST-ACK", last_ack(&lab).await),
        ("FIN-WAIT-1", lab.closed_by_server().await),
    ] {
        let mut c = match opened {
            Ok(c) => c,
            Err(stop) if stop.0.verdict == Verdict::NotApplicable => continue,
            Err(stop) => return Err(stop),
        };
        let (verdict, text) = rst_in(&lab, &mut c).await;
        worst = worst.max(verdict);
        seen.push(format!("{state}: {text}"));
    }
    if seen.is_empty() {
        return Err(not_applicable("the server is in none of those states long enough"));
    }
    Ok(found(worst, seen.join("; ")))
}

async fn rst_in(lab: &Lab, c: &mut Conversation) -> (Verdict, String) {
    let end = c.snd_nxt;
    // Its FIN, sent again by its own timer, is no answer.
    let answers = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.flags == Flags::ACK && got.payload.is_empty() && got.ack == end
    };
    let inside = rst().seq(10).label("RST in the window, not exact");
    let (good, how) = match lab.ask(c, &inside, lab.now_window(), answers).await {
        Some(got) if got.segment.has(Flags::RST) => {
            return (Verdict::Fail, format!("a RST was answered by {}", c.notation(&got.segment)));
        }
        Some(_) => (Verdict::Pass, "challenged"),
        None => {
            // Gone, or silent: what an ACK meets tells.
            let reset = |_: &Conversation, got: &Segment| got.has(Flags::RST);
            let gone = lab.ask(c, &ack().label("does it live?"), lab.now_window(), reset).await;
            if gone.is_some() {
                return (Verdict::Warn, "a RST that is not exact ended it".to_owned());
            }
            (lab.on_silence(Class::OutOfWindow, Verdict::Tolerated), "survived without a challenge")
        }
    };
    let lives = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == end
    };
    let mut sign_of_life = None;
    for _ in 0..ROUNDS {
        lab.reset_for_sure(c, "the exact RST").await;
        match lab.ask(c, &ack().label("is it gone?"), lab.now_window(), lives).await {
            Some(got) if got.segment.has(Flags::RST) => {
                c.leave_quietly();
                return (good, format!("{how}, then reset"));
            }
            Some(got) => sign_of_life = Some(got),
            None => {
                let verdict = lab.on_silence(Class::Stray, good);
                return (verdict, format!("{how}, then silent"));
            }
        }
    }
    let seen = sign_of_life.map(|got| c.notation(&got.segment)).unwrap_or_default();
    (Verdict::Fail, format!("the exact RST was ignored: {seen}"))
}

check!(
    SIMCLOSE,
    simclose,
    CheckInfo {
        id: "simclose",
        title: "Both close at once",
        rules: &[CASE_3],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin, Group::ServerCloses],
        expect: "CLOSING: our FIN acknowledged, its own repeated until we acknowledge it; then TIME-WAIT",
        why: "It happens whenever both ends of an idle connection time out together; a stack that \
              cannot do it leaves both hanging.",
    }
);

async fn simclose(lab: Lab) -> Ruling {
    let mut c = lab.closed_by_server().await?;
    crossing(&lab, &mut c, 0).await
}

check!(
    SIMCLOSE_UNACKED_DATA,
    simclose_unacked_data,
    CheckInfo {
        id: "simclose-unacked-data",
        title: "Both close at once, with the server's data not acknowledged",
        rules: &[CASE_3],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin, Group::ServerCloses, Group::Retransmission],
        expect: "as when both close at once; the data come again with the FIN",
        why: "A FIN that overtakes the ACK of the answer is ordinary on a lossy path.",
    }
);

async fn simclose_unacked_data(lab: Lab) -> Ruling {
    let server = lab.server();
    if server.closes_first.is_none() {
        return Err(not_applicable("the server never closes first"));
    }
    if server.greets.max(server.answers) > INITIAL_WINDOW {
        return Err(not_applicable("the server sends more than it may without an acknowledgment"));
    }
    let mut c = lab.open().await?;
    if server.closes_first == Some(Trigger::Request) {
        let request = lab.setting().request.clone();
        c.request(&request, lab.now_window()).await;
    }
    let until = lab.time() + lab.server_window();
    while c.peer_fin.is_none() && !c.was_reset && c.next_segment(until).await.is_some() {}
    if c.peer_fin.is_none() {
        return Err(inconclusive("this time the server did not close first"));
    }
    let unacked = i64::try_from(c.received.len()).unwrap_or(0);
    crossing(&lab, &mut c, -unacked).await
}

/// Our FIN crosses theirs; it acknowledges what came before RCV.NXT + `offset` only.
async fn crossing(lab: &Lab, c: &mut Conversation, offset: i64) -> Ruling {
    let end = c.snd_nxt + 1;
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == end
    };
    let silence = |step: &str| Ok(found(lab.on_silence(Class::Ordinary, Verdict::Fail), step));
    let ours = fin().ack(offset).label("our FIN, not acknowledging its");
    match lab.ask(c, &ours, lab.ack_window(), decides).await {
        None => return silence("our FIN was never acknowledged"),
        Some(got) if got.segment.has(Flags::RST) => {
            return Ok(fail(format!("our FIN was reset: {}", c.notation(&got.segment))));
        }
        Some(_) => c.advance(1),
    }
    // What is oldest comes again first; with a window of one segment the FIN waits behind the data.
    let again_due = lab.server_window().max(AGAIN);
    let oldest = |_: &Conversation, got: &Segment| {
        got.has(Flags::FIN) || offset != 0 && !got.payload.is_empty()
    };
    match c.expect(again_due, oldest).await {
        None if offset == 0 => return silence("CLOSING: its FIN was not sent again"),
        None => return silence("CLOSING: neither its data nor its FIN were sent again"),
        Some(_) => {}
    }
    let again = fin().seq(-1).ack(offset).label("our FIN again");
    if lab.ask(c, &again, lab.now_window(), decides).await.is_none() {
        return silence("CLOSING: our repeated FIN was not acknowledged");
    }
    if offset != 0 {
        let data_only = ack().label("ACK of its data, not of its FIN");
        let has_fin = |_: &Conversation, got: &Segment| got.has(Flags::FIN);
        if lab.ask(c, &data_only, again_due, has_fin).await.is_none() {
            return silence("CLOSING: its FIN did not come again behind its data");
        }
    }
    if !ack_its_fin(lab, c).await {
        return silence("CLOSING: its FIN comes again although we acknowledge it");
    }
    let last = fin().seq(-1).label("our FIN again: is it TIME-WAIT?");
    match lab.ask(c, &last, lab.now_window(), decides).await {
        None => silence("TIME-WAIT: our repeated FIN was not acknowledged"),
        Some(got) if got.segment.has(Flags::RST) => {
            Ok(fail(format!("no TIME-WAIT after CLOSING: {}", c.notation(&got.segment))))
        }
        Some(_) => Ok(pass("CLOSING, then TIME-WAIT")),
    }
}
