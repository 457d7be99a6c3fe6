//! Every kind of line, and both kinds of summary.

use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use crate::event::{Method, RttEvent};
use crate::report::human::Style;
use crate::report::rtt::LinesReporter;
use crate::report::rtt::testkit::{Becomes, Stage};
use crate::stats::Phase;

/// One of everything.
const EVERYTHING: [Becomes; 10] = [
    Becomes::Open(9_000),
    Becomes::Open(11_102),
    Becomes::Refused(123),
    Becomes::Refused(124),
    Becomes::Lost,
    Becomes::Late(2_301_000),
    Becomes::Ambiguous(1_011_000),
    Becomes::Icmp(3_500),
    Becomes::Unsent,
    Becomes::InFlight,
];

fn style(width: usize) -> Style {
    Style { width, ..Style::default() }
}

fn shown(stage: &mut Stage, style: Style, probes: &[Becomes]) -> String {
    let mut sink = LinesReporter::new(Vec::new(), style);
    stage.begin(&mut sink);
    stage.probes(&mut sink, probes);
    stage.end(&mut sink);
    String::from_utf8(sink.into_inner()).unwrap()
}

/// The header and the probes.
fn above(text: &str) -> String {
    text.split("\n\n").next().unwrap().to_owned()
}

fn eventful() -> Stage {
    let mut stage = Stage::new(Method::Syn, &["example.org:443"]);
    stage.run.warm_up = 1;
    let mut stage = Stage::of(stage.run);
    stage.drops = 3;
    stage.clock_steps = 1;
    stage
}

fn everything(style: Style) -> String {
    let mut stage = eventful();
    let mut sink = LinesReporter::new(Vec::new(), style);
    stage.begin(&mut sink);
    stage.probes(&mut sink, &EVERYTHING);
    stage.duplicate(&mut sink, 1);
    stage.notice(
        &mut sink,
        "the wall clock was set by 3600.000 s; the probes in flight are not timed",
    );
    stage.hear(&mut sink, &RttEvent::Interim);
    stage.end(&mut sink);
    String::from_utf8(sink.into_inner()).unwrap()
}

#[test]
fn every_kind_of_line() {
    insta::assert_snapshot!(everything(style(80)));
}

#[test]
fn every_kind_of_line_on_a_wide_screen_and_at_length() {
    insta::assert_snapshot!(everything(Style { verbosity: 1, ..style(120) }));
}

#[test]
fn colour_adds_nothing_to_what_is_said() {
    let coloured = everything(Style { color: true, ..style(80) });
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, escape)) = rest.split_once('\x1b') {
        plain += before;
        rest = escape.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, everything(style(80)));
    assert!(coloured.contains('\x1b'));
}

#[test]
fn quiet_is_the_summary_alone() {
    let text = everything(Style { quiet: true, ..style(80) });
    let loud = everything(style(80));
    let (_, summary) = loud.split_once("\n\n---").unwrap();
    assert!(text.ends_with(summary), "{text}");
    assert!(!text.contains("seq="), "{text}");
}

#[test]
fn a_close_shows_kernel_and_application_apart() {
    let mut stage = Stage::new(Method::Fin, &["example.org:443"]);
    let probes: Vec<Becomes> = (0..60)
        .map(|i| Becomes::Phases(400 + i * i % 97, 50 + i % 7, Some(1_200 + i * 31)))
        .collect();
    insta::assert_snapshot!(shown(&mut stage, style(80), &probes[..]));
}

#[test]
fn data_is_timed_to_its_acknowledgment() {
    let mut stage = Stage::new(Method::Data, &["example.org:443"]);
    let text = shown(&mut stage, style(80), &[Becomes::Phases(400, 51, None)]);
    assert!(
        text.contains(
            "\nSYN-ACK seq=1 rtt=0.400000 ms ack-of-data=0.051000 ms ttl=52 port=40000\n"
        ),
        "{text}"
    );
}

#[test]
fn each_fixed_port_has_its_figures() {
    let mut stage = Stage::new(Method::Syn, &["example.org:443"]);
    stage.run.fixed_ports = vec![40_000, 40_001, 40_002];
    let mut stage = Stage::of(stage.run);
    let probes: Vec<Becomes> = (0..30)
        .map(|i| {
            if i % 3 == 2 && i > 14 { Becomes::Lost } else { Becomes::Open(400 + i % 3 * 250 + i) }
        })
        .collect();
    insta::assert_snapshot!(shown(&mut stage, Style { quiet: true, ..style(80) }, &probes));
}

/// Five targets, each with its own trouble.
fn several() -> Stage {
    let names = [
        "example.org:443",
        "a-host-with-quite-a-long-name.example.net:8443",
        "192.0.2.3:22",
        "down.example:1",
        "b\u{fc}cher.example\u{202e}\x1b[2J:443",
    ];
    Stage::new(Method::Syn, &names)
}

