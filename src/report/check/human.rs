//! What a person reads: the table as its groups complete, then findings and counts.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::table::{self, Columns};
use super::words::{home, text};
use super::{Baseline, Verdicts, figures, head, summary};
use crate::event::{
    CheckEnd, CheckEvent, CheckInfo, CheckResult, CheckRun, CheckSink, Cost, CutShort, Group,
};
use crate::report::human::paint::{Paint, Span};
use crate::report::human::{Lines, Style, named};

/// Prints a run for a person: each group of the table when all of it and of those before it is
/// known, so that two runs are printed in the same order. Slow checks come behind all others, so that
/// nothing waits for them.
#[derive(Debug)]
pub struct CheckReporter<W> {
    out: W,
    style: Style,
    baseline: Option<Baseline>,
    /// A sentence for the very end.
    note: String,
    /// The target as the last lines call it.
    target: String,
    planned: Vec<&'static CheckInfo>,
    columns: Columns,
    /// Groups that are still to be printed, in order; whether their quick checks or their slow ones.
    ahead: Vec<Part>,
    results: BTreeMap<&'static str, CheckResult>,
}

/// The quick checks of a group, or the slow ones.
type Part = (Group, bool);

impl<W: Write> CheckReporter<W> {
    /// Writes to `out` in `style`: [`Style::verbosity`] 1 adds to every check what was expected and
    /// its segments, 2 leaves nothing out of those; [`Style::quiet`] leaves failures and counts.
    pub fn new(out: W, style: Style) -> Self {
        if style.color {
            // The crate would ask the environment again; whoever made the style has decided.
            colored::control::set_override(true);
        }
        Self {
            out,
            style,
            baseline: None,
            note: String::new(),
            target: String::new(),
            planned: Vec::new(),
            columns: Columns::default(),
            ahead: Vec::new(),
            results: BTreeMap::new(),
        }
    }

    /// Also says what is otherwise than in an earlier run.
    #[must_use]
    pub fn against(mut self, baseline: Option<Baseline>) -> Self {
        self.baseline = baseline;
        self
    }

    /// Says `note` at the very end, unless [`Style::quiet`].
    #[must_use]
    pub fn with_note(mut self, note: String) -> Self {
        self.note = note;
        self
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn lines(&mut self, event: &CheckEvent) -> Lines {
        let style = self.style;
        match event {
            CheckEvent::Run(run) => self.begin(run),
            CheckEvent::Path(path) if !style.quiet => head::path(path, &style),
            CheckEvent::Server(server) if !style.quiet => {
                let mut lines = head::server(server, &style);
                lines.extend(table::heading(self.columns));
                lines
            }
            CheckEvent::Result(result) => {
                self.results.insert(result.info.id, (**result).clone());
                self.complete_groups()
            }
            CheckEvent::End(end) => self.end(end),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, run: &CheckRun) -> Lines {
        self.planned.clone_from(&run.checks);
        self.columns = Columns::of(&run.checks);
        self.target = named(&run.name, run.target, true, &self.style).collect::<Vec<_>>().join(" ");
        self.ahead = [false, true]
            .into_iter()
            .flat_map(|slow| Group::ALL.map(|group| (group, slow)))
            .filter(|part| run.checks.iter().any(|info| is_of(info, *part)))
            .collect();
        if self.style.quiet { Vec::new() } else { head::run(run, &self.style) }
    }

    /// The planned checks of a part.
    fn members(&self, part: Part) -> impl Iterator<Item = &'static CheckInfo> + use<'_, W> {
        self.planned.iter().copied().filter(move |info| is_of(info, part))
    }

    /// The groups that can be printed now.
    fn complete_groups(&mut self) -> Lines {
        let mut lines = Lines::new();
        while let Some(part) = self.ahead.first().copied() {
            if !self.members(part).all(|info| self.results.contains_key(info.id)) {
                break;
            }
            self.ahead.remove(0);
            lines.extend(self.part(part));
        }
        lines
    }

    fn part(&self, part: Part) -> Lines {
        let results: Vec<&CheckResult> =
            self.members(part).filter_map(|info| self.results.get(info.id)).collect();
        if self.style.quiet || results.is_empty() {
            return Vec::new();
        }
        let (group, slow) = part;
        let title = format!("{}{}", group.title(), if slow { " (slow)" } else { "" });
        table::group(title, &results, self.columns, &self.style)
    }

    fn end(&mut self, end: &CheckEnd) -> Lines {
        let style = self.style;
        // What an interruption left incomplete is shown as far as it came.
        let mut lines: Lines =
            std::mem::take(&mut self.ahead).into_iter().flat_map(|part| self.part(part)).collect();
        let results: Vec<&CheckResult> =
            self.planned.iter().filter_map(|info| self.results.get(info.id)).collect();
        if !style.quiet {
            lines.extend(figures::section(results.iter().copied(), &style));
        }
        lines.extend(summary::findings(&results, end, &style));
        if let Some(baseline) = &self.baseline {
            let verdicts: Verdicts =
                results.iter().map(|result| (result.info.id, result.finding.verdict)).collect();
            let changes = baseline.changes(&self.planned, &verdicts);
            let compared = baseline.compared(&verdicts);
            lines.extend(summary::changes(&changes, baseline.name(), compared, &style));
        }
        lines.extend(summary::closing(end, &self.target, &style));
        let nobody = matches!(end.cut_short, Some(CutShort::NoTarget(_)));
        if !style.quiet && !nobody && !self.note.is_empty() {
            lines.push(vec![Span::new(self.note.as_str(), Paint::Dim)]);
        }
        if style.quiet && lines.first().is_some_and(Vec::is_empty) {
            lines.remove(0);
        }
        lines
    }
}

/// Whether a check belongs to a part.
fn is_of(info: &CheckInfo, (group, slow): Part) -> bool {
    home(info) == Some(group) && (info.cost == Cost::Slow) == slow
}

impl<W: Write> CheckSink for CheckReporter<W> {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        let lines = self.lines(event);
        if lines.is_empty() {
            return Ok(());
        }
        self.out.write_all(text(&lines, &self.style).as_bytes())?;
        self.out.flush()
    }
}
