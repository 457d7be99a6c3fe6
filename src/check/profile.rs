//! What has to be known before the first check: how the path treats odd segments, and what the
//! server's application does. Found out, not asked for.

use std::net::SocketAddr;
use std::time::Duration;

use super::lab::{
    Arrival, Conversation, Got, Lab, Offer, Opening, Running, Survival, ack, data, fin, join,
    usual_offer,
};
use crate::event::{ClosedPort, PathProfile, ServerProfile, Step, Trace, Trigger};
use crate::net::Dir;
use crate::time::Instant;
use crate::wire::{Flags, SeqNum, TcpOption};

/// Half-open probes that tell whether there is a target.
const FIRST: usize = 3;
/// Half-open probes that tell the round trip and the loss of the path.
const KNOCKS: usize = 10;
/// Connections that wait for what the server does by itself. On a bad path one of them may miss it, and
/// every check would then take its close for a reset.
const LISTENERS: usize = 3;
/// Ordinary connections that are a measure for the odd ones.
const CONTROLS: usize = 2;
/// Ports that are tried for one that is closed.
const CLOSED_TRIES: usize = 3;
/// How long a server may take to say something by itself.
const GREETING: Duration = Duration::from_secs(2);
/// After the last byte, this much quiet ends an answer.
const QUIET: Duration = Duration::from_millis(500);
/// A sequence number beyond any window that is not scaled.
const FAR: i64 = 300_000;

/// Why nothing can be checked.
pub(super) type NoTarget = String;

/// One part of the calibration.
enum Part {
    Knock(Result<(Duration, u8), String>),
    Stray(Option<u8>),
    Closed(ClosedPort),
    OutOfWindow(Option<bool>, Option<u8>),
    Server(ServerProfile),
    /// Whether an ordinary connection was reset as soon as it said something.
    Control(bool),
    Nothing,
}

