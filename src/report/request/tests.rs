//! Reports of made-up runs.

use std::time::Duration;

use super::*;
use crate::event::{
    ClosedBy, Costs, CourseReport, Event, FlowId, Load, RequestMoments, RequestsReport, Run, Sink,
};
use crate::report::human::paint::render;
use crate::time::{Clock, Instant};

fn at(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1000)
}

const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn request_at(number: u32, course: u32, connection: u32, start: u64, new: bool) -> RequestReport {
    let opened = if new { start + 250 } else { start };
    RequestReport {
        number,
        course,
        compared: false,
        connection,
        reused: !new,
        asked: HttpVersion::Http11,
        version: Some(HttpVersion::Http11),
        method: "GET".to_owned(),
        url: "http://example.org/a?b=c&d".to_owned(),
        sent_headers: vec![("host".to_owned(), "example.org".to_owned())],
        sent_bytes: 0,
        status: Some(200),
        reason: "OK".to_owned(),
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        bytes: 612,
        complete: true,
        failure: None,
        moments: RequestMoments {
            begun: at(start),
            dns: None,
            tcp: new.then(|| (at(start), at(start + 100))),
            tls: new.then(|| (at(start + 110), at(start + 240))),
            sent: Some((at(opened), at(opened))),
            first_byte: Some(at(opened + 300)),
            last_byte: Some(at(opened + 400)),
        },
    }
}

fn course(number: u32, version: HttpVersion, total: u64, connections: u32) -> CourseReport {
    let many = u64::from(connections);
    let load = |segments| Load { segments: segments * many, bytes: segments * many * 60 };
    CourseReport {
        number,
        round: 1,
        version,
        outcome: Outcome::Answered,
        finding: None,
        asked: 2,
        answered: 2,
        connections,
        costs: Costs {
            opening: load(3),
            tls: load(4),
            exchange: Load { segments: 6, bytes: 2000 },
            closing: load(3),
        },
        bytes: 1224,
        opening: Some(us(230)),
        total: us(total),
        saved: us(230) * (2 - connections),
    }
}

fn text(lines: &Lines) -> String {
    lines.iter().map(|line| render(line, false) + "\n").collect()
}

fn style(unicode: bool) -> Style {
    Style { width: 80, unicode, ..Style::default() }
}

#[test]
fn a_run_in_one_version() {
    let mut told = Told::default();
    told.request(&request_at(1, 0, 1, 0, true));
    told.request(&request_at(2, 0, 1, 800, false));
    let report = RequestsReport {
        courses: vec![course(0, HttpVersion::Http11, 1200, 1)],
        compared: false,
        clock: Some(Clock::Kernel),
    };
    insta::assert_snapshot!("one_version", text(&told.lines(&report, &style(true))));
}

#[test]
fn versions_side_by_side_in_ascii() {
    let mut told = Told::default();
    for (number, connection, start, new) in [(1, 1, 0, true), (2, 2, 700, true)] {
        told.request(&request_at(number, 0, connection, start, new));
    }
    told.request(&request_at(1, 1, 3, 5000, true));
    told.request(&request_at(2, 1, 3, 5700, false));
    let mut declined = course(2, HttpVersion::Http2, 0, 1);
    declined.outcome = Outcome::Declined;
    declined.finding = Some("the server does not speak HTTP/2: \x1b[2J".to_owned());
    (declined.answered, declined.saved) = (0, Duration::ZERO);
    let report = RequestsReport {
        courses: vec![
            course(0, HttpVersion::Http10, 1350, 2),
            course(1, HttpVersion::Http11, 1100, 1),
            declined,
        ],
        compared: true,
        clock: Some(Clock::Kernel),
    };
    let shown = text(&told.lines(&report, &style(false)));
    assert!(shown.is_ascii() && !shown.contains('\x1b'), "{shown}");
    assert!(shown.lines().all(|line| line.len() <= 80), "{shown}");
    insta::assert_snapshot!("side_by_side", shown);
}

#[test]
fn of_very_many_requests_the_first_are_drawn() {
    let mut told = Told::default();
    for number in 1..=1000 {
        told.request(&request_at(number, 0, 1, u64::from(number) * 1000, number == 1));
    }
    let report = RequestsReport {
        courses: vec![course(0, HttpVersion::Http11, 1200, 1)],
        compared: false,
        clock: None,
    };
    let shown = text(&told.lines(&report, &style(true)));
    assert!(shown.contains("968 more"), "{shown}");
    assert!(shown.lines().count() < 90, "{}", shown.lines().count());
}

