//! From what happened on a flow to what is said about it: pure functions.

use crate::driver::Flow;
use crate::event::{
    Answerer, CloseReport, CloseShape, Exchange, HalfClose, HandshakeReport, Offer, Outcome,
};
use crate::tcp::GaveUp;
use crate::tcp::state::State;
use crate::wire::{Flags, IcmpKind, Packet, TcpOption};

/// Bytes of a reply that a report keeps.
const REPLY_KEPT: usize = 4096;

/// What a SYN or SYN-ACK offers.
pub(crate) fn offer_of(packet: &Packet) -> Offer {
    let segment = &packet.segment;
    let ecn_bits = Flags::ECE.union(Flags::CWR);
    let ecn = match segment.has(Flags::ACK) {
        false => segment.has(ecn_bits),
        // A SYN-ACK with both bits is a middlebox that reflects flags, not a grant (RFC 3168 §6.1.1).
        true => segment.has(Flags::ECE) && !segment.has(Flags::CWR),
    };
    Offer {
        window: segment.window,
        mss: segment.mss(),
        window_scale: segment.window_scale(),
        sack: segment.sack_permitted(),
        timestamps: segment.timestamps().map(|(value, _)| value),
        ecn,
        fast_open: segment.options.iter().find_map(|option| match option {
            TcpOption::FastOpen(cookie) => Some(cookie.clone()),
            _ => None,
        }),
        ttl: packet.ip.ttl,
    }
}

/// How the attempt to open ended.
pub(crate) fn opening(flow: &Flow) -> Outcome {
    let ending = &flow.ending;
    if flow.interference {
        Outcome::LocalInterference
    } else if flow.timeline.syn_ack.is_some() || ending.established {
        Outcome::Open
    } else if ending.refused {
        Outcome::Refused
    } else if let Some((_, error)) = flow.timeline.icmp.last() {
        match error.kind {
            IcmpKind::Prohibited => Outcome::Prohibited,
            _ => Outcome::Unreachable,
        }
    } else if flow.timeline.rejections > 0 {
        Outcome::Invalid
    } else {
        Outcome::Filtered
    }
}

/// Who answered our SYN, if anybody did.
pub(crate) fn answerer(flow: &Flow) -> Option<Answerer> {
    let timeline = &flow.timeline;
    let tcp = timeline.syn_ack.as_ref().or(timeline.reset.as_ref());
    tcp.map(|(_, packet)| Answerer::new(packet.ip.src, packet.ip.ttl))
        .or_else(|| timeline.icmp.last().map(|(_, error)| Answerer::new(error.from, error.ttl)))
}

/// What the handshake found out.
pub(crate) fn handshake_report(flow: &Flow, data_sent: bool) -> HandshakeReport {
    let timeline = &flow.timeline;
    let (rtt, rtt_absent) = match timeline.rtt() {
        Ok(rtt) => (rtt, None),
        Err(why) => (None, Some(why)),
    };
    HandshakeReport {
        rtt,
        rtt_absent,
        attempts: u32::try_from(timeline.syns.len()).unwrap_or(u32::MAX),
        offered: timeline.syn.as_ref().map(offer_of).unwrap_or_default(),
        granted: timeline.syn_ack.as_ref().map(|(_, packet)| offer_of(packet)),
        answered_by: answerer(flow),
        // On a connection that was answered such an error decides nothing.
        icmp: timeline.icmp.last().filter(|_| timeline.syn_ack.is_none()).map(|(_, error)| *error),
        exchange: (data_sent || !flow.received.is_empty()).then(|| exchange(flow)),
    }
}

fn exchange(flow: &Flow) -> Exchange {
    let connection = &flow.connection;
    // Behind our SYN, and before our FIN. What is still queued was neither sent nor acknowledged.
    let ours = connection.snd_una().offset_from(connection.iss());
    let acknowledged = u64::from(ours.saturating_sub(1 + u32::from(connection.fin_acked())));
    Exchange {
        sent: flow.timeline.bytes_sent,
        acknowledged,
        ack_delay: flow.timeline.ack_of_data(),
        received: flow.received.len() as u64,
        reply: flow.received[..flow.received.len().min(REPLY_KEPT)].to_vec(),
    }
}

