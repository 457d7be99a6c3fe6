//! The records of requests and of the connections that carried them.

use serde::Serialize;

use super::records::Endpoint;
use super::summary::{Close, Rtt};
use crate::event::{
    self, ConnectionReport, CourseReport, HttpCargo, RequestReport, RequestsReport,
};
use crate::net::Dir;
use crate::time::{Instant, nanos_of};

#[derive(Serialize)]
pub(super) struct Http {
    at_ns: i64,
    dir: &'static str,
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tickets: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
}

impl Http {
    pub(super) fn new(step: &event::HttpStep, origin: Instant) -> Self {
        let mut record = Self {
            at_ns: step.at.signed_nanos_since(origin),
            dir: if step.dir == Dir::Tx { "tx" } else { "rx" },
            what: "tls-handshake",
            request: None,
            line: None,
            bytes: None,
            frames: None,
            tickets: None,
            tls: None,
        };
        match &step.what {
            HttpCargo::TlsHandshake => {}
            HttpCargo::TlsReady(facts) => {
                record.what = "tls-ready";
                record.tls = Some(Tls::new(facts, None));
            }
            HttpCargo::Request { number, line } => {
                record.what = "request";
                (record.request, record.line) = (Some(*number), Some(line.clone()));
            }
            HttpCargo::Head { number, line } => {
                record.what = "head";
                (record.request, record.line) = (Some(*number), Some(line.clone()));
            }
            HttpCargo::End { number, bytes } => {
                record.what = "end";
                (record.request, record.bytes) = (Some(*number), Some(*bytes));
            }
            HttpCargo::Frames(names) => {
                record.what = "frames";
                record.frames = Some(names.clone());
            }
            HttpCargo::TlsTickets(count) => {
                record.what = "tls-tickets";
                record.tickets = Some(*count);
            }
            HttpCargo::CloseNotify => record.what = "close-notify",
            HttpCargo::TlsAlert => record.what = "tls-alert",
        }
        record
    }
}

#[derive(Serialize)]
struct Tls {
    version: String,
    cipher: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<String>,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake_ns: Option<u64>,
}

impl Tls {
    fn new(facts: &event::TlsFacts, time: Option<std::time::Duration>) -> Self {
        Self {
            version: facts.version.clone(),
            cipher: facts.cipher.clone(),
            alpn: facts.protocol.clone(),
            verified: facts.verified,
            handshake_ns: time.map(nanos_of),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Request {
    request: u32,
    course: u32,
    connection: u32,
    reused: bool,
    http: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_in: Option<&'static str>,
    method: String,
    url: String,
    sent_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    bytes: u64,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    begun_ns: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_byte_ns: Option<i64>,
    times: Times,
}

#[derive(Serialize)]
struct Times {
    blocked_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receive_ns: Option<u64>,
    total_ns: u64,
}

impl Request {
    pub(super) fn new(report: &RequestReport, origin: Instant) -> Self {
        let moments = &report.moments;
        let times = moments.times();
        let at = |at: Instant| at.signed_nanos_since(origin);
        Self {
            request: report.number,
            course: report.course,
            connection: report.connection,
            reused: report.reused,
            http: report.asked.number(),
            answered_in: report.version.map(event::HttpVersion::number),
            method: report.method.clone(),
            url: report.url.clone(),
            sent_bytes: report.sent_bytes,
            status: report.status,
            reason: report.reason.clone(),
            headers: report.headers.clone(),
            bytes: report.bytes,
            complete: report.complete,
            failure: report.failure.clone(),
            location: report.header("location").map(str::to_owned),
            begun_ns: at(moments.begun),
            sent_ns: moments.sent.map(|(first, _)| at(first)),
            first_byte_ns: moments.first_byte.map(at),
            last_byte_ns: moments.last_byte.map(at),
            times: Times {
                blocked_ns: nanos_of(times.blocked),
                dns_ns: times.dns.map(nanos_of),
                tcp_ns: times.tcp.map(nanos_of),
                tls_ns: times.tls.map(nanos_of),
                send_ns: times.send.map(nanos_of),
                wait_ns: times.wait.map(nanos_of),
                receive_ns: times.receive.map(nanos_of),
                total_ns: nanos_of(times.total),
            },
        }
    }
}

#[derive(Serialize)]
struct Load {
    segments: u64,
    bytes: u64,
}

impl From<event::Load> for Load {
    fn from(load: event::Load) -> Self {
        Self { segments: load.segments, bytes: load.bytes }
    }
}

#[derive(Serialize)]
struct Costs {
    opening: Load,
    tls: Load,
    exchange: Load,
    closing: Load,
}

impl From<event::Costs> for Costs {
    fn from(costs: event::Costs) -> Self {
        Self {
            opening: costs.opening.into(),
            tls: costs.tls.into(),
            exchange: costs.exchange.into(),
            closing: costs.closing.into(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Connection {
    connection: u32,
    course: u32,
    http: &'static str,
    source: Endpoint,
    outcome: &'static str,
    answered: u32,
    #[serde(flatten)]
    rtt: Rtt,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    costs: Costs,
    closed_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<Close>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closing_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
}

impl From<&ConnectionReport> for Connection {
    fn from(report: &ConnectionReport) -> Self {
        Self {
            connection: report.number,
            course: report.course,
            http: report.version.number(),
            source: report.source.into(),
            outcome: report.outcome.name(),
            answered: report.answered,
            rtt: report.handshake.rtt.into(),
            tls: report.tls.as_ref().map(|(facts, time)| Tls::new(facts, Some(*time))),
            costs: report.costs.into(),
            closed_by: report.closed_by.name(),
            close: report.close.as_ref().map(Close::from),
            closing_ns: report.closing.map(|(from, to)| nanos_of(to.since(from))),
            idle_ns: report.idle.map(nanos_of),
            remark: report.remark.clone(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Requests {
    compared: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
    courses: Vec<Course>,
}

#[derive(Serialize)]
struct Course {
    course: u32,
    round: u32,
    http: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<String>,
    asked: u32,
    answered: u32,
    connections: u32,
    bytes: u64,
    costs: Costs,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening_ns: Option<u64>,
    total_ns: u64,
    saved_ns: u64,
}

impl From<&CourseReport> for Course {
    fn from(course: &CourseReport) -> Self {
        Self {
            course: course.number,
            round: course.round,
            http: course.version.number(),
            outcome: course.outcome.name(),
            finding: course.finding.clone(),
            asked: course.asked,
            answered: course.answered,
            connections: course.connections,
            bytes: course.bytes,
            costs: course.costs.into(),
            opening_ns: course.opening.map(nanos_of),
            total_ns: nanos_of(course.total),
            saved_ns: nanos_of(course.saved),
        }
    }
}

impl From<&RequestsReport> for Requests {
    fn from(report: &RequestsReport) -> Self {
        Self {
            compared: report.compared,
            clock: report.clock.map(crate::time::Clock::name),
            courses: report.courses.iter().map(Course::from).collect(),
        }
    }
}
