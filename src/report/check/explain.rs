//! `--explain`: a check's rule, what breaks without it, and its exchange.

use super::words::{self, in_words, text};
use super::{figures, ladder};
use crate::event::{CheckInfo, CheckResult, Cost};
use crate::report::human::paint::{Paint, Span, wrap_text};
use crate::report::human::{Lines, Style};

/// A run of the check.
#[derive(Clone, Debug)]
pub struct Example {
    /// How it went.
    pub result: CheckResult,
    /// The server it ran against, in words.
    pub server: &'static str,
    /// Servers of which it could not be asked, and why.
    pub unsuitable: Vec<(&'static str, String)>,
}

/// Everything that there is to say of a check.
#[must_use]
pub fn explanation(info: &CheckInfo, example: Option<&Example>, style: &Style) -> String {
    if style.color {
        colored::control::set_override(true);
    }
    let mut lines: Lines = vec![vec![
        Span::new(info.id, Paint::Bold),
        Span::plain(format!("  {}", words::safe(info.title, style))),
    ]];
    let entry = |word: &str, text: &str| words::entry(word, &words::safe(text, style), 2, style);
    for (number, rule) in info.rules.iter().enumerate() {
        let word = if number == 0 { "rule" } else { "and" };
        lines.extend(entry(word, &words::place(rule)));
        lines.extend(entry("", &words::url(rule)));
    }
    lines.extend(entry("level", info.level.name()));
    lines.extend(entry("expected", info.expect));
    lines.extend(entry("matters", info.why));
    lines.extend(entry("cost", cost(info.cost)));
    let groups: Vec<&str> = info.groups.iter().map(|group| group.name()).collect();
    lines.extend(entry("groups", &groups.join(", ")));
    if let Some(Example { result, server, unsuitable }) = example {
        for (number, (server, why)) in unsuitable.iter().enumerate() {
            let word = if number == 0 { "not of" } else { "" };
            lines.extend(entry(word, &format!("{server}: {why}")));
        }
        lines.push(Vec::new());
        let heading = format!("Its exchange, simulated: shakedown's own TCP as {server}");
        lines.extend(wrap_text(&heading, Paint::Bold, style.columns()));
        lines.extend(ladder::lines(&result.trace, 2, style));
        let finding = &result.finding;
        let verdict = format!("{}: {}", in_words(finding.verdict), finding.observed);
        lines.extend(entry("verdict", &verdict));
        let items = figures::items(&finding.figures, style);
        if !items.is_empty() {
            let items: Vec<String> = items.into_iter().map(|item| item.text).collect();
            lines.extend(words::entry("figures", &items.join(", "), 2, style));
        }
    }
    text(&lines, style)
}

const fn cost(cost: Cost) -> &'static str {
    match cost {
        Cost::Safe => "safe: an odd client might do the same; runs unasked",
        Cost::Noisy => {
            "noisy: intrusion detection may raise an alarm; runs with --noisy, or when named by --only"
        }
        Cost::Intrusive => {
            "intrusive: it may crash a weak target; runs with --intrusive, which asks"
        }
        Cost::Slow => "slow: it takes minutes; runs with --slow, or when named by --only",
    }
}
