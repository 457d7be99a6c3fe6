//! The Test Anything Protocol, version 14.
//!
//! Test points come in the order of the table. A failure is `not ok`; a warning is `not ok` with the
//! directive TODO, which harnesses count as no failure; what is inconclusive, not applicable or was
//! not run is `ok` with the directive SKIP. Diagnostics are YAML; its texts are JSON strings, which
//! YAML takes. A run without a target, whose target died, or
//! which this host disturbed, bails out.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::ladder::{in_order, one_line};
use super::words::{cut_short, in_words, place};
use super::{Baseline, Verdicts};
use crate::event::{
    CheckEnd, CheckEvent, CheckInfo, CheckResult, CheckSink, CutShort, Step, Verdict,
};
use crate::net::Dir;
use crate::report::json::ascii;

/// Prints a run for a test harness.
#[derive(Debug)]
pub struct TapReporter<W> {
    out: W,
    /// Whether the segments of failures and warnings are told.
    evidence: bool,
    baseline: Option<Baseline>,
    planned: Vec<&'static CheckInfo>,
    /// Test points that were printed.
    printed: usize,
    results: BTreeMap<&'static str, CheckResult>,
}

impl<W: Write> TapReporter<W> {
    /// Writes to `out`, with the segments of failures and warnings or without.
    pub const fn new(out: W, evidence: bool) -> Self {
        let results = BTreeMap::new();
        Self { out, evidence, baseline: None, planned: Vec::new(), printed: 0, results }
    }

    /// Also says, in comments, what is otherwise than in an earlier run.
    #[must_use]
    pub fn against(mut self, baseline: Option<Baseline>) -> Self {
        self.baseline = baseline;
        self
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// The test points that can be printed in order; at the end all of them.
    fn points(&mut self, ended: Option<&CheckEnd>) -> io::Result<String> {
        let mut text = String::new();
        while let Some(info) = self.planned.get(self.printed).copied() {
            let number = self.printed + 1;
            match (self.results.get(info.id), ended) {
                (Some(result), _) => text += &self.point(number, result)?,
                (None, Some(end)) => {
                    let why = end.cut_short.as_ref().map(cut_short).unwrap_or_default();
                    let title = described(info);
                    text += &format!("ok {number} - {title} # SKIP not run: {}\n", escaped(&why));
                }
                (None, None) => break,
            }
            self.printed += 1;
        }
        Ok(text)
    }

    fn point(&self, number: usize, result: &CheckResult) -> io::Result<String> {
        let verdict = result.finding.verdict;
        let observed = escaped(&result.finding.observed);
        let (ok, directive) = match verdict {
            Verdict::Fail => ("not ok", String::new()),
            Verdict::Warn => ("not ok", format!(" # TODO a SHOULD is not met: {observed}")),
            Verdict::Inconclusive | Verdict::NotApplicable => {
                ("ok", format!(" # SKIP {}: {observed}", in_words(verdict)))
            }
            Verdict::Pass | Verdict::Info | Verdict::Tolerated => ("ok", String::new()),
        };
        let mut text = format!("{ok} {number} - {}{directive}\n", described(result.info));
        text += "  ---\n";
        let mut field = |name: &str, value: &str| -> io::Result<()> {
            text += &format!("  {name}: {}\n", quoted(value)?);
            Ok(())
        };
        field("verdict", verdict.name())?;
        field("level", result.info.level.name())?;
        field("rule", &result.info.rules.first().map(place).unwrap_or_default())?;
        field("expected", result.info.expect)?;
        field("observed", &result.finding.observed)?;
        if verdict >= Verdict::Warn && self.evidence {
            text += "  evidence:\n";
            for line in evidence(result) {
                text += &format!("    - {}\n", quoted(&line)?);
            }
        }
        text += "  ...\n";
        Ok(text)
    }

    fn end(&mut self, end: &CheckEnd) -> io::Result<String> {
        let bails = matches!(
            end.cut_short,
            Some(CutShort::NoTarget(_) | CutShort::Died(_) | CutShort::LocalInterference)
        );
        let mut text =
            if bails && self.results.is_empty() { String::new() } else { self.points(Some(end))? };
        if let Some(baseline) = &self.baseline {
            let verdicts: Verdicts =
                self.results.values().map(|one| (one.info.id, one.finding.verdict)).collect();
            for change in baseline.changes(&self.planned, &verdicts) {
                let name = |verdict: Option<Verdict>| verdict.map_or("absent", in_words);
                let (was, now) = (name(change.was), name(change.now));
                let (kind, id) = (change.kind.words(), escaped(&change.id));
                text += &format!("# {kind}: {id}: {now}, was {was}\n");
            }
        }
        if let (true, Some(why)) = (bails, &end.cut_short) {
            text += &format!("Bail out! {}\n", escaped(&cut_short(why)));
        }
        Ok(text)
    }
}

impl<W: Write> CheckSink for TapReporter<W> {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        let text = match event {
            CheckEvent::Run(run) => {
                self.planned.clone_from(&run.checks);
                format!("TAP version 14\n1..{}\n", run.checks.len())
            }
            CheckEvent::Result(result) => {
                self.results.insert(result.info.id, (**result).clone());
                self.points(None)?
            }
            CheckEvent::End(end) => self.end(end)?,
            _ => return Ok(()),
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

fn described(info: &CheckInfo) -> String {
    escaped(&format!("{}: {}", info.id, info.title))
}

/// On one line, in ASCII, and with nothing that could be taken for a directive.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '#' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            other => out.extend(other.escape_unicode()),
        }
    }
    out
}

/// A JSON string in ASCII, which is YAML as well.
fn quoted(text: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&ascii::to_vec(&text)?).into_owned())
}

/// Each step in a line: when, which way, what.
fn evidence(result: &CheckResult) -> Vec<String> {
    let trace = &result.trace;
    let entries = in_order(trace);
    let Some(first) = entries.first().copied() else { return Vec::new() };
    let line = |entry: &crate::event::Entry| {
        let way = match entry.step {
            Step::Segment { dir: Dir::Tx, .. } | Step::Icmp { dir: Dir::Tx, .. } => ">",
            Step::Segment { .. } | Step::Icmp { .. } => "<",
            Step::Silence(_) => ".",
        };
        let at = entry.stamp.at.since(first.stamp.at).as_secs_f64();
        let ends = trace.conversations.get(entry.conversation);
        let text = one_line(&entry.step, ends);
        let label = if entry.label.is_empty() { "" } else { "  ; " };
        format!("{at:.6} {} {way} {text}{label}{}", entry.conversation, entry.label)
    };
    entries.into_iter().map(line).collect()
}
