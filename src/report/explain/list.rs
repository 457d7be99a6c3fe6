//! All terms, by kind.

use super::page::{columns, text};
use super::prose;
use super::terms::{self, Kind};
use super::text::{Lang, Text};
use crate::event::CheckInfo;
use crate::report::human::paint::{Paint, Span, blank};
use crate::report::human::{Lines, Style};

/// Every term that can be explained, and every check.
#[must_use]
pub fn list(checks: &[&CheckInfo], lang: Lang, style: &Style) -> String {
    let mut lines: Lines = Vec::new();
    let all = terms::all();
    for kind in Kind::ALL {
        let names: Vec<String> = all
            .iter()
            .filter(|term| term.kind() == kind)
            .map(|term| term.full_name(lang))
            .collect();
        lines.extend(section(kind.title().lang(lang), &names, lang, style));
    }
    let ids: Vec<String> = checks.iter().map(|check| check.id.to_owned()).collect();
    let title = Text::new(
        "check (see also 'shakedown check --list')",
        "检查项（另见 'shakedown check --list'）",
    );
    lines.extend(section(title.lang(lang), &ids, lang, style));
    lines.pop();
    text(&lines, style)
}

fn section(title: &str, names: &[String], lang: Lang, style: &Style) -> Lines {
    let separator = if lang == Lang::En { ", " } else { "、" };
    let mut lines = Vec::new();
    for line in prose::wrap(title, columns(style)) {
        lines.push(vec![Span::new(line, Paint::Bold)]);
    }
    for line in prose::wrap(&names.join(separator), columns(style) - 2) {
        lines.push(vec![blank(2), Span::plain(line)]);
    }
    lines.push(Vec::new());
    lines
}
