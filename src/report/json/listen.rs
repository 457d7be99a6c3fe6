//! The records of a listener: its clients', and its part of the summary.

use serde::Serialize;

use super::records::Endpoint;
use super::summary::{Close, Offer, Rtt, as_object};
use crate::event::{self, HalfClose, Outcome};
use crate::time::{Instant, nanos_of};

#[derive(Serialize)]
pub(super) struct Client {
    number: u64,
    stage: &'static str,
    at_ns: i64,
    client: Endpoint,
    server: Endpoint,
    outcome: &'static str,
    established: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    offered: Option<Offer>,
    options: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<Offer>,
    #[serde(flatten)]
    rtt: Rtt,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspect: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    syn_gaps_ns: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fin_gaps_ns: Vec<u64>,
    received: u64,
    acknowledged: u64,
    resent: u32,
    repeated: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<Close>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_its_fin: Option<&'static str>,
    lasted_ns: u64,
}

impl Client {
    pub(super) fn new(report: &event::ClientReport, origin: Instant) -> Self {
        let is_ipv6 = report.client.is_ipv6();
        let nanos = |gaps: &[std::time::Duration]| gaps.iter().copied().map(nanos_of).collect();
        Self {
            number: report.number,
            stage: report.stage.name(),
            at_ns: report.at.signed_nanos_since(origin),
            client: report.client.into(),
            server: report.server.into(),
            outcome: report.outcome.name(),
            established: report.established,
            offered: report.offered.as_ref().map(|offer| Offer::new(offer, is_ipv6)),
            options: report.options.clone(),
            granted: report.granted.as_ref().map(|offer| Offer::new(offer, is_ipv6)),
            rtt: report.rtt.into(),
            suspect: report.suspect,
            syn_gaps_ns: nanos(&report.syn_gaps),
            fin_gaps_ns: nanos(&report.fin_gaps),
            received: report.received,
            acknowledged: report.acknowledged,
            resent: report.resent,
            repeated: report.repeated,
            idle_ns: report.idle.map(nanos_of),
            close: report.close.as_ref().map(Close::from),
            after_its_fin: report.after_its_fin.map(HalfClose::name),
            lasted_ns: nanos_of(report.lasted),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Listen {
    #[serde(serialize_with = "as_object")]
    outcomes: Vec<(Outcome, u64)>,
    opened: u64,
    most: u64,
    received: u64,
    acknowledged: u64,
    turned_away: u64,
    cookies: u64,
    cookies_redeemed: u64,
    evicted: u64,
    idle: u64,
    strays: u64,
    overflow: u64,
    unsent: u64,
}

impl From<&event::ListenReport> for Listen {
    fn from(report: &event::ListenReport) -> Self {
        Self {
            outcomes: report.outcomes.clone(),
            opened: report.opened,
            most: report.most,
            received: report.received,
            acknowledged: report.acknowledged,
            turned_away: report.turned_away,
            cookies: report.cookies,
            cookies_redeemed: report.cookies_redeemed,
            evicted: report.evicted,
            idle: report.idle,
            strays: report.strays,
            overflow: report.overflow,
            unsent: report.unsent,
        }
    }
}
