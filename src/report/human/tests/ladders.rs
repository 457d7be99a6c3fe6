//! Handshakes: the ladder and the report.

use super::*;
use crate::event::{HandshakeReport, Note, Outcome};
use crate::net::Dir;
use crate::report::testkit::*;
use crate::tcp::state::State::{
    CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived, SynSent,
    TimeWait,
};
use crate::tcp::state::{Cause, Known};
use crate::wire::{IcmpKind, TcpOption};

fn graceful() -> Story {
    Story::new("handshake")
        .open()
        .at(12_000)
        .client(Established, FinWait1, Cause::Close)
        .at(12_050)
        .tx(FIN_ACK, (1, 1))
        .server(Established, CloseWait, Cause::Received(FIN_ACK), Known::Implied)
        .at(23_170)
        .rx(ACK, (1, 2))
        .confirmed(CloseWait, Cause::Sent(ACK))
        .client(FinWait1, FinWait2, Cause::Received(ACK))
        .at(126_400)
        .rx(FIN_ACK, (1, 2))
        .server(CloseWait, LastAck, Cause::Sent(FIN_ACK), Known::Proved)
        .client(FinWait2, TimeWait, Cause::Received(FIN_ACK))
        .at(126_431)
        .tx(ACK, (2, 2))
        .server(LastAck, Closed, Cause::Received(ACK), Known::Implied)
        .at(2_126_431)
        .client(TimeWait, Closed, Cause::TimeWaitExpired)
        .summary(Outcome::Open, true, |summary| summary.handshake = Some(handshake()))
}

#[test]
fn graceful_at_80() {
    insta::assert_snapshot!(show(graceful(), narrow()));
}

#[test]
fn graceful_at_120() {
    insta::assert_snapshot!(show(graceful(), wide()));
}

#[test]
fn graceful_in_colour() {
    insta::assert_snapshot!(show(graceful(), Style { color: true, ..narrow() }));
}

#[test]
fn graceful_in_ascii_with_raw_numbers() {
    let style = Style { unicode: false, absolute: true, ..narrow() };
    let text = show(graceful(), style);
    assert!(text.is_ascii());
    insta::assert_snapshot!(text);
}

#[test]
fn colour_changes_nothing_but_colour() {
    for style in [narrow(), wide()] {
        let plain = show(graceful(), style);
        let colored = show(graceful(), Style { color: true, ..style });
        assert_eq!(without_escapes(&colored), plain);
    }
}

#[test]
fn no_line_of_the_ladder_leaves_its_columns() {
    for width in [80, 97, 120, 300] {
        for absolute in [false, true] {
            let style = Style { width, absolute, verbosity: 2, ..narrow() };
            for line in show(graceful(), style).lines() {
                let columns = unicode_width::UnicodeWidthStr::width(line);
                assert!(columns <= width.min(120), "{columns} columns of {width}: {line}");
            }
        }
    }
}

/// Where there is no room for a drawing the same is told in words, and still fits.
#[test]
fn a_narrow_terminal_has_the_steps_in_words() {
    let style = |width| Style { width, ..narrow() };
    let drawn = show(graceful(), narrow());
    for width in [32, 40, 64, 79] {
        let text = show(graceful(), style(width));
        for line in text.lines() {
            let columns = unicode_width::UnicodeWidthStr::width(line);
            assert!(columns <= width, "{columns} columns of {width}: {line}");
            assert!(!line.contains(['│', '▶', '◀', '├', '┤']), "{line}");
        }
        for state in ["SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-2", "TIME-WAIT", "LAST-ACK"] {
            let times = |text: &str| text.matches(state).count();
            assert_eq!(times(&text), times(&drawn), "{state} at {width}:\n{text}");
        }
    }
    insta::assert_snapshot!(show(graceful(), style(40)));
}

#[test]
fn every_event_shows_at_once_and_by_itself() {
    let story = graceful();
    let mut reporter = HumanReporter::new(Vec::new(), narrow());
    let mut before = 0;
    for event in &story.events {
        reporter.record(FlowId(0), event).unwrap();
        assert!(reporter.out.len() > before && reporter.out.ends_with(b"\n"), "{event:?}");
        before = reporter.out.len();
    }
}

