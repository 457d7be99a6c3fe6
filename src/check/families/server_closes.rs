//! The server closes first: FIN-WAIT-1 and FIN-WAIT-2 at its end.

use std::time::Duration;

use super::close_states::ack_its_fin;
use crate::check::finding::{Ruling, Stop, fail, found, info, pass};
use crate::check::lab::{Class, Conversation, Lab, Running, ack, data, fin, join};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Trigger, Verdict};
use crate::wire::{Flags, Segment};

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] =
    &[&SERVER_FIN, &FINWAIT_DATA, &FINWAIT2_LENGTH, &SERVER_RST_CLOSE];

const CLOSE: Rule = Rule { rfc: 9293, section: "3.6", detail: "" };
const EIGHTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "eighth, check the FIN bit" };
const SHLD_3: Rule = Rule { rfc: 9293, section: "3.6.1", detail: "SHLD-3" };

/// Ages at which a FIN-WAIT-2 is looked at, in seconds.
const AGES: [u64; 10] = [5, 15, 30, 45, 55, 65, 85, 110, 140, 170];

check!(
    SERVER_FIN,
    server_fin,
    CheckInfo {
        id: "server-fin",
        title: "The server closes first, and we close after it",
        rules: &[CLOSE, EIGHTH],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::ServerCloses, Group::Fin],
        expect: "our ACK ends the retransmission of its FIN; our FIN is acknowledged",
        why: "This is how every HTTP/1.0 answer ends: a server that fails here keeps its sockets.",
    }
);

async fn server_fin(lab: Lab) -> Ruling {
    let mut c = lab.closed_by_server().await?;
    if !ack_its_fin(&lab, &mut c).await {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        return Ok(found(verdict, "its FIN comes again although we acknowledge it"));
    }
    let s = c.snd_nxt;
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == s + 1
    };
    match lab.ask(&mut c, &fin(), lab.ack_window(), decides).await {
        Some(got) if got.segment.has(Flags::RST) => {
            Ok(fail(format!("our FIN was reset: {}", c.notation(&got.segment))))
        }
        Some(_) => {
            c.advance(1);
            Ok(pass("its FIN stopped at our ACK, and our FIN was acknowledged"))
        }
        None => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
            Ok(found(verdict, "our FIN was never acknowledged"))
        }
    }
}

check!(
    FINWAIT_DATA,
    finwait_data,
    CheckInfo {
        id: "finwait-data",
        title: "Our data after the server's FIN",
        rules: &[SHLD_3],
        level: Level::Should,
        cost: Cost::Safe,
        groups: &[Group::ServerCloses, Group::Rst],
        expect: "RST from a socket that is closed for both ways; ACK from one that still reads",
        why: "Data that nobody will read must not look delivered: only the RST tells the client.",
    }
);

async fn finwait_data(lab: Lab) -> Ruling {
    let mut c = lab.closed_by_server().await?;
    c.take_fin();
    let s = c.snd_nxt;
    let late = data(b"late").label("data, and the ACK of its FIN");
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == s + 4
    };
    match lab.ask(&mut c, &late, lab.ack_window(), decides).await {
        Some(got) if got.segment.has(Flags::RST) => {
            Ok(pass(format!("reset: {}", c.notation(&got.segment))))
        }
        Some(_) => {
            c.advance(4);
            Ok(info("acknowledged: the server still reads, or throws the data away in silence"))
        }
        None => {
            let verdict = lab.on_silence(Class::Ordinary, Verdict::Warn);
            Ok(found(verdict, "neither acknowledged nor reset"))
        }
    }
}

check!(
    FINWAIT2_LENGTH,
    finwait2_length,
    CheckInfo {
        id: "finwait2-length",
        title: "How long FIN-WAIT-2 lasts when we do not close",
        rules: &[CLOSE],
        level: Level::Observation,
        cost: Cost::Slow,
        groups: &[Group::ServerCloses, Group::Fin],
        expect: "nothing is demanded: the RFC knows no such time-out, many servers have one",
        why: "It is how long a client may take to send its own FIN before the server forgets it.",
    }
);

async fn finwait2_length(lab: Lab) -> Ruling {
    let looks: Vec<Running<'_, Result<Option<bool>, Stop>>> = AGES
        .iter()
        .map(|age| -> Running<'_, _> { Box::pin(is_in_fin_wait_2(&lab, *age)) })
        .collect();
    let mut there = 0;
    let (mut gone, mut refused) = (None, None);
    for (age, look) in AGES.iter().zip(join(looks).await) {
        match look {
            Ok(Some(true)) => there = *age,
            Ok(Some(false)) => gone = gone.or(Some(*age)),
            Ok(None) => {}
            Err(stop) => refused = Some(stop),
        }
    }
    // One connection that failed leaves a gap; that all of them did is what there is to say.
    if there == 0
        && gone.is_none()
        && let Some(stop) = refused
    {
        return Err(stop);
    }
    Ok(match gone {
        Some(gone) => info(format!("between {there} and {gone} s"))
            .time("fin-wait-2", Duration::from_secs(there + gone) / 2),
        None => info(format!("more than {there} s")),
    })
}

/// Whether the server is still in FIN-WAIT-2 after so many seconds; `None` where it is silent.
async fn is_in_fin_wait_2(lab: &Lab, age: u64) -> Result<Option<bool>, Stop> {
    let mut c = lab.closed_by_server().await?;
    c.take_fin();
    c.send(&ack().label("ACK of its FIN"));
    let until = lab.time() + Duration::from_secs(age);
    while let Some(got) = c.next_segment(until).await {
        if got.segment.has(Flags::FIN) {
            c.send(&ack().label("ACK of its FIN, once more"));
        }
        if c.was_reset {
            return Ok(Some(false));
        }
    }
    let s = c.snd_nxt;
    let decides = |_: &Conversation, got: &Segment| {
        got.has(Flags::RST) || got.has(Flags::ACK) && got.ack == s + 1
    };
    let got = lab.ask(&mut c, &fin().label("our FIN, now"), lab.now_window(), decides).await;
    c.advance(1);
    Ok(got.map(|got| !got.segment.has(Flags::RST)))
}

check!(
    SERVER_RST_CLOSE,
    server_rst_close,
    CheckInfo {
        id: "server-rst-close",
        title: "Whether the server closes by RST",
        rules: &[CLOSE],
        level: Level::Observation,
        cost: Cost::Safe,
        groups: &[Group::ServerCloses, Group::Rst],
        expect: "FIN; a RST loses what the client has not read yet",
        why: "An application that closes by RST (SO_LINGER 0) cuts answers short on slow paths.",
    }
);

async fn server_rst_close(lab: Lab) -> Ruling {
    let mut c = lab.open().await?;
    if lab.server().closes_first != Some(Trigger::Connect) {
        let request = lab.setting().request.clone();
        if !request.is_empty() {
            c.request(&request, lab.now_window()).await;
        }
    }
    c.drain_to_fin(lab.server_window()).await;
    Ok(if c.was_reset {
        info("it closes by RST")
    } else if c.peer_fin.is_some() {
        info("it closes by FIN")
    } else {
        info("it does not close first")
    })
}
