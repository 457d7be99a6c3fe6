//! One connection and the requests on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::watch::Account;
use crate::cmd::findings;
use crate::driver::Flow;
use crate::event::{
    CloseShape, ClosedBy, ConnectionReport, FlowId, HttpVersion, Outcome, RequestMoments,
    RequestReport, TlsFacts,
};
use crate::http::{Ask, Client, Failure, Head};
use crate::tcp::state::State;
use crate::time::Instant;

/// How far a connection has got with its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Requests may be sent.
    Open,
    /// It is to be closed, by RST where that is not done at this time.
    Leaving(Instant),
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) report: RequestReport,
    /// Where it is among the bytes that were sent.
    pub(super) range: Option<(u64, u64)>,
}

/// A connection under way.
pub(super) struct Life {
    pub(super) id: FlowId,
    pub(super) number: u32,
    pub(super) course: u32,
    pub(super) compared: bool,
    pub(super) source: SocketAddr,
    /// The version asked for, as far as it is known.
    pub(super) version: HttpVersion,
    pub(super) client: Client,
    pub(super) stage: Stage,
    /// Our direction has been closed, or the connection reset.
    pub(super) left: bool,
    /// Whatever is still to be said: our direction is closed now.
    pub(super) forced: bool,
    /// HTTP has heard of the end of what it reads.
    pub(super) told_end: bool,
    pub(super) drafts: BTreeMap<u32, Draft>,
    pub(super) answered: u32,
    pub(super) tls: Option<(TlsFacts, Instant)>,
    pub(super) failure: Option<Failure>,
    /// Requests that will not be answered here.
    pub(super) unanswered: Vec<(u32, String)>,
    /// When the last bytes arrived.
    pub(super) at: Instant,
    /// When anything last went on.
    pub(super) alive_at: Instant,
    /// Bytes of ours that were acknowledged when that was last looked at.
    pub(super) acknowledged: u64,
    pub(super) last_response: Option<Instant>,
    pub(super) remark: Option<String>,
    /// The server said that it will close.
    pub(super) announced: bool,
    /// Both ends' states before we reset it.
    pub(super) states: Option<(State, State)>,
    pub(super) lingers_from: Option<Instant>,
    pub(super) lingered: Option<Duration>,
}

/// What a connection is begun with.
pub(super) struct Birth {
    pub(super) id: FlowId,
    pub(super) number: u32,
    pub(super) course: u32,
    pub(super) compared: bool,
    pub(super) source: SocketAddr,
    pub(super) version: HttpVersion,
    pub(super) client: Client,
    pub(super) at: Instant,
}

impl Life {
    pub(super) fn new(birth: Birth) -> Self {
        let Birth { id, number, course, compared, source, version, client, at } = birth;
        Self {
            id,
            number,
            course,
            compared,
            source,
            version,
            client,
            stage: Stage::Open,
            left: false,
            forced: false,
            told_end: false,
            drafts: BTreeMap::new(),
            answered: 0,
            tls: None,
            failure: None,
            unanswered: Vec::new(),
            at,
            alive_at: at,
            acknowledged: 0,
            last_response: None,
            remark: None,
            announced: false,
            states: None,
            lingers_from: None,
            lingered: None,
        }
    }

    /// Begins the request `number` of the course.
    pub(super) fn draft(&mut self, number: u32, ask: &Ask, begun: Instant) {
        let mut sent_headers = Vec::new();
        if self.version != HttpVersion::Http2 {
            sent_headers.push(("host".to_owned(), lossy(ask.host.as_bytes())));
        }
        for (name, value) in &ask.headers {
            sent_headers.push((name.as_str().to_owned(), lossy(value.as_bytes())));
        }
        let report = RequestReport {
            number,
            course: self.course,
            compared: self.compared,
            connection: self.number,
            reused: self.answered > 0 || !self.drafts.is_empty(),
            asked: self.version,
            version: None,
            method: ask.method.to_string(),
            url: ask.uri.to_string(),
            sent_headers,
            sent_bytes: ask.body.len() as u64,
            status: None,
            reason: String::new(),
            headers: Vec::new(),
            bytes: 0,
            complete: false,
            failure: None,
            moments: RequestMoments {
                begun,
                dns: None,
                tcp: None,
                tls: None,
                sent: None,
                first_byte: None,
                last_byte: None,
            },
        };
        self.drafts.insert(number, Draft { report, range: None });
    }