/// A server that answers only after our final ACK was lost shows that it never moved.
fn lost_final_ack() -> Story {
    Story::new("handshake")
        .open()
        .at(1_021_300)
        .noted(Dir::Rx, SYN_ACK, (0, 1), Note::Duplicate)
        .retracted(Established, SynReceived, Cause::Sent(SYN_ACK))
        .noted(Dir::Tx, ACK, (1, 1), Note::Retransmission(1))
        .server(SynReceived, Established, Cause::Received(ACK), Known::Implied)
        .at(1_032_400)
        .data(Dir::Rx, (1, 1), b"220 ready\r\n")
        .confirmed(Established, Cause::Sent(PSH_ACK))
}

#[test]
fn a_lost_final_ack_at_80() {
    insta::assert_snapshot!(show(lost_final_ack(), narrow()));
}

fn refused() -> Story {
    Story::new("handshake")
        .begin()
        .server(Closed, Listen, Cause::Start, Known::Assumed)
        .client(Closed, SynSent, Cause::ActiveOpen)
        .at(61)
        .tx(SYN, (0, 0))
        .at(11_163)
        .segment(Dir::Rx, RST_ACK, (0, 1), |event| event.packet.segment.window = 0)
        .retracted(Listen, Closed, Cause::Sent(RST_ACK))
        .client(SynSent, Closed, Cause::Received(RST_ACK))
        .summary(Outcome::Refused, false, |summary| {
            summary.handshake = Some(HandshakeReport { granted: None, ..handshake() });
        })
}

#[test]
fn refused_at_80() {
    insta::assert_snapshot!(show(refused(), narrow()));
}

#[test]
fn refused_in_colour() {
    insta::assert_snapshot!(show(refused(), Style { color: true, ..narrow() }));
}

fn filtered() -> Story {
    Story::new("handshake")
        .begin()
        .server(Closed, Listen, Cause::Start, Known::Assumed)
        .client(Closed, SynSent, Cause::ActiveOpen)
        .at(61)
        .tx(SYN, (0, 0))
        .at(1_000_080)
        .noted(Dir::Tx, SYN, (0, 0), Note::Retransmission(1))
        .at(3_000_090)
        .noted(Dir::Tx, SYN, (0, 0), Note::Retransmission(2))
        .at(7_000_100)
        .client(SynSent, Closed, Cause::GaveUp)
        .summary(Outcome::Filtered, false, |summary| {
            summary.handshake = Some(HandshakeReport {
                rtt: None,
                attempts: 3,
                granted: None,
                answered_by: None,
                ..handshake()
            });
        })
}

#[test]
fn filtered_at_80() {
    insta::assert_snapshot!(show(filtered(), narrow()));
}

#[test]
fn filtered_at_120() {
    insta::assert_snapshot!(show(filtered(), wide()));
}

#[test]
fn a_figure_that_is_absent_is_never_a_zero() {
    let text = show(filtered(), narrow());
    let report = text.split_once("--- ").unwrap().1;
    assert!(report.contains("rtt         none: no answer to 3 SYNs"), "{report}");
    assert!(!report.contains("0.000") && !report.contains("NaN"), "{report}");
}

fn prohibited() -> Story {
    let story = Story::new("handshake")
        .begin()
        .client(Closed, SynSent, Cause::ActiveOpen)
        .at(61)
        .tx(SYN, (0, 0))
        .at(4_500)
        .icmp(
            "198.51.100.9",
            1,
            IcmpKind::Unreachable,
            Some("quotes a sequence number that we never sent"),
        )
        .at(5_310)
        .icmp("203.0.113.1", 13, IcmpKind::Prohibited, None)
        .client(SynSent, Closed, Cause::Icmp);
    let error = story.icmp_error("203.0.113.1", 13, IcmpKind::Prohibited);
    story.summary(Outcome::Prohibited, false, |summary| {
        summary.handshake = Some(HandshakeReport {
            rtt: None,
            granted: None,
            answered_by: None,
            icmp: Some(error),
            ..handshake()
        });
    })
}

