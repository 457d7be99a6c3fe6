//! Requests, connections and what segments carried, in words.

use std::time::Duration;

use crate::event::{
    ClosedBy, ConnectionReport, CourseReport, HttpCargo, HttpVersion, Load, RequestReport,
    RequestsReport, TlsFacts,
};
use crate::report::human::paint::{Paint, Span, wrap, wrap_text};
use crate::report::human::{Lines, Style, hang, plain, row};
use crate::report::units::{count, duration};

/// What a segment carried.
pub(in crate::report) fn cargo(cargo: &HttpCargo, style: &Style) -> (String, Paint) {
    match cargo {
        HttpCargo::TlsHandshake => ("TLS handshake".to_owned(), Paint::Dim),
        HttpCargo::TlsReady(facts) => {
            (format!("TLS handshake complete: {}", tls(facts, style)), Paint::Good)
        }
        HttpCargo::Request { number, line } => {
            (format!("request {number}: {}", style.safe(line)), Paint::Bold)
        }
        HttpCargo::Head { number, line } => {
            (format!("response {number}: {}", style.safe(line)), Paint::Bold)
        }
        HttpCargo::End { number, bytes } => {
            let body = count(*bytes, "byte");
            (format!("response {number}: complete, {body} of body"), Paint::Good)
        }
        HttpCargo::Frames(names) => (format!("HTTP/2: {}", counted(names)), Paint::Dim),
        HttpCargo::TlsTickets(tickets) => {
            let tickets = count((*tickets).into(), "ticket");
            (format!("TLS: {tickets} to resume the session by"), Paint::Dim)
        }
        HttpCargo::CloseNotify => {
            ("TLS close_notify: no more data will follow".to_owned(), Paint::Dim)
        }
        HttpCargo::TlsAlert => ("TLS alert: we break off the handshake".to_owned(), Paint::Bad),
    }
}

/// `SETTINGS, 2 WINDOW_UPDATE`: each name once, with the number of those in a row.
fn counted(names: &[String]) -> String {
    let rows = names.chunk_by(|one, next| one == next);
    let words: Vec<String> = rows
        .map(|row| match row.len() {
            1 => row[0].clone(),
            number => format!("{number} {}", row[0]),
        })
        .collect();
    words.join(", ")
}

/// `TLS 1.3, TLS13_AES_256_GCM_SHA384, h2 chosen by ALPN`.
fn tls(facts: &TlsFacts, style: &Style) -> String {
    let protocol = match &facts.protocol {
        Some(name) => format!(", {} chosen by ALPN", style.safe(name)),
        None => ", no protocol chosen by ALPN".to_owned(),
    };
    let trust = if facts.verified { "" } else { ", certificate NOT verified" };
    format!("{}, {}{protocol}{trust}", facts.version, facts.cipher)
}

/// A line for a request that has come to its end, and where it was sent on to.
pub(in crate::report) fn request(report: &RequestReport, style: &Style) -> Lines {
    let version = report.version.unwrap_or(report.asked);
    let new = if report.reused { "reused" } else { "new" };
    let mut words = vec![
        Span::plain(format!("{:>5}", report.number)),
        Span::plain(format!("connection {}, {new}", report.connection)),
    ];
    if let Some(status) = report.status {
        let paint = match status {
            200..=299 => Paint::Good,
            400.. => Paint::Bad,
            _ => Paint::Warn,
        };
        let reason = style.safe(&report.reason);
        words.push(Span::new(format!("{version} {status} {reason}").trim_end(), paint));
        words.push(Span::plain(count(report.bytes, "byte")));
    }
    if report.complete {
        let total = report.moments.times().total;
        words.push(Span::new(duration(total, style.unicode), Paint::Bold));
    }
    let mut lines = hang(wrap(words, "  ", style.text_columns()), 7);
    let mut below = |text: String, paint| {
        let wrapped = wrap_text(&text, paint, style.text_columns() - 7);
        lines.extend(wrapped.into_iter().map(|mut line| {
            line.insert(0, Span::plain(" ".repeat(7)));
            line
        }));
    };
    if let Some(location) = report.header("location").filter(|_| report.is_redirect()) {
        below(format!("redirected to {}, not followed", style.safe(location)), Paint::Warn);
    }
    if let Some(failure) = &report.failure {
        below(format!("not answered: {}", style.safe(failure)), Paint::Bad);
    }
    lines
}