/// The shape in which the connection was closed, as far as both ends closed it.
pub(crate) fn shape_of(flow: &Flow, asked: CloseShape) -> Option<CloseShape> {
    let timeline = &flow.timeline;
    if flow.ending.reset || (asked == CloseShape::Abort && timeline.reset_sent) {
        return Some(CloseShape::Abort);
    }
    if timeline.fins.is_empty() || timeline.peer_fin.is_none() || !flow.connection.fin_acked() {
        return None;
    }
    Some(if timeline.crossed {
        CloseShape::Simultaneous
    } else if timeline.answered {
        CloseShape::Passive
    } else if asked == CloseShape::Half && timeline.bytes_after_fin_seen > 0 {
        CloseShape::Half
    } else {
        CloseShape::Active
    })
}

/// How the connection was closed. `before_leaving` are both ends' states when the run's patience
/// ended, before we left by reset if we had to.
pub(crate) fn close_report(
    flow: &Flow,
    asked: CloseShape,
    before_leaving: (State, State),
    time_wait: Option<std::time::Duration>,
) -> CloseReport {
    let timeline = &flow.timeline;
    CloseReport {
        asked,
        took_place: shape_of(flow, asked),
        merged: timeline.fin_ack.and(timeline.peer_fin).map(|_| timeline.merged),
        ack_of_fin: timeline.ack_of_fin(),
        close_wait: timeline.close_wait(),
        bytes_after_fin: timeline.bytes_after_fin,
        half_close: (asked == CloseShape::Half).then(|| half_close(flow)).flatten(),
        fin_attempts: u32::try_from(timeline.fins.len()).unwrap_or(u32::MAX),
        fins_reacknowledged: timeline.peer_fin_repeats,
        time_wait,
        our_state: before_leaving.0,
        peer_state: before_leaving.1,
    }
}

/// What the peer made of our half-close; nothing where it closed first or never saw our FIN.
fn half_close(flow: &Flow) -> Option<HalfClose> {
    let timeline = &flow.timeline;
    if timeline.fins.is_empty() || timeline.answered {
        return None;
    }
    if flow.ending.reset {
        Some(HalfClose::Reset)
    } else if timeline.bytes_after_fin_seen > 0 {
        Some(HalfClose::Honoured)
    } else if timeline.peer_fin.is_some() {
        Some(HalfClose::Collapsed)
    } else if timeline.fin_ack.is_some() {
        Some(HalfClose::Ignored)
    } else {
        None
    }
}

/// How a close ended.
pub(crate) fn closing(flow: &Flow, asked: CloseShape) -> Outcome {
    if flow.interference {
        return Outcome::LocalInterference;
    }
    match shape_of(flow, asked) {
        Some(CloseShape::Abort) => Outcome::Reset,
        Some(CloseShape::Active | CloseShape::Half)
            if matches!(asked, CloseShape::Active | CloseShape::Half) =>
        {
            Outcome::Closed
        }
        Some(took_place) if took_place == asked => Outcome::Closed,
        Some(_) => Outcome::OtherShape,
        None if matches!(flow.ending.gave_up, Some(GaveUp::Fin | GaveUp::Data)) => {
            Outcome::TimedOut
        }
        // A peer that does not close first has not gone silent: nothing was asked of it.
        None if matches!(asked, CloseShape::Passive | CloseShape::Simultaneous)
            && flow.timeline.peer_fin.is_none() =>
        {
            Outcome::OtherShape
        }
        None if flow.timeline.fin_ack.is_some() => Outcome::StillOpen,
        None => Outcome::TimedOut,
    }
}
