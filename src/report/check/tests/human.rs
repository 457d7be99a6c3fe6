//! What a person reads.

use crate::event::{CheckEvent, CheckInfo, CutShort, Verdict};
use crate::report::check::testkit::{self, results, story, tell};
use crate::report::check::{Baseline, CheckReporter, Example, explanation, list};
use crate::report::human::Style;

fn styled(width: usize) -> Style {
    Style { width, ..Style::default() }
}

fn told(style: Style, events: &[CheckEvent]) -> String {
    let mut reporter = CheckReporter::new(Vec::new(), style).with_note("A last word.".to_owned());
    tell(&mut reporter, events);
    String::from_utf8(reporter.into_inner()).unwrap()
}

fn fits(text: &str, width: usize) {
    for line in text.lines() {
        assert!(line.chars().count() <= width, "{line}");
    }
}

#[test]
fn a_run_with_every_verdict() {
    let events = story(results(), None);
    let narrow = told(styled(80), &events);
    fits(&narrow, 80);
    insta::assert_snapshot!("at_80", narrow);
    let wide = told(styled(120), &events);
    fits(&wide, 120);
    insta::assert_snapshot!("at_120", wide);
    insta::assert_snapshot!("at_80_in_colour", told(Style { color: true, ..styled(80) }, &events));
    let plain = told(Style { unicode: false, ..styled(80) }, &events);
    assert!(plain.is_ascii());
    insta::assert_snapshot!("at_80_in_ascii", plain);
    insta::assert_snapshot!("quiet", told(Style { quiet: true, ..styled(80) }, &events));
}

#[test]
fn more_is_told_of_every_check_on_demand() {
    let events = story(results(), None);
    let some = told(Style { verbosity: 1, ..styled(80) }, &events);
    fits(&some, 80);
    insta::assert_snapshot!("verbose", some);
    let all = told(Style { verbosity: 2, ..styled(80) }, &events);
    assert!(some.contains("21 more here, which -vv shows") && !all.contains("-vv"));
    assert!(all.contains("5901:6001(100)") && all.contains("\"\\x1b[31mred\""));
    let raw = told(Style { absolute: true, ..styled(80) }, &events);
    assert!(raw.contains("S 3000000000:3000000000(0)"), "{raw}");
}

#[test]
fn nothing_from_outside_acts_on_the_terminal() {
    for verbosity in 0..3 {
        let text = told(Style { verbosity, ..styled(80) }, &story(results(), None));
        let acts = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(acts), "{text:?}");
    }
}

/// Whatever the order in which the verdicts come.
#[test]
fn the_order_of_the_report_is_that_of_the_table() {
    let mut backwards = results();
    backwards.reverse();
    let events = story(backwards, None);
    assert_eq!(told(styled(80), &events), told(styled(80), &story(results(), None)));
    let mut reporter = CheckReporter::new(Vec::new(), styled(80));
    let of = |info: &'static CheckInfo| {
        events.iter().find(|event| matches!(event, CheckEvent::Result(one) if one.info == info))
    };
    tell(&mut reporter, &events[..3]);
    // A later group waits for an earlier one.
    tell(&mut reporter, &[of(&testkit::UNSURE).unwrap().clone()]);
    tell(&mut reporter, &[of(&testkit::FOREIGN).unwrap().clone()]);
    tell(&mut reporter, &[of(&testkit::PASSES).unwrap().clone()]);
    let before = reporter.into_inner();
    let text = String::from_utf8(before).unwrap();
    assert!(!text.contains("tw-unsure") && !text.contains("syn-made-up"), "{text}");
    // None waits for a slow check, whose place is behind all others.
    let mut reporter = CheckReporter::new(Vec::new(), styled(80));
    let is_slow =
        |event: &CheckEvent| matches!(event, CheckEvent::Result(one) if one.info == &testkit::SEEN);
    let end = events.len() - 1;
    let quick: Vec<_> = events[..end].iter().filter(|one| !is_slow(one)).cloned().collect();
    tell(&mut reporter, &quick);
    let text = String::from_utf8(reporter.into_inner()).unwrap();
    assert!(text.contains("tw-foreign") && !text.contains("fin-slow"), "{text}");
}

#[test]
fn a_run_that_is_cut_short_says_so_with_what_there_is() {
    let some: Vec<_> = results().into_iter().take(3).collect();
    insta::assert_snapshot!(
        "interrupted",
        told(styled(80), &story(some.clone(), Some(CutShort::Interrupted)))
    );
    let died = Some(CutShort::Died(vec!["fin-made-up", "fin-warned"]));
    let text = told(styled(80), &story(some.clone(), died.clone()));
    let (findings, rest) = text.split_once("FINDINGS\n").unwrap();
    assert!(findings.contains("fin-warned"));
    insta::assert_snapshot!("died", rest.lines().take(8).collect::<Vec<_>>().join("\n"));
    let quiet = told(Style { quiet: true, ..styled(80) }, &story(some, died));
    assert!(quiet.starts_with("FAIL  the target stopped answering"), "{quiet}");
    let nobody = Some(CutShort::NoTarget("it does not answer a SYN".to_owned()));
    let mut events = story(Vec::new(), nobody);
    events.retain(|event| matches!(event, CheckEvent::Run(_) | CheckEvent::End(_)));
    insta::assert_snapshot!("nobody", told(styled(80), &events));
}

