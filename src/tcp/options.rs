//! What the two ends agree on, and the options that our segments carry because of it.

use super::config::Offered;
use crate::wire::{Flags, MAX_OPTIONS_LEN, Segment, TcpOption};

/// The send MSS where the far end names none (RFC 9293 MUST-15). It is IPv4's figure, which is safe
/// for IPv6 (1220) too; this machine does not know what carries it.
const DEFAULT_SEND_MSS: u16 = 536;
/// What we send at most where we name no MSS ourselves: fits any IPv6 path.
const MODEST_MSS: u16 = 1220;
/// RFC 7323 §2.3: a larger shift is taken for this one.
const MAX_WINDOW_SCALE: u8 = 14;

/// What was agreed on in the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// The largest payload that we send, in bytes, before option bytes are taken off: the far end's
    /// MSS, bounded by our own.
    pub send_mss: u16,
    /// The shift of the windows that we receive; `None` where scaling was not agreed on.
    pub snd_wscale: Option<u8>,
    /// The shift of the windows that we send.
    pub rcv_wscale: Option<u8>,
    /// Selective acknowledgment.
    pub sack: bool,
    /// Timestamps on every segment.
    pub timestamps: bool,
    /// ECN.
    pub ecn: bool,
}

impl Negotiated {
    /// Before the far end said anything.
    pub(super) const NOTHING: Self = Self {
        send_mss: DEFAULT_SEND_MSS,
        snd_wscale: None,
        rcv_wscale: None,
        sack: false,
        timestamps: false,
        ecn: false,
    };

    /// From our offer and the far end's SYN or SYN-ACK.
    pub(super) fn from_syn(offer: &Offered, syn: &Segment) -> Self {
        let theirs = syn.window_scale().map(|shift| shift.min(MAX_WINDOW_SCALE));
        let ours = offer.window_scale.map(|shift| shift.min(MAX_WINDOW_SCALE));
        let (snd_wscale, rcv_wscale) =
            if ours.is_some() && theirs.is_some() { (theirs, ours) } else { (None, None) };
        // RFC 3168 §6.1.1: both bits in a SYN, ECE alone in a SYN-ACK.
        let ecn_bits = if syn.has(Flags::ACK) { Flags::ECE } else { Flags::ECE | Flags::CWR };
        let ecn_seen = Flags::from_bits(syn.flags.bits() & (Flags::ECE | Flags::CWR).bits());
        Self {
            send_mss: syn.mss().unwrap_or(DEFAULT_SEND_MSS).min(offer.mss.unwrap_or(MODEST_MSS)),
            snd_wscale,
            rcv_wscale,
            sack: offer.sack && syn.sack_permitted(),
            timestamps: offer.timestamps && syn.timestamps().is_some(),
            ecn: offer.ecn && ecn_seen == ecn_bits,
        }
    }
}

/// The options of our SYN, in Linux's order.
pub(super) fn of_syn(offer: &Offered, ts_value: u32) -> Vec<TcpOption> {
    let timestamps = offer.timestamps.then_some((ts_value, 0));
    let mut options = of_handshake(offer.mss, offer.sack, timestamps, offer.window_scale);
    if let Some(cookie) = &offer.fast_open {
        options.push(TcpOption::FastOpen(cookie.clone()));
    }
    options
}

/// The options of our SYN-ACK: what the SYN offered as well (RFC 7323 §2.2, §3.2).
pub(super) fn of_syn_ack(
    offer: &Offered,
    agreed: &Negotiated,
    timestamps: (u32, u32),
) -> Vec<TcpOption> {
    let timestamps = agreed.timestamps.then_some(timestamps);
    of_handshake(offer.mss, agreed.sack, timestamps, agreed.rcv_wscale)
}

fn of_handshake(
    mss: Option<u16>,
    sack: bool,
    timestamps: Option<(u32, u32)>,
    window_scale: Option<u8>,
) -> Vec<TcpOption> {
    let mut options: Vec<_> = mss.map(TcpOption::Mss).into_iter().collect();
    if sack {
        // Without timestamps behind it, Linux pads SACK-permitted in front.
        if timestamps.is_none() {
            options.extend([TcpOption::Nop, TcpOption::Nop]);
        }
        options.push(TcpOption::SackPermitted);
    } else if timestamps.is_some() {
        options.extend([TcpOption::Nop, TcpOption::Nop]);
    }
    if let Some((value, echo)) = timestamps {
        options.push(TcpOption::Timestamps { value, echo });
    }
    if let Some(shift) = window_scale {
        options.extend([TcpOption::Nop, TcpOption::WindowScale(shift.min(MAX_WINDOW_SCALE))]);
    }
    options
}

/// The options of a segment after the handshake. `sack` gives the blocks, most recent first, for
/// the number that there is room for.
pub(super) fn of_segment(
    timestamps: Option<(u32, u32)>,
    sack: impl FnOnce(usize) -> Vec<(crate::wire::SeqNum, crate::wire::SeqNum)>,
) -> Vec<TcpOption> {
    let mut options = Vec::new();
    if let Some((value, echo)) = timestamps {
        let stamp = TcpOption::Timestamps { value, echo };
        options.extend([TcpOption::Nop, TcpOption::Nop, stamp]);
    }
    let room = (MAX_OPTIONS_LEN - length(&options) - 4) / 8;
    let blocks = sack(room);
    if !blocks.is_empty() {
        options.extend([TcpOption::Nop, TcpOption::Nop, TcpOption::Sack(blocks)]);
    }
    options
}

/// Bytes that `options` take in a header, padding included.
pub(super) fn length(options: &[TcpOption]) -> usize {
    options.iter().map(TcpOption::len).sum::<usize>().next_multiple_of(4)
}
