//! JUnit XML, for continuous integration.
//!
//! A suite for each group, a case for each check. A failure is a `failure` of type `MUST`; what is
//! inconclusive, not applicable or was not run is `skipped`; JUnit knows no warnings, so that these
//! stand in the case's `system-out`, as the segments of failures do. A target that died or did not
//! answer is a failed case of a suite of its own, and so is a host of ours that disturbed the run.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::words::{cut_short, home, in_words, place, text};
use super::{Verdicts, ladder};
use crate::event::{
    CheckEnd, CheckEvent, CheckInfo, CheckResult, CheckRun, CheckSink, CutShort, Group, Verdict,
};
use crate::report::human::Style;
use crate::report::sanitize::{self, Charset};

/// Gathers a run and hands over the whole document at its end.
pub struct JunitSink<F> {
    write: F,
    run: Option<CheckRun>,
    results: BTreeMap<&'static str, CheckResult>,
}

impl<F: FnMut(&[u8]) -> io::Result<()>> JunitSink<F> {
    /// Hands the document to `write`, once.
    pub const fn new(write: F) -> Self {
        Self { write, run: None, results: BTreeMap::new() }
    }
}

impl<F: FnMut(&[u8]) -> io::Result<()>> CheckSink for JunitSink<F> {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        match event {
            CheckEvent::Run(run) => self.run = Some(run.clone()),
            CheckEvent::Result(result) => {
                self.results.insert(result.info.id, (**result).clone());
            }
            CheckEvent::End(end) => {
                if let Some(run) = self.run.take() {
                    return (self.write)(&document(&run, &self.results, end)?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl<F> std::fmt::Debug for JunitSink<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JunitSink").field("results", &self.results.len()).finish_non_exhaustive()
    }
}

/// Tests, failures and skipped ones of a suite.
#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    skipped: usize,
}

impl Counts {
    fn of(checks: &[&'static CheckInfo], verdicts: &Verdicts) -> Self {
        let mut counts = Self { tests: checks.len(), ..Self::default() };
        for info in checks {
            match verdicts.get(info.id) {
                Some(Verdict::Fail) => counts.failures += 1,
                None | Some(Verdict::Inconclusive | Verdict::NotApplicable) => counts.skipped += 1,
                Some(_) => {}
            }
        }
        counts
    }

    fn on(&self, element: &mut BytesStart<'_>, time: Duration) {
        element.push_attribute(("tests", self.tests.to_string().as_str()));
        element.push_attribute(("failures", self.failures.to_string().as_str()));
        element.push_attribute(("errors", "0"));
        element.push_attribute(("skipped", self.skipped.to_string().as_str()));
        element.push_attribute(("time", seconds(time).as_str()));
    }
}

/// What made the run worthless from some moment on.
fn lost(end: &CheckEnd) -> Option<&CutShort> {
    end.cut_short.as_ref().filter(|why| !matches!(why, CutShort::Interrupted | CutShort::Deadline))
}

fn document(
    run: &CheckRun,
    results: &BTreeMap<&'static str, CheckResult>,
    end: &CheckEnd,
) -> io::Result<Vec<u8>> {
    let verdicts: Verdicts =
        results.values().map(|result| (result.info.id, result.finding.verdict)).collect();
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut root = BytesStart::new("testsuites");
    root.push_attribute(("name", "shakedown check"));
    let mut all = Counts::of(&run.checks, &verdicts);
    if lost(end).is_some() {
        all.tests += 1;
        all.failures += 1;
    }
    all.on(&mut root, end.elapsed);
    xml.write_event(Event::Start(root))?;
    if let Some(why) = lost(end) {
        target_case(&mut xml, run, why)?;
    }
    for group in Group::ALL {
        let checks: Vec<&'static CheckInfo> =
            run.checks.iter().copied().filter(|info| home(info) == Some(group)).collect();
        if checks.is_empty() {
            continue;
        }
        let time = checks.iter().filter_map(|info| results.get(info.id)).map(|one| one.elapsed);
        let mut suite = suite(group.name(), run);
        Counts::of(&checks, &verdicts).on(&mut suite, time.sum());
        xml.write_event(Event::Start(suite))?;
        for info in checks {
            case(&mut xml, group, info, results.get(info.id), end)?;
        }
        xml.write_event(Event::End(BytesEnd::new("testsuite")))?;
    }
    xml.write_event(Event::End(BytesEnd::new("testsuites")))?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn suite(name: &str, run: &CheckRun) -> BytesStart<'static> {
    let mut suite = BytesStart::new("testsuite");
    suite.push_attribute(("name", name));
    // An address: names may hold what XML cannot.
    suite.push_attribute(("hostname", run.target.to_string().as_str()));
    suite
}

fn target_case(xml: &mut Writer<Vec<u8>>, run: &CheckRun, why: &CutShort) -> io::Result<()> {
    let mut element = suite("target", run);
    Counts { tests: 1, failures: 1, skipped: 0 }.on(&mut element, Duration::ZERO);
    xml.write_event(Event::Start(element))?;
    let mut case = BytesStart::new("testcase");
    case.push_attribute(("classname", "shakedown.check.target"));
    case.push_attribute(("name", "answers"));
    xml.write_event(Event::Start(case))?;
    let mut failure = BytesStart::new("failure");
    failure.push_attribute(("type", "target"));
    failure.push_attribute(("message", plain(&cut_short(why)).as_str()));
    xml.write_event(Event::Empty(failure))?;
    xml.write_event(Event::End(BytesEnd::new("testcase")))?;
    xml.write_event(Event::End(BytesEnd::new("testsuite")))
}

fn case(
    xml: &mut Writer<Vec<u8>>,
    group: Group,
    info: &CheckInfo,
    result: Option<&CheckResult>,
    end: &CheckEnd,
) -> io::Result<()> {
    let mut case = BytesStart::new("testcase");
    case.push_attribute(("classname", format!("shakedown.check.{}", group.name()).as_str()));
    case.push_attribute(("name", info.id));
    let time = result.map_or(Duration::ZERO, |result| result.elapsed);
    case.push_attribute(("time", seconds(time).as_str()));
    xml.write_event(Event::Start(case))?;
    match result {
        None => {
            let why = end.cut_short.as_ref().map(cut_short).unwrap_or_default();
            skipped(xml, &format!("not run: {why}"))?;
        }
        Some(result) => outcome(xml, result)?,
    }
    xml.write_event(Event::End(BytesEnd::new("testcase")))
}

fn outcome(xml: &mut Writer<Vec<u8>>, result: &CheckResult) -> io::Result<()> {
    let observed = &result.finding.observed;
    let verdict = result.finding.verdict;
    match verdict {
        Verdict::Fail => {
            let mut failure = BytesStart::new("failure");
            failure.push_attribute(("type", result.info.level.name()));
            failure.push_attribute(("message", plain(observed).as_str()));
            xml.write_event(Event::Start(failure))?;
            xml.write_event(Event::Text(BytesText::new(&shown(result))))?;
            xml.write_event(Event::End(BytesEnd::new("failure")))
        }
        Verdict::Inconclusive | Verdict::NotApplicable => {
            skipped(xml, &format!("{}: {observed}", in_words(verdict)))
        }
        _ => {
            xml.write_event(Event::Start(BytesStart::new("system-out")))?;
            let told = if verdict == Verdict::Warn {
                shown(result)
            } else {
                plain(&format!("{}: {observed}", in_words(verdict)))
            };
            xml.write_event(Event::Text(BytesText::new(&told)))?;
            xml.write_event(Event::End(BytesEnd::new("system-out")))
        }
    }
}

fn skipped(xml: &mut Writer<Vec<u8>>, why: &str) -> io::Result<()> {
    let mut skipped = BytesStart::new("skipped");
    skipped.push_attribute(("message", plain(why).as_str()));
    xml.write_event(Event::Empty(skipped))
}

/// What was expected, what came, and the segments that show it.
fn shown(result: &CheckResult) -> String {
    let rule = result.info.rules.first().map(place).unwrap_or_default();
    let head = [
        format!("{}: {}", in_words(result.finding.verdict), result.finding.observed),
        format!("expected: {}", result.info.expect),
        format!("rule: {rule} ({})", result.info.level.name()),
    ];
    let head: String = head.iter().map(|line| plain(line) + "\n").collect();
    // Whole, in ASCII: XML allows no control characters, and a ladder has escaped them.
    let style = Style { unicode: false, width: 120, verbosity: 2, ..Style::default() };
    format!("{head}{}", text(&ladder::lines(&result.trace, 0, &style), &style))
}

/// One line without characters that XML does not allow.
fn plain(line: &str) -> String {
    sanitize::text(line, Charset::Ascii)
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}
