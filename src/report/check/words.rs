//! Words and pieces of lines that several reports share.

use crate::event::{CheckInfo, CutShort, Group, Rule, Verdict};
use crate::report::human::paint::{Paint, Span, blank, render, wrap_text};
use crate::report::human::{Lines, Style};

/// Columns of a verdict in the table.
pub(super) const VERDICT: usize = 4;
/// Columns of the word before an indented line: `expected`.
const WORD: usize = 10;

/// The verdict as the table shows it: never told by colour alone.
pub(super) fn verdict(verdict: Verdict) -> Span {
    let (word, paint) = match verdict {
        Verdict::NotApplicable => ("N/A", Paint::Dim),
        Verdict::Pass => ("PASS", Paint::Good),
        Verdict::Info => ("INFO", Paint::Tx),
        Verdict::Tolerated => ("TOL", Paint::Rx),
        Verdict::Inconclusive => ("INC", Paint::Warn),
        Verdict::Warn => ("WARN", Paint::Warn),
        Verdict::Fail => ("FAIL", Paint::Bad),
    };
    Span::new(word, paint)
}

/// The verdict in running text.
pub(super) const fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotApplicable => "not applicable",
        other => other.name(),
    }
}

/// Where a check stands in the table.
pub(super) fn home(info: &CheckInfo) -> Option<Group> {
    info.groups.first().copied()
}

/// `9293 3.10.7.4`: the rule that decides, for a narrow column.
pub(super) fn clause(info: &CheckInfo) -> String {
    let Some(rule) = info.rules.first() else { return String::new() };
    if rule.section.is_empty() {
        return rule.rfc.to_string();
    }
    format!("{} {}", rule.rfc, rule.section)
}

/// `RFC 9293 section 3.10.7.4, eighth, check the FIN bit`.
pub(in crate::report) fn place(rule: &Rule) -> String {
    let mut text = format!("RFC {}", rule.rfc);
    if !rule.section.is_empty() {
        let is_appendix = rule.section.starts_with(|first: char| first.is_ascii_alphabetic());
        let word = if is_appendix { "appendix" } else { "section" };
        text += &format!(" {word} {}", rule.section);
    }
    if !rule.detail.is_empty() {
        text += &format!(", {}", rule.detail);
    }
    text
}

/// Where the rule can be read.
pub(in crate::report) fn url(rule: &Rule) -> String {
    let mut url = format!("https://www.rfc-editor.org/rfc/rfc{}", rule.rfc);
    if !rule.section.is_empty() {
        let is_appendix = rule.section.starts_with(|first: char| first.is_ascii_alphabetic());
        let word = if is_appendix { "appendix" } else { "section" };
        url += &format!("#{word}-{}", rule.section);
    }
    url
}

/// Why a run ended early, in a few words.
pub(super) fn cut_short(why: &CutShort) -> String {
    match why {
        CutShort::Interrupted => "interrupted".to_owned(),
        CutShort::Deadline => "the deadline came".to_owned(),
        CutShort::NoTarget(why) => format!("nothing could be checked: {why}"),
        CutShort::LocalInterference => {
            "this host's own kernel sent segments in our name, so that nothing can be said of the \
             target"
                .to_owned()
        }
        CutShort::Died(suspects) => match suspects.as_slice() {
            [] => "the target stopped answering".to_owned(),
            [only] => format!("the target stopped answering after {only}"),
            [first, rest @ ..] => {
                format!("the target stopped answering after one of {first}, {}", rest.join(", "))
            }
        },
    }
}

/// `word      text`, the text in lines under each other, moved right by `indent`.
pub(super) fn entry(word: &str, text: &str, indent: usize, style: &Style) -> Lines {
    let room = style.columns().saturating_sub(indent + WORD);
    let mut lines = Vec::new();
    for (number, text) in wrap_text(text, Paint::Plain, room).into_iter().enumerate() {
        let word = if number == 0 { word } else { "" };
        let mut line = vec![blank(indent), Span::new(format!("{word:<WORD$}"), Paint::Dim)];
        line.extend(text);
        lines.push(line);
    }
    lines
}

/// A text of a check, which may quote what the server sent.
pub(super) fn safe(text: &str, style: &Style) -> String {
    if style.unicode { style.safe(text) } else { style.reason(text) }
}

/// Lines as text, each with its end.
pub(super) fn text(lines: &Lines, style: &Style) -> String {
    lines.iter().map(|line| render(&joined(line), style.color) + "\n").collect()
}

/// Gaps between words of one colour take that colour too: one escape for all of them.
fn joined(line: &[Span]) -> Vec<Span> {
    let mut line = line.to_vec();
    for gap in 1..line.len().saturating_sub(1) {
        let around = line[gap - 1].paint;
        if line[gap].text == " " && line[gap + 1].paint == around {
            line[gap].paint = around;
        }
    }
    line
}
