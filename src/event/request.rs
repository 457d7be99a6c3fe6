//! What is told of HTTP requests and of the connections that carry them.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{CloseReport, HandshakeReport, Outcome};
use crate::net::Dir;
use crate::time::{Clock, Instant};

/// A version of HTTP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HttpVersion {
    /// HTTP/1.0 (RFC 1945): the end of the connection is the end of the response.
    Http10,
    /// HTTP/1.1 (RFC 9112): one request after the other on a connection that stays.
    Http11,
    /// HTTP/2 (RFC 9113): many at a time on one connection.
    Http2,
}

impl HttpVersion {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::Http10, Self::Http11, Self::Http2];

    /// `1.0`, `1.1` or `2`.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// `HTTP/1.1`.
impl fmt::Display for HttpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP/{}", self.number())
    }
}

/// What a TLS handshake agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFacts {
    /// `TLS 1.3`.
    pub version: String,
    /// The cipher suite, by its IANA name.
    pub cipher: String,
    /// The protocol that the server chose by ALPN (RFC 7301); absent where it chose none.
    pub protocol: Option<String>,
    /// Whether the certificate was verified.
    pub verified: bool,
}

/// What a segment carried, for the ladder: told directly behind that segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpStep {
    /// When the segment left or arrived.
    pub at: Instant,
    /// Which way it went.
    pub dir: Dir,
    /// What it carried.
    pub what: HttpCargo,
}

/// What of TLS or HTTP a segment can carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HttpCargo {
    /// A part of the TLS handshake of ours.
    TlsHandshake,
    /// The last part of theirs: the handshake is over.
    TlsReady(TlsFacts),
    /// A request, or a part of one.
    Request {
        /// Its number in the course, from 1.
        number: u32,
        /// `GET /path HTTP/1.1`; for HTTP/2, whose requests have no such line, the same words.
        line: String,
    },
    /// The head of a response.
    Head {
        /// The request's number.
        number: u32,
        /// `HTTP/1.1 200 OK`.
        line: String,
    },
    /// The last of a response.
    End {
        /// The request's number.
        number: u32,
        /// Bytes of its body.
        bytes: u64,
    },
    /// Frames of HTTP/2 that are no part of a request or response, by their names in order
    /// (RFC 9113 §6).
    Frames(Vec<String>),
    /// So many tickets with which a client might resume the TLS session (RFC 8446 §4.6.1).
    TlsTickets(u32),
    /// The alert of TLS that ends a direction in good order (RFC 8446 §6.1).
    CloseNotify,
    /// An alert of TLS by which we break off the handshake (RFC 8446 §6.2).
    TlsAlert,
}

/// The moments of one request, by the stamps of the segments that carried it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestMoments {
    /// From when on it had our attention: the look-up of the name or the first SYN where it opened
    /// the connection, otherwise when it was its turn.
    pub begun: Instant,
    /// How long the resolver took, where this request is the first of all.
    pub dns: Option<Duration>,
    /// The SYN left and its SYN-ACK came, where this request opened the connection.
    pub tcp: Option<(Instant, Instant)>,
    /// The first bytes of TLS left and the handshake was over, likewise.
    pub tls: Option<(Instant, Instant)>,
    /// Its first and its last byte left.
    pub sent: Option<(Instant, Instant)>,
    /// The first byte of the response came.
    pub first_byte: Option<Instant>,
    /// The last one.
    pub last_byte: Option<Instant>,
}

/// Where a request's time went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RequestTimes {
    /// It waited, for its turn or for us.
    pub blocked: Duration,
    /// The name was looked up.
    pub dns: Option<Duration>,
    /// From SYN to SYN-ACK.
    pub tcp: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From the first byte of the request to its last.
    pub send: Option<Duration>,
    /// From its last byte to the first byte of the response.
    pub wait: Option<Duration>,
    /// From there to the last byte of the response.
    pub receive: Option<Duration>,
    /// All of it.
    pub total: Duration,
}

impl RequestMoments {
    /// The intervals between the moments; `blocked` is what is left of the total.
    #[must_use]
    pub fn times(&self) -> RequestTimes {
        let between = |pair: (Instant, Instant)| pair.1.since(pair.0);
        let sent_last = self.sent.map(|(_, last)| last);
        let after = |from: Option<Instant>, to: Option<Instant>| Some(to?.since(from?));
        let mut times = RequestTimes {
            blocked: Duration::ZERO,
            dns: self.dns,
            tcp: self.tcp.map(between),
            tls: self.tls.map(between),
            send: self.sent.map(between),
            wait: after(sent_last, self.first_byte),
            receive: after(self.first_byte, self.last_byte),
            total: Duration::ZERO,
        };
        let parts = [times.dns, times.tcp, times.tls, times.send, times.wait, times.receive];
        let spent: Duration = parts.into_iter().flatten().sum();
        let end = self.last_byte.or(self.first_byte).or(sent_last);
        times.total = end.map_or(spent, |end| end.since(self.begun)).max(spent);
        times.blocked = times.total - spent;
        times
    }
}

/// One request and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestReport {
    /// Its number in its course, from 1.
    pub number: u32,
    /// The number of its course, from 0: which version, and the how manieth time.
    pub course: u32,
    /// Whether versions are compared: then the balance tells of them all.
    pub compared: bool,
    /// The number of the connection that carried it, from 1 over the whole run.
    pub connection: u32,
    /// Whether the connection had carried another before.
    pub reused: bool,
    /// The version asked for.
    pub asked: HttpVersion,
    /// The version of the response.
    pub version: Option<HttpVersion>,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The headers sent, by name and value.
    pub sent_headers: Vec<(String, String)>,
    /// Bytes of the body sent.
    pub sent_bytes: u64,
    /// The status code; absent where no response came.
    pub status: Option<u16>,
    /// Its reason phrase, the server's own where it sent one.
    pub reason: String,
    /// The headers of the response; what is not ASCII is replaced.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body received.
    pub bytes: u64,
    /// Whether the response came to its end.
    pub complete: bool,
    /// Why it did not.
    pub failure: Option<String>,
    /// When what happened.
    pub moments: RequestMoments,
}