const EARLIER: &str = r#"{"v":1,"type":"run","command":"check"}
{"v":1,"type":"path"}
{"v":1,"type":"check","id":"syn-made-up","verdict":"fail"}
{"v":1,"type":"check","id":"syn-known","verdict":"pass"}
{"v":1,"type":"check","id":"fin-made-up","verdict":"pass"}
{"v":1,"type":"check","id":"fin-warned","verdict":"warn"}
{"v":1,"type":"check","id":"tw-unsure","verdict":"pass"}
{"v":1,"type":"check","id":"tw-foreign","verdict":"info"}
{"v":1,"type":"check","id":"fin-old","verdict":"pass"}
{"v":1,"type":"summary"}
"#;

#[test]
fn what_changed_is_told_with_the_worst_first() {
    let baseline = Baseline::read("'old.jsonl'", EARLIER).unwrap();
    let report = |events: &[CheckEvent]| {
        let mut reporter = CheckReporter::new(Vec::new(), Style { quiet: true, ..styled(80) })
            .against(Some(baseline.clone()));
        tell(&mut reporter, events);
        String::from_utf8(reporter.into_inner()).unwrap()
    };
    let changes = |text: String| {
        let from = text.find("CHANGES").unwrap();
        text[from..].to_owned()
    };
    insta::assert_snapshot!("changes", changes(report(&story(results(), None))));
    let some: Vec<_> = results().into_iter().take(1).collect();
    let text = changes(report(&story(some, Some(CutShort::Deadline))));
    assert!(text.contains("not run             syn-made-up: was fail"), "{text}");
    assert!(!text.contains("fin-warned"), "{text}");
}

#[test]
fn verdicts_are_compared_by_what_they_mean() {
    use Verdict as V;
    let kind = |was: Verdict, now: Verdict| {
        let line = format!(
            "{{\"v\":1,\"type\":\"run\",\"command\":\"check\"}}\n\
             {{\"v\":1,\"type\":\"check\",\"id\":\"syn-made-up\",\"verdict\":\"{}\"}}",
            was.name()
        );
        let baseline = Baseline::read("x", &line).unwrap();
        let verdicts = [(testkit::PASSES.id, now)].into_iter().collect();
        baseline.changes(&[&testkit::PASSES], &verdicts).first().map(|change| change.kind.name())
    };
    for (was, now, expected) in [
        (V::Pass, V::Pass, None),
        (V::Pass, V::Fail, Some("new-failure")),
        (V::Inconclusive, V::Fail, Some("new-failure")),
        (V::Pass, V::Warn, Some("worse")),
        (V::Inconclusive, V::Warn, Some("worse")),
        (V::Pass, V::Tolerated, Some("worse")),
        (V::Fail, V::Warn, Some("fixed")),
        (V::Fail, V::Pass, Some("fixed")),
        (V::Fail, V::Inconclusive, Some("newly-inconclusive")),
        (V::Inconclusive, V::Pass, Some("changed")),
        (V::Fail, V::NotApplicable, Some("changed")),
    ] {
        assert_eq!(kind(was, now), expected, "{was:?} {now:?}");
    }
}

#[test]
fn a_baseline_that_is_none_is_refused_in_one_line() {
    let why = |text: &str| Baseline::read("'x'", text).unwrap_err();
    assert_eq!(why(""), "'x' is no report of 'check --json': it has no run");
    assert_eq!(why("PASS fin"), "'x' is no report of 'check --json': line 1 is no record of it");
    assert_eq!(
        why("{\"v\":1,\"type\":\"run\",\"command\":\"rtt\"}"),
        "'x' is no report of 'check --json': line 1 is of another command"
    );
    assert_eq!(
        why("{\"v\":2,\"type\":\"run\",\"command\":\"check\"}"),
        "'x' is no report of 'check --json': line 1 has another schema version"
    );
    let run = "{\"v\":1,\"type\":\"run\",\"command\":\"check\"}\n";
    assert_eq!(why(run), "'x' has no verdict to compare with");
    assert_eq!(
        why(&format!("{run}{{\"v\":1,\"type\":\"check\",\"id\":\"a\",\"verdict\":\"good\"}}")),
        "'x' is no report of 'check --json': line 2 has no verdict that is known"
    );
}

#[test]
fn checks_are_listed_and_explained() {
    let text = list(&testkit::planned(), &styled(80));
    fits(&text, 80);
    insta::assert_snapshot!("list", text);
    let example = Example {
        result: results().into_iter().find(|one| one.info == &testkit::FAILS).unwrap(),
        server: "a server that echoes",
        unsuitable: vec![("a server that closes first", "it has closed".to_owned())],
    };
    let text = explanation(&testkit::FAILS, Some(&example), &styled(80));
    fits(&text, 80);
    insta::assert_snapshot!("explanation", text);
}