fn troubles() -> Vec<Becomes> {
    (0..100)
        .map(|i| match (i % 5, i / 5) {
            (0, _) => Becomes::Open(11_102 + i * i % 977),
            (1, 3) => Becomes::Late(2_300_000),
            (1, 7) => Becomes::Lost,
            (1, _) => Becomes::Open(45_000 + i * 40),
            (2, _) => Becomes::Refused(12 + i % 3),
            (3, _) => Becomes::Lost,
            _ => Becomes::Open(230),
        })
        .collect()
}

#[test]
fn several_targets_have_a_line_each() {
    let text = shown(&mut several(), style(80), &troubles());
    let (head, summary) = text.split_once("\n\n---").unwrap();
    let head: Vec<&str> = head.lines().take(8).collect();
    insta::assert_snapshot!(format!("{}\n[…]\n\n---{summary}", head.join("\n")));
}

#[test]
fn several_targets_on_a_wide_screen_in_ascii() {
    let style = Style { unicode: false, quiet: true, ..style(120) };
    let text = shown(&mut several(), style, &troubles());
    assert!(text.is_ascii());
    let table = text.split("\n\n").find(|section| section.contains("  target")).unwrap();
    insta::assert_snapshot!(table);
}

#[test]
fn at_length_each_of_several_targets_has_everything() {
    let style = Style { verbosity: 1, ..style(80) };
    let text = shown(&mut several(), style, &troubles());
    // Four of five have an interval.
    assert_eq!(text.matches("\nhandshake, 20 intervals\n").count(), 3, "{text}");
    assert_eq!(text.matches("probes sent, ").count(), 6, "each of them and all together");
}

#[test]
fn without_an_answer_there_is_no_figure() {
    let mut stage = Stage::new(Method::Syn, &["192.0.2.1:443"]);
    let text = shown(&mut stage, style(80), &[Becomes::Lost, Becomes::Lost]);
    insta::assert_snapshot!(text);
}

#[test]
fn a_run_that_ends_before_its_first_probe_says_so() {
    let mut stage = Stage::new(Method::Syn, &["192.0.2.1:443"]);
    let text = shown(&mut stage, style(80), &[]);
    assert!(text.ends_with("\n0 probes sent\n"), "{text}");
    assert!(!text.contains("NaN") && !text.contains("min"));
}

#[test]
fn what_reads_ping_reads_every_target() {
    let text = shown(&mut several(), style(80), &troubles());
    let footers: Vec<&str> =
        text.lines().filter(|line| line.contains("packets transmitted")).collect();
    assert_eq!(footers.len(), 5);
    assert!(footers.iter().all(|line| line.starts_with("20 packets transmitted, ")), "{footers:?}");
    assert_eq!(text.matches("rtt min/avg/max/mdev = ").count(), 4, "one was never heard of");
}

#[test]
fn a_header_names_the_way_and_the_ports() {
    let head = |ports: &[u16]| {
        let mut stage = eventful();
        stage.run.fixed_ports = ports.to_vec();
        stage.run.count = Some(10);
        above(&shown(&mut Stage::of(stage.run), style(120), &[]))
    };
    assert_eq!(
        head(&[]),
        "RTT example.org (192.0.2.1:443) from 198.51.100.9:* via eth0, syn every 1 s, 10 each after 1 \
         to warm up, kernel clock,\n  guard filter"
    );
    assert!(head(&[5]).contains(":5 via"));
    assert!(head(&[5, 6, 7]).contains(":5-7 via"));
    assert!(head(&[5, 7]).contains(":5,7 via"));
}

fn becomes() -> impl Strategy<Value = Becomes> {
    let micros = 0_u64..400_000_000;
    prop_oneof![
        micros.clone().prop_map(Becomes::Open),
        micros.clone().prop_map(Becomes::Refused),
        (micros.clone(), micros.clone(), prop::option::of(micros.clone()))
            .prop_map(|(rtt, ack, fin)| Becomes::Phases(rtt, ack, fin)),
        micros.clone().prop_map(Becomes::Ambiguous),
        micros.clone().prop_map(Becomes::Icmp),
        Just(Becomes::Lost),
        micros.prop_map(Becomes::Late),
        Just(Becomes::InFlight),
        Just(Becomes::Unsent),
    ]
}

proptest! {
    #[test]
    fn no_line_is_wider_than_the_screen_and_nothing_acts_on_it(
        names in prop::collection::vec("[\\PC\\x1b\\n]{1,70}:443", 1..5),
        probes in prop::collection::vec(becomes(), 0..30),
        width in 80_usize..=120,
        verbosity in 0_u8..2,
        unicode: bool,
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut stage = Stage::new(Method::Fin, &names);
        let text = shown(&mut stage, Style { width, verbosity, unicode, ..Style::default() }, &probes);
        for line in text.lines() {
            // ping's own lines are for programs.
            let is_pings = line.starts_with("--- ") || line.contains("packets transmitted")
                || line.starts_with("rtt min/");
            prop_assert!(is_pings || line.width() <= width, "{line}");
            prop_assert!(!line.chars().any(char::is_control));
        }
        prop_assert!(unicode || text.is_ascii());
        let timed = stage.accounts.iter().any(|account| account.times(Phase::Handshake).is_some());
        prop_assert_eq!(text.contains("rtt min/"), timed);
    }
}
