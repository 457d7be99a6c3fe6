//! The table: a row for each check, group by group.

use super::words::{self, VERDICT, clause};
use super::{figures, ladder};
use crate::event::{CheckInfo, CheckResult, Verdict};
use crate::report::human::paint::{Paint, Span, blank, wrap, wrap_text};
use crate::report::human::{Lines, Style};

/// Columns of the longest id and of the longest clause to which shorter ones are filled up.
const ID: usize = 22;
const CLAUSE: usize = 14;

/// The widths of the columns, the same for all groups of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Columns {
    id: usize,
    clause: usize,
}

impl Columns {
    pub(super) fn of(checks: &[&'static CheckInfo]) -> Self {
        let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        Self {
            id: widest(&mut checks.iter().map(|info| info.id.len())).clamp(5, ID),
            clause: widest(&mut checks.iter().map(|info| clause(info).len())).clamp(3, CLAUSE),
        }
    }

    /// Where the text of a row begins.
    fn text(self) -> usize {
        2 + VERDICT + 2 + self.id + 2 + self.clause + 2
    }
}

/// The names of the columns.
pub(super) fn heading(columns: Columns) -> Lines {
    let Columns { id, clause } = columns;
    let text = format!("  {:<VERDICT$}  {:<id$}  {:<clause$}  WHAT CAME", "", "CHECK", "RFC");
    vec![Vec::new(), vec![Span::new(text, Paint::Dim)]]
}

/// A group that is complete, or as far as it came.
pub(super) fn group(
    title: String,
    results: &[&CheckResult],
    columns: Columns,
    style: &Style,
) -> Lines {
    let mut lines = vec![vec![Span::new(title, Paint::Bold)]];
    for result in results {
        lines.extend(row(result, columns, style));
    }
    lines
}

fn row(result: &CheckResult, columns: Columns, style: &Style) -> Lines {
    let verdict = result.finding.verdict;
    let word = words::verdict(verdict);
    let Columns { id, clause: clause_columns } = columns;
    let clause = clause(result.info);
    let mut first = vec![
        blank(2),
        Span::new(format!("{:<VERDICT$}", word.text), word.paint),
        Span::plain(format!("  {:<id$}", result.info.id)),
        Span::new(format!("  {clause:<clause_columns$}  "), Paint::Dim),
    ];
    let room = style.columns().saturating_sub(columns.text());
    let paint = if verdict == Verdict::NotApplicable { Paint::Dim } else { Paint::Plain };
    let mut lines: Lines = Vec::new();
    for (number, row) in wrap_text(&words::safe(&result.finding.observed, style), paint, room)
        .into_iter()
        .enumerate()
    {
        let mut line =
            if number == 0 { std::mem::take(&mut first) } else { vec![blank(columns.text())] };
        line.extend(row);
        lines.push(line);
    }
    let indent = 2 + VERDICT + 2;
    // What was expected of a PASS is what came.
    if verdict >= Verdict::Tolerated || style.verbosity > 0 {
        lines.extend(words::entry(
            "expected",
            &words::safe(result.info.expect, style),
            indent,
            style,
        ));
    }
    if style.verbosity > 0 {
        let items = figures::items(&result.finding.figures, style);
        for row in wrap(items, ", ", style.columns() - indent) {
            let mut line = vec![blank(indent)];
            line.extend(row);
            lines.push(line);
        }
        // Those of failures and warnings stand among the findings.
        if verdict < Verdict::Warn {
            lines.extend(ladder::lines(&result.trace, indent, style));
        }
    }
    lines
}