    /// The request line of a draft; HTTP/2 has none, and is told in the same words.
    pub(super) fn line(&self, number: u32) -> String {
        let Some(draft) = self.drafts.get(&number) else { return String::new() };
        let report = &draft.report;
        let path = report.url.split_once("://").map_or(report.url.as_str(), |(_, rest)| rest);
        let path = path.find('/').map_or("/", |at| &path[at..]);
        format!("{} {path} {}", report.method, self.version)
    }

    /// Takes down the head of a response.
    pub(super) fn head(&mut self, number: u32, head: &Head) {
        let at = self.at;
        let says = |word: &str| {
            let of = |(name, value): &(String, String)| {
                name == "connection" && value.to_ascii_lowercase().contains(word)
            };
            head.headers.iter().any(of)
        };
        // A server of HTTP/1.0 closes unless it says otherwise (RFC 9112 §9.3).
        let old = head.version == Some(HttpVersion::Http10) && !says("keep-alive");
        self.announced |= says("close") || old;
        if let Some(draft) = self.drafts.get_mut(&number) {
            let report = &mut draft.report;
            report.moments.first_byte.get_or_insert(at);
            report.version = head.version;
            report.status = Some(head.status);
            report.reason.clone_from(&head.reason);
            report.headers.clone_from(&head.headers);
        }
    }

    /// A draft that has come to its end, with its moments.
    pub(super) fn finish(
        &mut self,
        number: u32,
        flow: &Flow,
        account: &Account,
        dns: Option<Duration>,
    ) -> Option<RequestReport> {
        let Draft { mut report, range } = self.drafts.remove(&number)?;
        let moments = &mut report.moments;
        moments.sent = range.and_then(|range| account.left(range));
        if !report.reused {
            let timeline = &flow.timeline;
            let syn = timeline.syns.first().map(|(stamp, _)| stamp.at);
            let answer = timeline.syn_ack.as_ref().map(|(stamp, _)| stamp.at);
            moments.tcp = syn.zip(answer);
            moments.tls = timeline
                .first_data
                .zip(self.tls.as_ref())
                .map(|(stamp, (_, done))| (stamp.at, *done));
            moments.dns = dns;
            moments.begun = syn.unwrap_or(moments.begun);
            // What was set up between the look-up and the SYN is no time of the network's.
            moments.begun = moments.begun.saturating_sub(dns.unwrap_or_default());
        }
        Some(report)
    }

    /// What is said of the connection at its end.
    pub(super) fn report(&self, flow: &Flow, account: &Account, idle: bool) -> ConnectionReport {
        let closed_by = closed_by(flow);
        let shape = match closed_by {
            ClosedBy::Them => CloseShape::Passive,
            ClosedBy::Both => CloseShape::Simultaneous,
            ClosedBy::OurReset => CloseShape::Abort,
            _ => CloseShape::Active,
        };
        let established = flow.ending.established;
        let outcome = match closed_by {
            _ if !established => findings::opening(flow),
            ClosedBy::OurReset => Outcome::Aborted,
            _ => findings::closing(flow, shape),
        };
        let states = self.states.unwrap_or_else(|| (flow.connection.state(), flow.peer.state()));
        let first_data = flow.timeline.first_data;
        let fin = flow.timeline.peer_fin.map(|stamp| stamp.at);
        let idle = (idle && closed_by == ClosedBy::Them).then_some(fin).flatten();
        let mut handshake = findings::handshake_report(flow, false);
        handshake.exchange = None;
        ConnectionReport {
            number: self.number,
            course: self.course,
            compared: self.compared,
            version: self.version,
            source: self.source,
            outcome,
            answered: self.answered,
            handshake,
            tls: self
                .tls
                .clone()
                .zip(first_data)
                .map(|((facts, done), sent)| (facts, done.since(sent.at))),
            costs: account.costs(),
            closed_by,
            close: established.then(|| findings::close_report(flow, shape, states, self.lingered)),
            closing: account.closing(),
            idle: idle.zip(self.last_response).map(|(fin, last)| fin.since(last)),
            remark: self.remark.clone(),
        }
    }
}

/// Who ended the connection.
fn closed_by(flow: &Flow) -> ClosedBy {
    let timeline = &flow.timeline;
    if !flow.ending.established {
        ClosedBy::Nobody
    } else if flow.ending.reset {
        ClosedBy::TheirReset
    } else if timeline.reset_sent {
        ClosedBy::OurReset
    } else if timeline.crossed {
        ClosedBy::Both
    } else if timeline.peer_fin.is_some() && (timeline.answered || timeline.fins.is_empty()) {
        ClosedBy::Them
    } else if timeline.fins.is_empty() {
        ClosedBy::Nobody
    } else {
        ClosedBy::Us
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
