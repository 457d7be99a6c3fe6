//! The records of results: a probe's and the run's.

use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::listen::Listen;
use super::records::Error;
use super::request::Requests;
use super::segment::hex;
use crate::event::{self, Measured, Outcome};
use crate::time::nanos_of;

#[derive(Serialize)]
pub(super) struct Probe {
    seq: u64,
    target: String,
    outcome: &'static str,
    #[serde(flatten)]
    rtt: Rtt,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<Answerer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<Offer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<Error>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Probe {
    pub(super) fn new(result: &event::ProbeResult, is_ipv6: bool) -> Self {
        // The target's family is known from whoever answered; the last run's may be another's.
        let is_ipv6 = result.answered_by.map_or(is_ipv6, |answerer| answerer.address.is_ipv6());
        Self {
            seq: result.seq,
            target: result.target.clone(),
            outcome: result.outcome.name(),
            rtt: result.rtt.into(),
            attempts: result.attempts,
            answered_by: result.answered_by.map(Answerer::from),
            granted: result.granted.as_ref().map(|offer| Offer::new(offer, is_ipv6)),
            icmp: result.icmp.as_ref().map(Error::from),
            reason: result.reason,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Summary {
    outcome: &'static str,
    as_expected: bool,
    interrupted: bool,
    elapsed_ns: u64,
    traffic: Traffic,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<Handshake>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<Close>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    probes: Vec<(Outcome, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<Listen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Requests>,
}

#[derive(Serialize)]
pub(in crate::report) struct Traffic {
    sent: u64,
    received: u64,
    retransmitted: u64,
    rejected: u64,
}

impl From<event::Traffic> for Traffic {
    fn from(traffic: event::Traffic) -> Self {
        let event::Traffic { sent, received, retransmitted, rejected } = traffic;
        Self { sent, received, retransmitted, rejected }
    }
}

impl Summary {
    pub(super) fn new(summary: &event::Summary, is_ipv6: bool) -> Self {
        Self {
            outcome: summary.outcome.name(),
            as_expected: summary.as_expected,
            interrupted: summary.interrupted,
            elapsed_ns: nanos_of(summary.elapsed),
            traffic: summary.traffic.into(),
            handshake: summary.handshake.as_ref().map(|report| Handshake::new(report, is_ipv6)),
            close: summary.close.as_ref().map(Close::from),
            probes: summary.probes.clone(),
            listen: summary.listen.as_ref().map(Listen::from),
            requests: summary.requests.as_ref().map(Requests::from),
        }
    }
}

/// `{"open":2,"filtered":1}`, in the order given.
pub(super) fn as_object<S: Serializer>(
    probes: &[(Outcome, u64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(probes.iter().map(|(outcome, number)| (outcome.name(), number)))
}

/// A round trip and its clock.
#[derive(Serialize)]
pub(super) struct Rtt {
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
}

impl From<Option<Measured>> for Rtt {
    fn from(rtt: Option<Measured>) -> Self {
        Self { rtt_ns: rtt.map(nanos), clock: rtt.map(clock) }
    }
}

fn nanos(measured: Measured) -> u64 {
    nanos_of(measured.value)
}

fn clock(measured: Measured) -> &'static str {
    measured.clock.name()
}

#[derive(Serialize)]
pub(in crate::report) struct Answerer {
    addr: IpAddr,
    ttl: u8,
    initial_ttl: u8,
    hops: u8,
}

impl From<event::Answerer> for Answerer {
    fn from(answerer: event::Answerer) -> Self {
        Self {
            addr: answerer.address,
            ttl: answerer.ttl,
            initial_ttl: answerer.initial_ttl,
            hops: answerer.hops(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Offer {
    window: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    mss: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wscale: Option<u8>,
    sack: bool,
    timestamps: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts_val: Option<u32>,
    ecn: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fast_open_hex: Option<String>,
    ttl: u8,
}

impl Offer {
    pub(super) fn new(offer: &event::Offer, is_ipv6: bool) -> Self {
        let headers = if is_ipv6 { 60 } else { 40 };
        Self {
            window: offer.window,
            mss: offer.mss,
            mtu: offer.mss.map(|mss| u32::from(mss) + headers),
            wscale: offer.window_scale,
            sack: offer.sack,
            timestamps: offer.timestamps.is_some(),
            ts_val: offer.timestamps,
            ecn: offer.ecn,
            fast_open_hex: offer.fast_open.as_deref().map(hex),
            ttl: offer.ttl,
        }
    }
}

#[derive(Serialize)]
struct Handshake {
    #[serde(flatten)]
    rtt: Rtt,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_absent: Option<&'static str>,
    attempts: u32,
    offered: Offer,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<Offer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<Answerer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<Error>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<Exchange>,
}

impl Handshake {
    fn new(report: &event::HandshakeReport, is_ipv6: bool) -> Self {
        Self {
            rtt: report.rtt.into(),
            rtt_absent: report.rtt_absent,
            attempts: report.attempts,
            offered: Offer::new(&report.offered, is_ipv6),
            granted: report.granted.as_ref().map(|offer| Offer::new(offer, is_ipv6)),
            answered_by: report.answered_by.map(Answerer::from),
            icmp: report.icmp.as_ref().map(Error::from),
            exchange: report.exchange.as_ref().map(Exchange::from),
        }
    }
}

#[derive(Serialize)]
struct Exchange {
    sent: u64,
    acknowledged: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack_delay_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
    received: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    reply: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reply_hex: String,
}

impl From<&event::Exchange> for Exchange {
    fn from(exchange: &event::Exchange) -> Self {
        Self {
            sent: exchange.sent,
            acknowledged: exchange.acknowledged,
            ack_delay_ns: exchange.ack_delay.map(nanos),
            clock: exchange.ack_delay.map(clock),
            received: exchange.received,
            reply: String::from_utf8_lossy(&exchange.reply).into_owned(),
            reply_hex: hex(&exchange.reply),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Close {
    asked: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_place: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack_of_fin_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack_of_fin_clock: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_wait_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_wait_clock: Option<&'static str>,
    bytes_after_fin: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    half_close: Option<&'static str>,
    fin_attempts: u32,
    fins_reacknowledged: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_wait_ns: Option<u64>,
    our_state: &'static str,
    peer_state: &'static str,
}

impl From<&event::CloseReport> for Close {
    fn from(report: &event::CloseReport) -> Self {
        Self {
            asked: report.asked.name(),
            took_place: report.took_place.map(event::CloseShape::name),
            merged: report.merged,
            ack_of_fin_ns: report.ack_of_fin.map(nanos),
            ack_of_fin_clock: report.ack_of_fin.map(clock),
            close_wait_ns: report.close_wait.map(nanos),
            close_wait_clock: report.close_wait.map(clock),
            bytes_after_fin: report.bytes_after_fin,
            half_close: report.half_close.map(event::HalfClose::name),
            fin_attempts: report.fin_attempts,
            fins_reacknowledged: report.fins_reacknowledged,
            time_wait_ns: report.time_wait.map(nanos_of),
            our_state: report.our_state.name(),
            peer_state: report.peer_state.name(),
        }
    }
}
