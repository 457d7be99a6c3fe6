//! Everything that there is to say of one term.

use unicode_width::UnicodeWidthStr;

use super::find::Found;
use super::header;
use super::prose;
use super::terms::{self, Entry, Term};
use super::text::{Lang, Text};
use crate::event::Rule;
use crate::report::check::words;
use crate::report::human::paint::{Paint, Span, blank, render};
use crate::report::human::{Lines, Style};
use crate::tcp::state::State;

/// Columns of the word before each entry.
const LABEL: usize = 11;
/// The narrowest and the widest page.
const COLUMNS: (usize, usize) = (24, 100);

/// The columns of a page.
pub(super) fn columns(style: &Style) -> usize {
    style.width.clamp(COLUMNS.0, COLUMNS.1)
}

/// The page of a term, with its line ends.
#[must_use]
pub fn term_page(found: &Found, lang: Lang, style: &Style) -> String {
    let lines = match found.0 {
        Term::State(state) => of_state(state, lang, style),
        Term::Entry(entry) if std::ptr::eq(entry, &raw const terms::SEGMENT) => {
            header::lines(lang, style)
        }
        Term::Entry(entry) => of_entry(entry, lang, style),
    };
    text(&lines, style)
}

/// Lines as text.
pub(super) fn text(lines: &Lines, style: &Style) -> String {
    if style.color {
        colored::control::set_override(true);
    }
    lines.iter().map(|line| render(line, style.color) + "\n").collect()
}

/// The term, and what kind of term it is: below it where one line is too short for both.
fn title(term: Term, lang: Lang, style: &Style) -> Lines {
    let name = Span::new(term.full_name(lang), Paint::Bold);
    let kind = Span::new(format!("  {}", term.kind().title().lang(lang)), Paint::Dim);
    if name.width() + kind.width() <= columns(style) {
        vec![vec![name, kind]]
    } else {
        vec![vec![name], vec![kind]]
    }
}

fn of_entry(entry: &'static Entry, lang: Lang, style: &Style) -> Lines {
    let mut lines = title(Term::Entry(entry), lang, style);
    let short = sentence(entry.short.lang(lang), lang);
    lines.extend(item(Text::new("meaning", "含义").lang(lang), &short, style));
    lines.extend(item(Text::new("more", "说明").lang(lang), entry.more.lang(lang), style));
    if !entry.aliases.is_empty() {
        let separator = if lang == Lang::En { ", " } else { "、" };
        let also = entry.aliases.join(separator);
        lines.extend(item(Text::new("also", "别名").lang(lang), &also, style));
    }
    lines.extend(rules(entry.rules, lang, style));
    lines
}

fn of_state(state: State, lang: Lang, style: &Style) -> Lines {
    let entry = terms::of_state(state);
    let mut lines = title(Term::State(state), lang, style);
    let mut add = |label: Text, text: &str| lines.extend(item(label.lang(lang), text, style));
    add(Text::new("meaning", "含义"), entry.meaning.lang(lang));
    add(Text::new("which end", "哪一端"), entry.end.lang(lang));
    let others = |may: &dyn Fn(State) -> bool| {
        let names: Vec<&str> =
            State::ALL.into_iter().filter(|other| may(*other)).map(State::name).collect();
        names.join(if lang == Lang::En { ", " } else { "、" })
    };
    let before = others(&|other| other.may_become(state));
    let after = others(&|other| state.may_become(other));
    let from = Text::new("from {states}: {how}", "来自 {states}：{how}");
    let to = Text::new("to {states}: {how}", "去往 {states}：{how}");
    let fill = |text: &Text, states: &str, how: &Text| {
        text.fill(lang, |name| {
            Some(if name == "states" { states.to_owned() } else { how.lang(lang).to_owned() })
        })
    };
    add(Text::new("entered", "进入"), &fill(&from, &before, &entry.entered));
    add(Text::new("left", "离开"), &fill(&to, &after, &entry.left));
    add(Text::new("lasts", "持续"), entry.lasts.lang(lang));
    add(Text::new("far end's", "对方状态"), entry.known.lang(lang));
    let nothing = Text::new(
        "ss shows nothing: the system keeps nothing of a closed connection",
        "ss 看不到：系统不保存已关闭的连接",
    );
    let see = entry
        .ss
        .map_or_else(|| nothing.lang(lang).to_owned(), |word| format!("ss -tan state {word}"));
    add(Text::new("see it", "查看"), &see);
    lines.extend(rules(&[entry.rule], lang, style));
    lines
}

/// Where it stands.
pub(super) fn rules(rules: &[Rule], lang: Lang, style: &Style) -> Lines {
    let mut lines = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let label = if number == 0 { Text::new("rule", "出处").lang(lang) } else { "" };
        lines.extend(item(label, &place(rule, lang), style));
        lines.extend(item("", &words::url(rule), style));
    }
    lines
}

/// `RFC 9293 section 3.6`, `RFC 9293 第 3.6 节`.
fn place(rule: &Rule, lang: Lang) -> String {
    if lang == Lang::En {
        return words::place(rule);
    }
    let mut text = format!("RFC {}", rule.rfc);
    if rule.section.starts_with(|first: char| first.is_ascii_alphabetic()) {
        text += &format!(" 附录 {}", rule.section);
    } else if !rule.section.is_empty() {
        text += &format!(" 第 {} 节", rule.section);
    }
    if !rule.detail.is_empty() {
        text += &format!("（{}）", rule.detail);
    }
    text
}

/// `  label      text`, the text in lines under each other.
pub(super) fn item(label: &str, text: &str, style: &Style) -> Lines {
    let mut lines = Vec::new();
    for (number, text) in prose::wrap(text, columns(style) - LABEL - 2).into_iter().enumerate() {
        let word = if number == 0 { label } else { "" };
        let gap = blank(LABEL.saturating_sub(word.width()));
        lines.push(vec![blank(2), Span::new(word, Paint::Dim), gap, Span::plain(text)]);
    }
    lines
}

/// A meaning as a sentence of its own.
fn sentence(text: &str, lang: Lang) -> String {
    let stop = if lang == Lang::En { "." } else { "。" };
    let mut characters = text.chars();
    let first: String =
        characters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}{stop}", characters.as_str())
}
