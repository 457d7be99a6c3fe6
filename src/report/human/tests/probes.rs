//! Probes: one line each, and the counts.

use super::*;
use crate::event::{Answerer, Outcome, ProbeResult};
use crate::report::testkit::*;
use crate::tcp::state::Cause;
use crate::tcp::state::State::{Closed, SynSent};
use crate::wire::IcmpKind;

fn probe(seq: u64, target: &str, outcome: Outcome) -> ProbeResult {
    let target = target.to_owned();
    let silent = matches!(outcome, Outcome::Filtered);
    let address = "192.0.2.7".parse().unwrap();
    ProbeResult {
        seq,
        target,
        outcome,
        rtt: (!silent).then(|| kernel(11_102 + seq)),
        attempts: if silent { 3 } else { 1 },
        answered_by: (!silent).then(|| Answerer::new(address, 52)),
        granted: None,
        icmp: None,
        reason: None,
    }
}

/// Six ports of one host, the events of each flow and the run's summary with the last.
fn scan() -> Vec<Story> {
    let open =
        ProbeResult { granted: Some(granted()), ..probe(1, "example.org:443", Outcome::Open) };
    let slow = ProbeResult {
        rtt: None,
        attempts: 2,
        granted: Some(crate::event::Offer::default()),
        ..probe(2, "example.org:80", Outcome::Open)
    };
    let host = Story::new("probe");
    let prohibited = ProbeResult {
        answered_by: None,
        icmp: Some(host.icmp_error("203.0.113.1", 13, IcmpKind::Prohibited)),
        ..probe(5, "example.org:25", Outcome::Prohibited)
    };
    let unreachable = ProbeResult {
        rtt: None,
        answered_by: None,
        icmp: Some(host.icmp_error("203.0.113.1", 1, IcmpKind::Unreachable)),
        ..probe(6, "a-rather-long-name.例え.example.org:8443", Outcome::Unreachable)
    };
    let invalid = ProbeResult {
        rtt: None,
        reason: Some("SYN-ACK acknowledges 7, not our SYN"),
        ..probe(7, "\x1b[31mexample\u{202e}.org:7", Outcome::Invalid)
    };
    let results = [
        open,
        slow,
        probe(3, "example.org:22", Outcome::Refused),
        probe(4, "example.org:23", Outcome::Filtered),
        prohibited,
        unreachable,
        invalid,
    ];
    let mut stories: Vec<Story> = results
        .into_iter()
        .map(|result| {
            Story::new("probe")
                .begin()
                .client(Closed, SynSent, Cause::ActiveOpen)
                .at(61)
                .tx(SYN, (0, 0))
                .event(Event::Probe(result))
        })
        .collect();
    let last = stories.pop().unwrap().at(7_000_100).summary(Outcome::Open, true, |summary| {
        summary.probes = vec![
            (Outcome::Open, 2),
            (Outcome::Refused, 1),
            (Outcome::Filtered, 1),
            (Outcome::Prohibited, 1),
            (Outcome::Unreachable, 1),
            (Outcome::Invalid, 1),
        ];
    });
    stories.push(last);
    stories
}

#[test]
fn lines_at_80() {
    insta::assert_snapshot!(shown(&scan(), narrow()));
}

#[test]
fn lines_at_120_in_colour() {
    insta::assert_snapshot!(shown(&scan(), Style { color: true, ..wide() }));
}

#[test]
fn quiet_prints_the_results_only() {
    let text = shown(&scan(), Style { quiet: true, ..wide() });
    assert_eq!(text.lines().count(), 7);
    assert!(text.lines().all(|line| line.contains("org:")), "{text}");
}

#[test]
fn the_ladder_is_drawn_on_demand() {
    let stories = &scan()[..2];
    assert!(!shown(stories, narrow()).contains("SYN-SENT"));
    insta::assert_snapshot!(shown(stories, Style { verbosity: 1, ..narrow() }));
}

#[test]
fn flows_that_take_turns_say_whose_ladder_goes_on() {
    let mut reporter = HumanReporter::new(Vec::new(), Style { verbosity: 1, ..narrow() });
    let story = Story::new("probe").begin().at(61).tx(SYN, (0, 0)).at(11_000).rx(RST_ACK, (0, 1));
    for step in 0..3 {
        for flow in [FlowId(0), FlowId(1)] {
            reporter.record(flow, &story.events[step]).unwrap();
        }
    }
    insta::assert_snapshot!(String::from_utf8(reporter.into_inner()).unwrap());
}