#[test]
fn prohibited_at_80() {
    insta::assert_snapshot!(show(prohibited(), narrow()));
}

#[test]
fn prohibited_at_120_in_colour() {
    insta::assert_snapshot!(show(prohibited(), Style { color: true, ..wide() }));
}

/// A connection that survives what RFC 5961 is about, on a bad link, with our own kernel meddling.
fn attacked() -> Story {
    Story::new("handshake")
        .open()
        .at(20_000)
        .data(Dir::Tx, (1, 1), b"GET / HTTP/1.0\r\n\r\n")
        .at(25_000)
        .noted(Dir::Rx, RST, (70_001, 0), Note::Rejected("RST in the window but not at RCV.NXT: a challenge ACK answers it (RFC 5961 §3.2)"))
        .noted(Dir::Tx, ACK, (19, 1), Note::ChallengeAck)
        .at(26_000)
        .noted(Dir::Rx, ACK, (1, 4_000_000_000), Note::Rejected("acknowledges what was never sent"))
        .at(31_000)
        .segment(Dir::Rx, PSH_ACK, (11, 19), |event| {
            event.packet.segment.payload = b"world".to_vec();
            event.packet.segment.options = vec![TcpOption::Sack(vec![(
                event.ack_origin + 1,
                event.ack_origin + 19,
            )])];
            event.note = Some(Note::OutOfOrder);
        })
        .confirmed(Established, Cause::Sent(PSH_ACK))
        .noted(Dir::Tx, FIN_ACK, (19, 1), Note::Held)
        .noted(Dir::Tx, RST, (1, 0), Note::LocalKernel)
        .notice(
            Severity::Error,
            "local-reset",
            "your own kernel reset this connection: the guard on port 40312 failed, so what follows says nothing of the peer",
        )
        .summary(Outcome::LocalInterference, false, |summary| {
            let reply = b"HTTP/1.0 200 OK\r\nX: \x1b]0;owned\x07\xff\xe2\x80\xae";
            summary.handshake = Some(HandshakeReport {
                rtt: None,
                rtt_absent: Some("a retransmission made it ambiguous (Karn)"),
                attempts: 2,
                exchange: Some(exchange(reply)),
                ..handshake()
            });
        })
}

#[test]
fn attacked_at_80() {
    insta::assert_snapshot!(show(attacked(), narrow()));
}

#[test]
fn attacked_at_120_verbose() {
    insta::assert_snapshot!(show(attacked(), Style { verbosity: 1, ..wide() }));
}

#[test]
fn attacked_in_ascii() {
    let text = show(attacked(), Style { unicode: false, ..narrow() });
    assert!(
        text.is_ascii() && text.contains("a challenge ACK answers it (RFC 5961 section     |"),
        "{text}"
    );
}

#[test]
fn hostile_names_are_shown_and_do_nothing() {
    let mut story = graceful();
    let Some(Event::Run(run)) = story.events.first_mut() else { panic!("a run comes first") };
    run.name = "evil\x1b[31m\u{202e}gro.elpmaxe\n--- forged report ---\u{9b}2J".to_owned();
    run.interface = "eth\x07".to_owned();
    let text = show(story, narrow());
    assert_eq!(text.lines().filter(|line| line.starts_with("---")).count(), 1);
    let heads: Vec<&str> = text.lines().filter(|line| line.contains("evil")).collect();
    insta::assert_snapshot!(heads.join("\n"));
}

#[test]
fn wide_characters_in_a_name_keep_the_header_in_its_columns() {
    let mut story = graceful();
    let Some(Event::Run(run)) = story.events.first_mut() else { panic!("a run comes first") };
    run.name = "例え.テスト:443".to_owned();
    run.target = "[2001:db8:1:2:3:4:5:6]:443".parse().unwrap();
    run.source = "[2001:db8::1]:40312".parse().unwrap();
    let text = show(story, narrow());
    let header: Vec<&str> = text.lines().take(3).collect();
    insta::assert_snapshot!(header.join("\n"));
}

#[test]
fn quiet_leaves_the_report_without_ladder_and_footer() {
    insta::assert_snapshot!(show(graceful(), Style { quiet: true, ..narrow() }));
}
