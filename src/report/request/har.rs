//! The HTTP archive, HAR 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>).

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::event::{Event, FlowId, HttpVersion, RequestReport, Run, Sink};
use crate::report::json::ascii;
use crate::time::Instant;

/// Not known, as the format writes it.
const UNKNOWN: f64 = -1.0;

/// Collects requests, and hands the archive over at the end of the run.
pub struct HarSink<F> {
    version: &'static str,
    write: F,
    /// The wall-clock time of a moment, where there is one.
    origin: Option<(Instant, i64)>,
    servers: BTreeMap<FlowId, IpAddr>,
    entries: Vec<Entry>,
}

impl<F: FnMut(&[u8])> HarSink<F> {
    /// The archive of this `version` of the program goes to `write`, whole.
    pub const fn new(version: &'static str, write: F) -> Self {
        Self { version, write, origin: None, servers: BTreeMap::new(), entries: Vec::new() }
    }

    fn began(&mut self, flow: FlowId, run: &Run) {
        self.servers.insert(flow, run.target.ip());
        if self.origin.is_none() {
            self.origin = run.unix_ns.map(|unix| (run.at, unix));
        }
    }
}

impl<F: FnMut(&[u8])> Sink for HarSink<F> {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        match event {
            Event::Run(run) => self.began(flow, run),
            Event::Request(report) => {
                let server = self.servers.get(&flow).copied();
                self.entries.push(Entry::new(report, server, self.origin));
            }
            Event::Connection(_) => drop(self.servers.remove(&flow)),
            Event::Summary(_) => {
                let creator = Creator { name: "shakedown", version: self.version };
                let mut entries = std::mem::take(&mut self.entries);
                entries.sort_by(|left, right| left.started.cmp(&right.started));
                let har = Har { log: Log { version: "1.2", creator, entries } };
                (self.write)(&ascii::to_vec(&har)?);
            }
            _ => {}
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Har {
    log: Log,
}

#[derive(Serialize)]
struct Log {
    version: &'static str,
    creator: Creator,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Creator {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Entry {
    #[serde(rename = "startedDateTime")]
    started: String,
    time: f64,
    request: Request,
    response: Response,
    cache: Empty,
    timings: Timings,
    #[serde(rename = "serverIPAddress", skip_serializing_if = "Option::is_none")]
    server: Option<IpAddr>,
    connection: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    http_version: String,
    cookies: [Empty; 0],
    headers: Vec<Pair>,
    query_string: Vec<Pair>,
    headers_size: i64,
    body_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: u16,
    status_text: String,
    http_version: String,
    cookies: [Empty; 0],
    headers: Vec<Pair>,
    content: Content,
    #[serde(rename = "redirectURL")]
    redirect_url: String,
    headers_size: i64,
    body_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    size: u64,
    mime_type: String,
}

#[derive(Serialize)]
struct Pair {
    name: String,
    value: String,
}

/// In milliseconds; -1 for what did not happen. `connect` includes `ssl`, as the format has it.
#[derive(Serialize, PartialEq, Debug)]
struct Timings {
    blocked: f64,
    dns: f64,
    connect: f64,
    send: f64,
    wait: f64,
    receive: f64,
    ssl: f64,
}

fn millis(time: Option<Duration>) -> f64 {
    // To the nanosecond: more decimals would be those of the binary fraction.
    time.map_or(UNKNOWN, |time| (time.as_nanos() as f64) / 1e6)
}

impl Timings {
    fn new(report: &RequestReport) -> Self {
        let times = report.moments.times();
        // From the SYN to the end of TLS, with whatever lies between the two handshakes.
        let connect = times.tcp.map(|tcp| {
            let tls_end = report.moments.tls.map(|(_, end)| end);
            let begun = report.moments.tcp.map(|(begun, _)| begun);
            tls_end.zip(begun).map_or(tcp, |(end, begun)| end.since(begun))
        });
        let gap = connect.zip(times.tcp).map_or(Duration::ZERO, |(connect, tcp)| {
            connect.saturating_sub(tcp + times.tls.unwrap_or_default())
        });
        let needed = |time: Option<Duration>| millis(Some(time.unwrap_or_default()));
        Self {
            blocked: millis(Some(times.blocked.saturating_sub(gap))),
            dns: millis(times.dns),
            connect: millis(connect),
            // These three have to be there, by the format.
            send: needed(times.send),
            wait: needed(times.wait),
            receive: needed(times.receive),
            ssl: millis(times.tls),
        }
    }
}

impl Entry {
    fn new(report: &RequestReport, server: Option<IpAddr>, origin: Option<(Instant, i64)>) -> Self {
        let times = report.moments.times();
        let version = |version: Option<HttpVersion>| {
            version.map_or_else(String::new, |version| version.to_string())
        };
        let query = report.url.split_once('?').map_or("", |(_, query)| query);
        let pairs = |headers: &[(String, String)]| {
            let pair = |(name, value): &(String, String)| Pair {
                name: name.clone(),
                value: value.clone(),
            };
            headers.iter().map(pair).collect()
        };
        Self {
            started: wall_clock(report.moments.begun, origin),
            time: millis(Some(times.total)),
            request: Request {
                method: report.method.clone(),
                url: report.url.clone(),
                http_version: version(Some(report.asked)),
                cookies: [],
                headers: pairs(&report.sent_headers),
                query_string: query
                    .split('&')
                    .filter(|part| !part.is_empty())
                    .map(|part| {
                        let (name, value) = part.split_once('=').unwrap_or((part, ""));
                        Pair { name: name.to_owned(), value: value.to_owned() }
                    })
                    .collect(),
                headers_size: -1,
                body_size: report.sent_bytes,
            },
            response: Response {
                status: report.status.unwrap_or(0),
                status_text: report.reason.clone(),
                http_version: version(report.version),
                cookies: [],
                headers: pairs(&report.headers),
                content: Content {
                    size: report.bytes,
                    mime_type: report.header("content-type").unwrap_or_default().to_owned(),
                },
                redirect_url: report.header("location").unwrap_or_default().to_owned(),
                headers_size: -1,
                body_size: report.bytes,
            },
            cache: Empty {},
            timings: Timings::new(report),
            server,
            connection: report.connection.to_string(),
            comment: report.failure.clone().unwrap_or_default(),
        }
    }
}

/// RFC 3339, to the microsecond; in virtual time from the beginning of 1970.
fn wall_clock(at: Instant, origin: Option<(Instant, i64)>) -> String {
    let nanos = match origin {
        Some((start, unix)) => unix.saturating_add(at.signed_nanos_since(start)),
        None => at.signed_nanos_since(Instant::ZERO),
    };
    let since = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    humantime::format_rfc3339_micros(UNIX_EPOCH + since).to_string()
}
