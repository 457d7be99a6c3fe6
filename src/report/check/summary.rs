//! The end of a report: findings, gravest first, what changed, and the counts.

use std::collections::BTreeMap;

use super::words::{self, VERDICT, cut_short, in_words};
use super::{Change, ChangeKind, ladder};
use crate::event::{CheckEnd, CheckResult, CutShort, Verdict};
use crate::report::human::paint::{Paint, Span, blank, wrap, wrap_text};
use crate::report::human::{Lines, Style, hang};
use crate::report::units::{count, duration};

/// What is worth reading first: a target that died, then failures, then warnings, each with the
/// segments that show it. With [`Style::quiet`] neither warnings nor segments.
pub(super) fn findings(results: &[&CheckResult], end: &CheckEnd, style: &Style) -> Lines {
    let mut lines = Lines::new();
    if let Some(why @ CutShort::Died(_)) = &end.cut_short {
        let text = format!("FAIL  {}", cut_short(why));
        lines.push(Vec::new());
        lines
            .extend(hang(wrap_text(&text, Paint::Bad, style.columns() - VERDICT - 2), VERDICT + 2));
        let advice = "It answered neither a SYN nor its repetitions: see whether it is still up.";
        lines.extend(indented(wrap_text(advice, Paint::Plain, style.columns() - VERDICT - 2)));
    }
    let least = if style.quiet { Verdict::Fail } else { Verdict::Warn };
    for verdict in [Verdict::Fail, Verdict::Warn] {
        let these = results.iter().filter(|result| result.finding.verdict == verdict);
        for result in these.filter(|_| verdict >= least) {
            lines.push(Vec::new());
            lines.extend(finding(result, style));
        }
    }
    if !lines.is_empty() && !style.quiet {
        lines.insert(0, vec![Span::new("FINDINGS", Paint::Bold)]);
        lines.insert(0, Vec::new());
    } else if style.quiet && !lines.is_empty() {
        // Nothing stands above from which it had to be kept apart.
        lines.remove(0);
    }
    lines
}

fn indented(lines: Lines) -> Lines {
    lines
        .into_iter()
        .map(|mut line| {
            line.insert(0, blank(VERDICT + 2));
            line
        })
        .collect()
}

fn finding(result: &CheckResult, style: &Style) -> Lines {
    let indent = VERDICT + 2;
    let info = result.info;
    let word = words::verdict(result.finding.verdict);
    let mut lines = vec![vec![
        Span::new(format!("{:<indent$}", word.text), word.paint),
        Span::new(info.id, Paint::Bold),
        Span::plain(format!("  {}", info.title)),
    ]];
    let entry =
        |word: &str, text: &str| words::entry(word, &words::safe(text, style), indent, style);
    lines.extend(entry("expected", info.expect));
    lines.extend(entry("came", &result.finding.observed));
    lines.extend(entry("matters", info.why));
    for rule in info.rules.iter().take(1) {
        lines.extend(entry("rule", &format!("{}, {}", words::place(rule), info.level.name())));
        lines.extend(entry("", &words::url(rule)));
    }
    if result.runs > 1 {
        let times = format!("{} times of {}, each on new ports", result.runs, result.runs);
        lines.extend(entry("seen", &times));
    }
    if !style.quiet {
        lines.extend(ladder::lines(&result.trace, indent, style));
    }
    lines
}

/// Checks that this run does not have are named up to so many.
const FEW: usize = 5;

/// What is otherwise than in an earlier run.
pub(super) fn changes(changes: &[Change], name: &str, compared: usize, style: &Style) -> Lines {
    let name = style.safe(name);
    let compared = count(compared as u64, "check");
    if changes.is_empty() {
        let text = format!("No change since {name}: {compared} compared.");
        return vec![Vec::new(), vec![Span::new(text, Paint::Good)]];
    }
    let heading = format!("CHANGES since {name}: {compared} compared");
    let mut lines = vec![Vec::new()];
    lines.extend(hang(wrap_text(&heading, Paint::Bold, style.columns() - 2), 2));
    let kinds = ChangeKind::ALL.iter().filter(|kind| changes.iter().any(|one| one.kind == **kind));
    for kind in kinds {
        let paint = match kind {
            ChangeKind::NewFailure => Paint::Bad,
            ChangeKind::Worse | ChangeKind::Inconclusive => Paint::Warn,
            ChangeKind::Fixed => Paint::Good,
            _ => Paint::Plain,
        };
        let these: Vec<&Change> = changes.iter().filter(|change| change.kind == *kind).collect();
        // Whoever runs a few of many knows that the others are missing.
        if *kind == ChangeKind::Gone && these.len() > FEW {
            let text = format!("{} of the earlier run", count(these.len() as u64, "check"));
            lines.push(change_line(*kind, paint, text));
            continue;
        }
        for change in these {
            let text = match (change.was, change.now) {
                (Some(was), Some(now)) => format!("{}, was {}", in_words(now), in_words(was)),
                (None, Some(now)) => in_words(now).to_owned(),
                (Some(was), None) => format!("was {}", in_words(was)),
                (None, None) => String::new(),
            };
            lines.push(change_line(*kind, paint, format!("{}: {text}", style.safe(&change.id))));
        }
    }
    lines
}

fn change_line(kind: ChangeKind, paint: Paint, text: String) -> Vec<Span> {
    vec![blank(2), Span::new(format!("{:<18}  ", kind.words()), paint), Span::plain(text)]
}

/// Counts, gravest first, and why the run is not complete where it is not.
pub(super) fn closing(end: &CheckEnd, target: &str, style: &Style) -> Lines {
    let mut lines = vec![Vec::new()];
    let failed: BTreeMap<Verdict, u32> = end.counts.iter().copied().collect();
    if let Some(why) = &end.cut_short {
        let text = match why {
            CutShort::NoTarget(why) => {
                format!("{target} cannot be checked: {}.", words::safe(why, style))
            }
            why => format!("Not complete: {}.", cut_short(why)),
        };
        let lines_of = wrap_text(&text, Paint::Bad, style.columns() - 2);
        lines.extend(hang(lines_of, 2));
        if matches!(why, CutShort::NoTarget(_)) && failed.is_empty() {
            return lines;
        }
    }
    let done: u32 = failed.values().sum();
    let head =
        format!("{} in {}:", count(done.into(), "check"), duration(end.elapsed, style.unicode));
    let mut items: Vec<Span> = failed
        .iter()
        .rev()
        .map(|(verdict, number)| {
            let paint = match verdict {
                Verdict::Fail => Paint::Bad,
                Verdict::Warn | Verdict::Inconclusive => Paint::Warn,
                Verdict::Pass => Paint::Good,
                _ => Paint::Plain,
            };
            Span::new(format!("{number} {}", in_words(*verdict)), paint)
        })
        .collect();
    if end.not_run > 0 {
        items.push(Span::new(format!("{} not run", end.not_run), Paint::Warn));
    }
    if items.is_empty() {
        items.push(Span::plain("nothing"));
    }
    let traffic = format!("{} sent, {} received", count(end.sent, "segment"), end.received);
    let mut rows = wrap(items, ", ", style.columns().saturating_sub(head.len() + 3));
    if let Some(first) = rows.first_mut() {
        first.insert(0, Span::new(head + " ", Paint::Bold));
    }
    rows.push(vec![Span::new(traffic, Paint::Dim)]);
    lines.extend(hang(rows, 2));
    lines
}