impl RequestReport {
    /// Whether the response sends the client elsewhere (RFC 9110 §15.4).
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        self.status.is_some_and(|status| (300..400).contains(&status))
    }

    /// A header of the response.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Segments and bytes that something took, headers of IP and TCP included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Segments in both directions.
    pub segments: u64,
    /// Bytes of IP packets in both directions.
    pub bytes: u64,
}

impl std::ops::AddAssign for Load {
    fn add_assign(&mut self, more: Self) {
        self.segments += more.segments;
        self.bytes += more.bytes;
    }
}

/// What a connection cost, by what its segments were for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Costs {
    /// SYN, SYN-ACK, ACK, and their repetitions.
    pub opening: Load,
    /// The TLS handshake.
    pub tls: Load,
    /// Requests and responses.
    pub exchange: Load,
    /// From the first FIN or RST on.
    pub closing: Load,
}

impl std::ops::AddAssign for Costs {
    fn add_assign(&mut self, more: Self) {
        self.opening += more.opening;
        self.tls += more.tls;
        self.exchange += more.exchange;
        self.closing += more.closing;
    }
}

/// Who ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClosedBy {
    /// We sent the first FIN.
    Us,
    /// They did.
    Them,
    /// Both FINs crossed.
    Both,
    /// They reset it.
    TheirReset,
    /// We reset it.
    OurReset,
    /// It was never open.
    Nobody,
}

impl ClosedBy {
    /// The word in the JSON stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Them => "them",
            Self::Both => "both",
            Self::TheirReset => "their-reset",
            Self::OurReset => "our-reset",
            Self::Nobody => "nobody",
        }
    }
}

/// One connection and how it went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionReport {
    /// Its number, from 1.
    pub number: u32,
    /// The number of its course.
    pub course: u32,
    /// Whether versions are compared.
    pub compared: bool,
    /// The version asked for.
    pub version: HttpVersion,
    /// Our address.
    pub source: SocketAddr,
    /// How it ended.
    pub outcome: Outcome,
    /// Requests that it answered.
    pub answered: u32,
    /// What the TCP handshake found out.
    pub handshake: HandshakeReport,
    /// What TLS agreed on, and how long that took.
    pub tls: Option<(TlsFacts, Duration)>,
    /// What it cost.
    pub costs: Costs,
    /// Who ended it.
    pub closed_by: ClosedBy,
    /// The close in detail, where it was open.
    pub close: Option<CloseReport>,
    /// From the first FIN or RST to the last segment of the close.
    pub closing: Option<(Instant, Instant)>,
    /// From the end of the last response to the server's FIN, where the server ended it idle: its
    /// keep-alive time-out.
    pub idle: Option<Duration>,
    /// Why it was ended, where that was not as planned.
    pub remark: Option<String>,
}

/// All requests of one version, once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CourseReport {
    /// Its number, from 0.
    pub number: u32,
    /// The round that it belongs to, from 1.
    pub round: u32,
    /// The version asked for; of `https` without a wish that which ALPN decided.
    pub version: HttpVersion,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where that was not as asked.
    pub finding: Option<String>,
    /// Requests asked for.
    pub asked: u32,
    /// Requests that were answered to the end.
    pub answered: u32,
    /// Connections that were opened for them.
    pub connections: u32,
    /// What they cost.
    pub costs: Costs,
    /// Bytes of all bodies.
    pub bytes: u64,
    /// The mean time that a connection took to be ready: the TCP and the TLS handshake.
    pub opening: Option<Duration>,
    /// From the first SYN to the end of the last response.
    pub total: Duration,
    /// Handshakes that reuse has saved, at the mean time of those that there were.
    pub saved: Duration,
}

/// What a run of requests found out. The requests and connections themselves were told before.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RequestsReport {
    /// The courses, in the order in which they were run.
    pub courses: Vec<CourseReport>,
    /// Whether versions were compared.
    pub compared: bool,
    /// The worst clock that stamped a segment.
    pub clock: Option<Clock>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_parts_of_a_request_add_up_to_its_total() {
        let moments = RequestMoments {
            begun: at(0),
            dns: Some(ms(3)),
            tcp: Some((at(4), at(14))),
            tls: Some((at(15), at(40))),
            sent: Some((at(41), at(42))),
            first_byte: Some(at(60)),
            last_byte: Some(at(75)),
        };
        let times = moments.times();
        assert_eq!(times.tcp, Some(ms(10)));
        assert_eq!((times.tls, times.send, times.wait), (Some(ms(25)), Some(ms(1)), Some(ms(18))));
        assert_eq!((times.receive, times.total), (Some(ms(15)), ms(75)));
        assert_eq!(times.blocked, ms(3), "between the phases");
    }

    #[test]
    fn what_did_not_happen_has_no_time() {
        let moments = RequestMoments {
            begun: at(5),
            dns: None,
            tcp: None,
            tls: None,
            sent: Some((at(6), at(6))),
            first_byte: None,
            last_byte: None,
        };
        let times = moments.times();
        assert_eq!((times.tcp, times.wait, times.receive), (None, None, None));
        assert_eq!((times.send, times.total, times.blocked), (Some(ms(0)), ms(1), ms(1)));
    }
}
