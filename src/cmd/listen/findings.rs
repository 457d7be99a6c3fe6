//! From what happened with a client to what is said about it.

use std::time::Duration;

use super::client::{Abort, Client, Manner};
use super::guess;
use crate::cmd::findings::{close_report, offer_of, shape_of};
use crate::driver::Flow;
use crate::event::{ClientReport, ClientStage, CloseShape, HalfClose, Outcome};
use crate::tcp::state::State;
use crate::time::{Instant, Stamp};

/// What a client did so far.
pub(super) fn report(
    flow: &Flow,
    client: &Client,
    manner: &Manner,
    stage: ClientStage,
    now: Instant,
) -> ClientReport {
    let timeline = &flow.timeline;
    let syn = timeline.peer_syn.as_ref().map(|(_, packet)| packet);
    let outcome = match stage {
        ClientStage::Opened => Outcome::Open,
        ClientStage::Ended => outcome(flow, client),
    };
    let asked = shape_asked(flow, client, manner);
    let states = client.states.unwrap_or_else(|| (flow.connection.state(), flow.peer.state()));
    let time_wait = client.time_wait_since.map(|since| now.since(since));
    let ended = stage == ClientStage::Ended && flow.ending.established;
    ClientReport {
        number: client.number,
        client: flow.remote(),
        server: flow.local(),
        stage,
        at: now,
        outcome,
        established: flow.ending.established,
        offered: syn.map(offer_of),
        options: syn.map_or_else(Vec::new, |packet| {
            packet.segment.options.iter().map(ToString::to_string).collect()
        }),
        granted: timeline.syn.as_ref().filter(|_| !timeline.syns.is_empty()).map(offer_of),
        rtt: timeline.rtt_of_passive_open(),
        suspect: syn.and_then(guess::suspect),
        syn_gaps: gaps(&timeline.peer_syns),
        fin_gaps: gaps(&timeline.peer_fins),
        received: flow.bytes_received,
        acknowledged: flow.bytes_acknowledged,
        resent: timeline.data_repeats,
        repeated: timeline.peer_data_repeats,
        idle: manner.idle.filter(|_| client.was_idle),
        close: ended.then(|| close_report(flow, asked, states, time_wait)),
        after_its_fin: ended.then(|| after_its_fin(flow)).flatten(),
        lasted: now.since(client.since),
    }
}

fn gaps(stamps: &[Stamp]) -> Vec<Duration> {
    stamps.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect()
}

/// The shape that our behaviour aims at.
fn shape_asked(flow: &Flow, client: &Client, manner: &Manner) -> CloseShape {
    if client.aborted == Some(Abort::Asked) || manner.rst_after.is_some() {
        CloseShape::Abort
    } else if client.faults.hold_fin {
        CloseShape::Simultaneous
    } else if manner.close_after.is_some() || !flow.timeline.answered && client.closed {
        CloseShape::Active
    } else {
        CloseShape::Passive
    }
}

/// What the client did with data of ours that reached it behind its FIN.
fn after_its_fin(flow: &Flow) -> Option<HalfClose> {
    let timeline = &flow.timeline;
    timeline.peer_fin?;
    if timeline.acked_after_peer_fin {
        Some(HalfClose::Honoured)
    } else if flow.ending.reset {
        Some(HalfClose::Reset)
    } else {
        None
    }
}

/// How a client ended.
fn outcome(flow: &Flow, client: &Client) -> Outcome {
    let ending = &flow.ending;
    if flow.interference {
        return Outcome::LocalInterference;
    }
    match client.aborted {
        Some(Abort::Leaving) => return Outcome::Interrupted,
        Some(Abort::Asked | Abort::Unreadable) => return Outcome::Aborted,
        Some(Abort::StillOpen) if ending.established => return Outcome::StillOpen,
        Some(Abort::Idle) => return Outcome::TimedOut,
        _ => {}
    }
    if !ending.established {
        let refused = ending.returned || ending.refused || flow.timeline.reset_sent;
        return if refused && client.aborted.is_none() {
            Outcome::Refused
        } else {
            Outcome::Filtered
        };
    }
    if ending.reset {
        return Outcome::Reset;
    }
    match shape_of(flow, CloseShape::Passive) {
        Some(_) => Outcome::Closed,
        // A new SYN from the same port ended its TIME-WAIT early.
        None if client.time_wait_since.is_some() => Outcome::Closed,
        None if flow.connection.state() == State::Closed && flow.connection.fin_acked() => {
            Outcome::Closed
        }
        None => Outcome::TimedOut,
    }
}