/// A connection that has come to its end: how it was opened, what it carried, who closed it.
pub(in crate::report) fn connection(report: &ConnectionReport, style: &Style) -> Lines {
    let mut parts = Vec::new();
    if let (Some(rtt), Some(_)) = (report.handshake.rtt, &report.close) {
        parts.push(format!("opened in {}", duration(rtt.value, style.unicode)));
    }
    if let Some((facts, time)) = &report.tls {
        parts.push(format!("{} in {}", tls(facts, style), duration(*time, style.unicode)));
    }
    if report.close.is_some() {
        parts.push(format!("{} answered", count(report.answered.into(), "request")));
        parts.push(closed(report, style));
    } else {
        parts.push(format!("not opened: {}", report.outcome.name()));
    }
    if let Some(idle) = report.idle {
        let idle = duration(idle, style.unicode);
        parts.push(format!("idle for {idle} until its FIN came: the server's keep-alive time-out"));
    }
    let mut text = format!("connection {}: {}", report.number, parts.join("; "));
    if let Some(remark) = &report.remark {
        text = format!("{text}. Note: {}", style.safe(remark));
    }
    let paint = if report.remark.is_some() { Paint::Warn } else { Paint::Plain };
    hang(wrap_text(&text, paint, style.text_columns() - 2), 2)
}

/// Who closed it, and how each end went about it.
fn closed(report: &ConnectionReport, style: &Style) -> String {
    let time = |time: Duration| duration(time, style.unicode);
    let close = report.close.as_ref();
    let ack = close.and_then(|close| close.ack_of_fin).map(|it| time(it.value));
    let dwell = close.and_then(|close| close.close_wait).map(|it| time(it.value));
    let merged = close.and_then(|close| close.merged).unwrap_or(false);
    match report.closed_by {
        ClosedBy::Us => match (ack, dwell) {
            (Some(ack), _) if merged => {
                format!("closed by us: their ACK and FIN came as one {ack} after our FIN")
            }
            (Some(ack), Some(dwell)) => format!(
                "closed by us: their ACK came {ack} after our FIN, their own FIN {dwell} later"
            ),
            (Some(ack), None) => {
                format!("closed by us: their ACK came {ack} after our FIN, and no FIN of theirs")
            }
            _ => "closed by us".to_owned(),
        },
        ClosedBy::Them => match ack {
            Some(ack) => format!("closed by the server; its ACK came {ack} after our FIN"),
            None => "closed by the server".to_owned(),
        },
        ClosedBy::Both => "closed by both at once: the FINs crossed".to_owned(),
        ClosedBy::TheirReset => "reset by the server".to_owned(),
        ClosedBy::OurReset => "reset by us".to_owned(),
        ClosedBy::Nobody => "not closed by either end".to_owned(),
    }
}

/// Why a course of a comparison did not go as asked.
pub(super) fn finding(course: &CourseReport, text: &str, style: &Style) -> Lines {
    let text = format!("{}: {}", course.version, style.safe(text));
    row("finding", (text, Paint::Bad), style)
}

/// The balance of a run in one version.
pub(super) fn balance(report: &RequestsReport, style: &Style) -> Lines {
    let Some(course) = report.courses.first() else { return Vec::new() };
    let mut lines = Vec::new();
    let mut row = |label: &str, text: String| lines.extend(plain(label, text, style));
    let clock = report.clock.map_or_else(String::new, |clock| format!(" ({clock} clock)"));
    let within = if course.answered > 0 {
        format!(" within {}{clock} of the first SYN", duration(course.total, style.unicode))
    } else {
        String::new()
    };
    let bytes = count(course.bytes, "byte");
    row("requests", format!("{} of {} answered, {bytes}{within}", course.answered, course.asked));
    row("connections", connections(course, style));
    row("opening", load(course.costs.opening));
    if course.connections == 0 {
        return lines;
    }
    if course.costs.tls.segments > 0 {
        row("tls", format!("{}, for its handshake", load(course.costs.tls)));
    }
    row("exchange", load(course.costs.exchange));
    row("closing", load(course.costs.closing));
    lines
}

fn connections(course: &CourseReport, style: &Style) -> String {
    let opened =
        format!("{} by {}", count(course.connections.into(), "connection"), course.version);
    let Some(opening) = course.opening else { return opened };
    let opening = duration(opening, style.unicode);
    let saved = course.answered.saturating_sub(course.connections);
    if saved == 0 {
        return format!("{opened}, ready after {opening}");
    }
    let handshakes = count(saved.into(), "handshake");
    let time = duration(course.saved, style.unicode);
    let at_once = course.version == HttpVersion::Http2;
    let how = if at_once { "in all, if made one after the other" } else { "in all" };
    format!("{opened}, ready after {opening} on average: reuse saved {handshakes}, {time} {how}")
}

/// `3 segments, 180 bytes`.
fn load(load: Load) -> String {
    format!("{}, {}", count(load.segments, "segment"), count(load.bytes, "byte"))
}