/// Calibrates.
pub(super) async fn calibrate(
    labs: impl Fn() -> Lab,
) -> Result<(PathProfile, ServerProfile), NoTarget> {
    // First, so that a target that is not there costs nobody anything. More than one, so that bad luck
    // on a bad path is not taken for its absence.
    let first = (0..FIRST).map(|_| -> Running<'static, _> { Box::pin(knock(labs())) }).collect();
    let answers: Vec<Result<(Duration, u8), NoTarget>> = join(first).await;
    if answers.iter().all(Result::is_err) {
        return answers.into_iter().collect::<Result<Vec<_>, _>>().map(|_| Default::default());
    }
    let mut parts: Vec<Running<'static, Part>> = Vec::new();
    for _ in 0..KNOCKS {
        let lab = labs();
        parts.push(Box::pin(async move { Part::Knock(knock(lab).await) }));
    }
    let tries = if labs().setting().closed_port.is_some() { 1 } else { CLOSED_TRIES };
    for _ in 0..tries {
        parts.push(Box::pin(closed(labs())));
    }
    parts.push(Box::pin(stray(labs())));
    parts.push(Box::pin(out_of_window(labs())));
    for _ in 0..LISTENERS {
        parts.push(Box::pin(by_itself(labs())));
    }
    for _ in 0..CONTROLS {
        parts.push(Box::pin(control(labs())));
    }
    parts.push(Box::pin(by_request(labs())));
    parts.push(Box::pin(after_eof(labs(), false)));
    parts.push(Box::pin(after_eof(labs(), true)));

    let mut path = PathProfile::default();
    let mut server = ServerProfile::default();
    let mut controls = Vec::new();
    for part in join(parts).await {
        match part {
            Part::Knock(answer) => {
                path.asked += 1;
                match answer {
                    Ok((rtt, ttl)) => {
                        path.rtt = Some(path.rtt.map_or(rtt, |least| least.min(rtt)));
                        path.ttls[0] = Some(ttl);
                    }
                    Err(_) => path.unanswered += 1,
                }
            }
            Part::Stray(ttl) => {
                path.stray_answered = Some(ttl.is_some());
                path.ttls[1] = ttl;
            }
            Part::Closed(port) => {
                let better = path.closed_port.is_none_or(|known| !known.refuses);
                if better {
                    path.closed_port = Some(port);
                }
            }
            Part::OutOfWindow(answered, ttl) => {
                path.out_of_window_answered = answered;
                path.ttls[2] = ttl;
            }
            Part::Server(seen) => merge(&mut server, seen),
            Part::Control(reset) => controls.push(reset),
            Part::Nothing => {}
        }
    }
    // What it says by itself is no answer, however late it came.
    server.answers_after_eof = server.answers_after_eof.saturating_sub(server.greets);
    // One that closes by itself may reset what comes later.
    server.resets_all = server.closes_first.is_none()
        && controls.len() == CONTROLS
        && controls.iter().all(|reset| *reset);
    Ok((path, server))
}

/// Every part fills in what it saw.
fn merge(all: &mut ServerProfile, seen: ServerProfile) {
    all.greets = all.greets.max(seen.greets);
    // To close by itself is more than to close after a request.
    all.closes_first = match (all.closes_first, seen.closes_first) {
        (Some(Trigger::Connect), _) | (_, Some(Trigger::Connect)) => Some(Trigger::Connect),
        (known, new) => known.or(new),
    };
    all.closes_after_fin = all.closes_after_fin.or(seen.closes_after_fin);
    all.resets |= seen.resets;
    all.echoes |= seen.echoes;
    all.answers = all.answers.max(seen.answers);
    all.answers_after_eof = all.answers_after_eof.max(seen.answers_after_eof);
    all.timestamps |= seen.timestamps;
    all.sack |= seen.sack;
    all.window_scale = all.window_scale.or(seen.window_scale);
    all.mss = all.mss.or(seen.mss);
}

/// A half-open probe: round-trip time, and TTL of the answer.
async fn knock(lab: Lab) -> Result<(Duration, u8), String> {
    let mut conversation = lab.conversation().map_err(|stop| stop.0.observed)?;
    match lab.knock(&mut conversation, &usual_offer(lab.setting().mss)).await {
        Opening::SynAck(got) => {
            let left = last_sent(&lab.trace()).unwrap_or(got.stamp.at);
            Ok((got.stamp.at.since(left), got.ip.ttl))
        }
        Opening::Refused(_) => Err("nobody listens there: the port is closed".to_owned()),
        Opening::Icmp(Arrival::Icmp(error, _)) => Err(format!("not reachable: {error}")),
        Opening::Icmp(_) | Opening::Silence => Err("it does not answer a SYN".to_owned()),
    }
}

/// When our last segment left.
fn last_sent(trace: &Trace) -> Option<Instant> {
    trace.entries.iter().rev().find_map(|entry| match entry.step {
        Step::Segment { dir: Dir::Tx, .. } => Some(entry.stamp.at),
        _ => None,
    })
}

/// Whether an ACK of no connection is answered by RST, and its TTL.
async fn stray(lab: Lab) -> Part {
    let Ok(mut conversation) = lab.conversation() else { return Part::Nothing };
    let what = ack().ack_at(SeqNum(conversation.iss.0.wrapping_mul(3)));
    let rst = |_: &Conversation, segment: &crate::wire::Segment| segment.has(Flags::RST);
    let got = lab.ask(&mut conversation, &what, lab.now_window(), rst).await;
    Part::Stray(got.map(|got| got.ip.ttl))
}

/// A port where nobody listens: that of the user, or one of the highest.
async fn closed(lab: Lab) -> Part {
    let Ok(conversation) = lab.conversation() else { return Part::Nothing };
    // Our own ports are as hard to guess as any.
    // On loopback they are the target's too, and guarded: not one of them.
    let near = conversation.local.port().wrapping_add(1009) | 0x8000;
    let port = lab.setting().closed_port.unwrap_or(near);
    drop(conversation);
    let remote = SocketAddr::new(lab.target().ip(), port);
    if remote == lab.target() {
        return Part::Nothing;
    }
    let Ok(mut conversation) = lab.conversation_with(remote) else { return Part::Nothing };
    let what = super::lab::syn();
    let decides = |_: &Conversation, segment: &crate::wire::Segment| {
        segment.flags.intersects(Flags::RST | Flags::SYN)
    };
    let got = lab.ask(&mut conversation, &what, lab.now_window(), decides).await;
    Part::Closed(ClosedPort { port, refuses: got.is_some_and(|got| got.segment.has(Flags::RST)) })
}

/// Whether an ACK out of the window is answered.
async fn out_of_window(lab: Lab) -> Part {
    let Ok(mut conversation) = lab.open_plain().await else { return Part::Nothing };
    // What it has to say comes first, if it comes at all.
    conversation.drain_until_quiet(QUIET).await;
    if conversation.peer_fin.is_some() || conversation.was_reset {
        return Part::OutOfWindow(None, None);
    }
    let wanted = |_: &Conversation, segment: &crate::wire::Segment| {
        segment.flags == Flags::ACK && segment.payload.is_empty()
    };
    let what = ack().seq(FAR);
    let got: Option<Got> = lab.ask(&mut conversation, &what, lab.now_window(), wanted).await;
    Part::OutOfWindow(Some(got.is_some()), got.map(|got| got.ip.ttl))
}

/// An ordinary connection with a few bytes: what becomes of an odd one proves something only where
/// this one lives.
async fn control(lab: Lab) -> Part {
    let Ok((mut conversation, _)) = lab.half_open(&usual_offer(lab.setting().mss)).await else {
        return Part::Nothing;
    };
    Part::Control(matches!(lab.complete(&mut conversation).await, Survival::Gone(_)))
}

/// What the server does by itself.
async fn by_itself(lab: Lab) -> Part {
    let everything = Offer::of(&[
        TcpOption::Mss(lab.setting().mss),
        TcpOption::SackPermitted,
        TcpOption::Timestamps { value: 0, echo: 0 },
        TcpOption::Nop,
        TcpOption::WindowScale(0),
    ]);
    let Ok(mut conversation) = lab.open_with(&everything).await else { return Part::Nothing };
    conversation.drain_to_fin(GREETING + lab.rtt()).await;
    let peer = &conversation.peer;
    Part::Server(ServerProfile {
        greets: conversation.received.len() as u64,
        closes_first: conversation.peer_fin.map(|_| Trigger::Connect),
        resets: conversation.was_reset,
        timestamps: peer.timestamps.is_some(),
        window_scale: peer.window_scale,
        sack: peer.sack,
        mss: peer.mss,
        ..ServerProfile::default()
    })
}

/// What it does when it is asked something.
async fn by_request(lab: Lab) -> Part {
    let request = lab.setting().request.clone();
    if request.is_empty() {
        return Part::Nothing;
    }
    let Ok(mut conversation) = lab.open().await else { return Part::Nothing };
    conversation.drain_until_quiet(QUIET).await;
    let greeted = conversation.received.len();
    if conversation.peer_fin.is_some() || !conversation.request(&request, lab.now_window()).await {
        return Part::Nothing;
    }
    conversation.drain_to_fin(lab.server_window()).await;
    let answer = &conversation.received[greeted..];
    Part::Server(ServerProfile {
        closes_first: conversation.peer_fin.map(|_| Trigger::Request),
        echoes: answer.starts_with(&request),
        answers: answer.len() as u64,
        ..ServerProfile::default()
    })
}

/// What it does after our FIN, with a request before it or without.
async fn after_eof(lab: Lab, asking: bool) -> Part {
    let Ok(mut conversation) = lab.open().await else { return Part::Nothing };
    conversation.drain_until_quiet(QUIET).await;
    if conversation.peer_fin.is_some() || conversation.was_reset {
        return Part::Nothing;
    }
    let request = lab.setting().request.clone();
    if asking && !request.is_empty() {
        conversation.push(&data(&request));
    }
    let s = conversation.snd_nxt;
    let acked = |_: &Conversation, segment: &crate::wire::Segment| {
        segment.has(Flags::ACK) && segment.ack == s + 1
    };
    let Some(acked) = lab.ask(&mut conversation, &fin(), lab.ack_window(), acked).await else {
        let resets = conversation.was_reset;
        return Part::Server(ServerProfile { resets, ..ServerProfile::default() });
    };
    conversation.advance(1);
    conversation.send(&ack());
    conversation.drain_to_fin(lab.server_window()).await;
    let closed_at = lab.trace().entries.iter().rev().find_map(|entry| match &entry.step {
        Step::Segment { dir: Dir::Rx, packet: Some(packet), .. }
            if packet.segment.has(Flags::FIN) =>
        {
            Some(entry.stamp.at)
        }
        _ => None,
    });
    let dwell = closed_at.map(|at| at.since(acked.stamp.at));
    Part::Server(ServerProfile {
        closes_after_fin: conversation.peer_fin.and(dwell).filter(|_| !asking),
        answers_after_eof: conversation.received.len() as u64,
        resets: conversation.was_reset,
        ..ServerProfile::default()
    })
}