#[test]
fn redirects_failures_and_hostile_words_in_a_line() {
    let mut moved = request_at(1, 0, 1, 0, true);
    moved.status = Some(301);
    moved.reason = "Moved\x1b[31m".to_owned();
    moved.headers.push(("location".to_owned(), "http://elsewhere/\x07".to_owned()));
    let shown = text(&request(&moved, &style(true)));
    assert_eq!(
        shown,
        "    1  connection 1, new  HTTP/1.1 301 Moved\\x1b[31m  612 bytes  650.000 µs\n       \
         redirected to http://elsewhere/\\x07, not followed\n"
    );
    let mut failed = request_at(2, 0, 1, 0, false);
    (failed.status, failed.complete) = (None, false);
    failed.failure = Some("the server reset the connection".to_owned());
    let shown = text(&request(&failed, &style(true)));
    assert_eq!(
        shown,
        "    2  connection 1, reused\n       not answered: the server reset the connection\n"
    );
}

#[test]
fn the_median_course_stands_for_its_version() {
    let rounds = [(0, 900), (1, 500), (2, 700)];
    let report = RequestsReport {
        courses: rounds
            .map(|(number, total)| course(number, HttpVersion::Http11, total, 1))
            .to_vec(),
        compared: true,
        clock: None,
    };
    let typical: Vec<u32> = compare::typical(&report).iter().map(|it| it.number).collect();
    assert_eq!(typical, [2]);
}

#[test]
fn the_archive_has_what_the_format_asks_for() {
    let mut written = Vec::new();
    let story = crate::report::testkit::Story::new("request");
    let run = match story.run() {
        Event::Run(run) => Run { at: at(0), unix_ns: Some(1_700_000_000_000_000_000), ..run },
        other => panic!("no run: {other:?}"),
    };
    let story = story.summary(Outcome::Answered, true, |_| {});
    let summary = story.events.last().expect("a summary").clone();
    {
        let mut sink = HarSink::new("9.9", |bytes: &[u8]| written.extend_from_slice(bytes));
        sink.record(FlowId(0), &Event::Run(run)).expect("heard");
        let mut failed = request_at(2, 0, 1, 900, false);
        (failed.status, failed.complete) = (None, false);
        failed.failure = Some("too late".to_owned());
        failed.moments.last_byte = None;
        sink.record(FlowId(0), &Event::Request(Box::new(failed))).expect("heard");
        let first = request_at(1, 0, 1, 0, true);
        sink.record(FlowId(0), &Event::Request(Box::new(first))).expect("heard");
        sink.record(FlowId(0), &summary).expect("heard");
    }
    let har: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
    let entries = har["log"]["entries"].as_array().expect("entries");
    assert_eq!((har["log"]["version"].as_str(), entries.len()), (Some("1.2"), 2));
    let first = &entries[0];
    assert_eq!(first["startedDateTime"], "2023-11-14T22:13:20.000000Z");
    assert_eq!(first["request"]["queryString"][0]["name"], "b");
    assert_eq!(first["response"]["content"]["mimeType"], "text/html");
    let timings = &first["timings"];
    // SYN to the end of TLS, the 10 µs between the two handshakes included.
    assert_eq!(timings["connect"], 0.24);
    assert_eq!(timings["ssl"], 0.13);
    assert_eq!(timings["dns"], -1.0);
    // By the format, the parts make up the whole, and `ssl` is a part of `connect`.
    for entry in entries {
        let of = |name: &str| entry["timings"][name].as_f64().expect("a number").max(0.0);
        let sum: f64 =
            ["blocked", "dns", "connect", "send", "wait", "receive"].into_iter().map(of).sum();
        assert!((sum - entry["time"].as_f64().expect("a number")).abs() < 1e-9, "{entry}");
    }
    assert_eq!(entries[1]["comment"], "too late");
    assert_eq!(entries[1]["response"]["status"], 0);
}

#[test]
fn who_closed_and_how_is_said() {
    let closed = |by| match by {
        ClosedBy::Nobody => "not opened: refused",
        ClosedBy::TheirReset => "reset by the server",
        _ => "closed by the server",
    };
    for by in [ClosedBy::Nobody, ClosedBy::TheirReset, ClosedBy::Them] {
        let report = ConnectionReport {
            number: 1,
            course: 0,
            compared: false,
            version: HttpVersion::Http11,
            source: ([192, 0, 2, 1], 4000).into(),
            outcome: if by == ClosedBy::Nobody { Outcome::Refused } else { Outcome::Closed },
            answered: 3,
            handshake: crate::event::HandshakeReport::default(),
            tls: None,
            costs: Costs::default(),
            closed_by: by,
            close: (by != ClosedBy::Nobody).then_some(crate::event::CloseReport {
                asked: crate::event::CloseShape::Passive,
                took_place: None,
                merged: None,
                ack_of_fin: None,
                close_wait: None,
                bytes_after_fin: 0,
                half_close: None,
                fin_attempts: 0,
                fins_reacknowledged: 0,
                time_wait: None,
                our_state: crate::tcp::state::State::Closed,
                peer_state: crate::tcp::state::State::Closed,
            }),
            closing: None,
            idle: (by == ClosedBy::Them).then(|| Duration::from_secs(75)),
            remark: None,
        };
        let shown = text(&connection(&report, &style(true)));
        assert!(shown.contains(closed(by)), "{shown}");
        assert_eq!(shown.contains("75.000 s"), by == ClosedBy::Them, "{shown}");
    }
}
