//! The stream is what the schema says, and enough to draw the ladder again.

mod decode;

use serde_json::Value;

use super::*;
use crate::event::{CloseReport, CloseShape, HalfClose, Note, Outcome, ProbeResult, Severity};
use crate::net::Dir;
use crate::report::human::{HumanReporter, Style};
use crate::report::testkit::*;
use crate::tcp::state::State::{Closed, Established, FinWait1, SynReceived, SynSent};
use crate::tcp::state::{Cause, Known};
use crate::wire::{IcmpKind, SeqNum, TcpOption};

fn json(story: &Story) -> String {
    let mut reporter = JsonReporter::new(Vec::new());
    for event in &story.events {
        reporter.record(FlowId(0), event).unwrap();
    }
    let text = String::from_utf8(reporter.into_inner()).unwrap();
    // A release changes no golden file.
    text.replace(&format!(r#""version":"{}""#, env!("CARGO_PKG_VERSION")), r#""version":"0""#)
}

fn ladder(events: &[Event], style: Style) -> String {
    let mut reporter = HumanReporter::new(Vec::new(), style);
    for event in events {
        reporter.record(FlowId(0), event).unwrap();
    }
    String::from_utf8(reporter.into_inner()).unwrap()
}

/// A bit of everything: each kind of event, note and option.
fn eventful(target: &str) -> Story {
    let mut story = Story::new("handshake");
    story.name = "b\u{fc}cher.example\u{202e}\x1b[2J:443".to_owned();
    story.target = target.parse().unwrap();
    let router = if story.target.is_ipv6() { "2001:db8::1" } else { "203.0.113.1" };
    let every_option = vec![
        TcpOption::Sack(vec![(SeqNum(3_000_000_011), SeqNum(3_000_000_021))]),
        TcpOption::FastOpen(vec![0xca, 0xfe]),
        TcpOption::Unknown { kind: 253, data: vec![1, 2] },
        TcpOption::EndOfList(vec![0, 0]),
        TcpOption::Malformed(vec![9]),
    ];
    story
        .open()
        .notice(Severity::Warning, "clock-step", "the wall clock was set back")
        .icmp(router, 4, IcmpKind::TooBig(1300), None)
        .icmp(router, 1, IcmpKind::Unreachable, Some("it quotes nothing of ours"))
        .at(20_000)
        .data(Dir::Tx, (1, 1), b"GET / HTTP/1.0\r\n\r\n")
        .noted(Dir::Tx, PSH_ACK, (1, 1), Note::Retransmission(1))
        .at(31_000)
        .rx(ACK, (1, 19))
        .confirmed(Established, Cause::Sent(ACK))
        .noted(Dir::Rx, ACK, (1, 19), Note::Duplicate)
        .noted(Dir::Rx, RST, (70_000, 0), Note::Rejected("RST outside the window"))
        .noted(Dir::Tx, ACK, (19, 1), Note::ChallengeAck)
        .noted(Dir::Tx, FIN_ACK, (19, 1), Note::Held)
        .noted(Dir::Tx, RST, (1, 0), Note::LocalKernel)
        .segment(Dir::Rx, PSH_ACK, (11, 19), |event| {
            event.packet.segment.options = every_option;
            event.packet.segment.payload = b"late".to_vec();
            event.note = Some(Note::OutOfOrder);
        })
        .retracted(Established, SynReceived, Cause::Sent(SYN_ACK))
        .client(Established, FinWait1, Cause::Close)
        .client(FinWait1, Closed, Cause::GaveUp)
        .at(40_000)
        .summary(Outcome::Open, true, |summary| {
            let mut report = handshake();
            report.exchange = Some(exchange(b"HTTP/1.0 200 OK\r\n\x1b]0;owned\x07\xff"));
            report.icmp = None;
            summary.handshake = Some(report);
        })
}

#[test]
fn the_ladder_can_be_redrawn_from_it() {
    for target in ["192.0.2.7:443", "[2001:db8::7]:443"] {
        let story = eventful(target);
        let read = decode::events(&json(&story));
        // Everything the ladder shows at its most talkative, but the final report.
        for absolute in [false, true] {
            let style = Style { verbosity: 2, absolute, ..Style::default() };
            let drawn = &story.events[..story.events.len() - 1];
            assert_eq!(ladder(&read, style), ladder(drawn, style));
        }
    }
}

#[test]
fn every_line_is_ascii_and_says_version_type_and_flow() {
    for line in json(&eventful("192.0.2.7:443")).lines() {
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        assert!(line.starts_with(r#"{"v":1,"type":""#), "{line}");
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["flow"], 0);
    }
}

#[test]
fn handshake_stream() {
    insta::assert_snapshot!(json(&eventful("192.0.2.7:443")));
}

#[test]
fn close_and_probe_results() {
    let close = CloseReport {
        asked: CloseShape::Half,
        took_place: Some(CloseShape::Half),
        merged: Some(false),
        ack_of_fin: Some(kernel(11_120)),
        close_wait: Some(kernel(103_230)),
        bytes_after_fin: 512,
        half_close: Some(HalfClose::Honoured),
        fin_attempts: 1,
        fins_reacknowledged: 1,
        time_wait: Some(std::time::Duration::from_secs(2)),
        our_state: Closed,
        peer_state: Closed,
    };
    let story = Story::new("close").begin();
    let error = story.icmp_error("203.0.113.1", 13, IcmpKind::Prohibited);
    let probe = ProbeResult {
        seq: 1,
        target: "example.org:22".to_owned(),
        outcome: Outcome::Prohibited,
        rtt: None,
        attempts: 1,
        answered_by: None,
        granted: None,
        icmp: Some(error),
        reason: None,
    };
    let open = ProbeResult {
        seq: 2,
        outcome: Outcome::Open,
        rtt: Some(kernel(900)),
        answered_by: handshake().answered_by,
        granted: Some(granted()),
        icmp: None,
        ..probe.clone()
    };
    let story = story.event(Event::Probe(probe)).event(Event::Probe(open)).summary(
        Outcome::Closed,
        true,
        |summary| {
            summary.close = Some(close);
            summary.probes = vec![(Outcome::Open, 1), (Outcome::Prohibited, 1)];
        },
    );
    insta::assert_snapshot!(json(&story));
}

#[test]
fn what_is_absent_is_left_out_and_never_zero() {
    let story = Story::new("handshake").begin().summary(Outcome::Filtered, false, |summary| {
        let mut report = handshake();
        (report.rtt, report.granted, report.answered_by) = (None, None, None);
        summary.handshake = Some(report);
    });
    let text = json(&story);
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    for absent in ["rtt_ns", "clock", "granted", "answered_by", "exchange", "icmp"] {
        assert_eq!(summary["handshake"].get(absent), None, "{absent}");
    }
    assert_eq!((summary.get("close"), summary.get("probes")), (None, None));
    assert!(!text.contains("null"));
}

#[test]
fn times_count_from_the_first_run_and_estimates_may_precede_it() {
    let story = Story::new("probe").begin().at(100).client(Closed, SynSent, Cause::ActiveOpen);
    let story = story.server(Closed, SynReceived, Cause::Received(SYN), Known::Proved);
    let text = json(&story);
    let at = |line: usize| -> i64 {
        let record: Value = serde_json::from_str(text.lines().nth(line).unwrap()).unwrap();
        record["at_ns"].as_i64().unwrap()
    };
    assert_eq!([at(0), at(1), at(2)], [0, 100_000, -5_451_000]);
}
