//! A check of the battery, as a term.

use super::checks::in_chinese;
use super::page::{item, rules, text};
use super::text::{Lang, Text};
use crate::event::{CheckInfo, Cost, Level};
use crate::report::human::paint::{Paint, Span};
use crate::report::human::{Lines, Style};

/// The rule of a check, how much it demands, and what the check does.
#[must_use]
pub fn check_page(info: &CheckInfo, lang: Lang, style: &Style) -> String {
    let kind = Text::new("check", "检查项").lang(lang);
    let mut lines: Lines =
        vec![vec![Span::new(info.id, Paint::Bold), Span::new(format!("  {kind}"), Paint::Dim)]];
    let shown = |text: &str| style.reason(text);
    let chinese = if lang == Lang::Zh { in_chinese(info.id) } else { None };
    let texts = chinese.map_or_else(
        || [info.title, info.expect, info.why].map(shown),
        |check| [check.title, check.expect, check.why].map(str::to_owned),
    );
    let [title, expect, why] = texts;
    let mut add = |label: Text, text: &str| lines.extend(item(label.lang(lang), text, style));
    add(Text::new("does", "内容"), &title);
    add(Text::new("expected", "期望"), &expect);
    add(Text::new("matters", "意义"), &why);
    add(Text::new("level", "级别"), level(info.level).lang(lang));
    add(Text::new("cost", "代价"), cost(info.cost).lang(lang));
    let groups: Vec<&str> = info.groups.iter().map(|group| group.name()).collect();
    add(Text::new("groups", "分组"), &groups.join(", "));
    add(Text::new("exchange", "交互过程"), &format!("shakedown check --explain {}", info.id));
    lines.extend(rules(info.rules, lang, style));
    text(&lines, style)
}

const fn level(level: Level) -> Text {
    match level {
        Level::Must => Text::new("MUST: an absolute requirement", "MUST：绝对要求"),
        Level::Should => Text::new("SHOULD: a recommendation", "SHOULD：建议"),
        Level::May => Text::new("MAY: a permission", "MAY：允许"),
        Level::Observation => Text::new(
            "observation: there is no right and wrong",
            "observation：仅作观察，没有对错之分",
        ),
    }
}

const fn cost(cost: Cost) -> Text {
    match cost {
        Cost::Safe => Text::new(
            "safe: an odd client might do the same; it runs unasked",
            "safe：与稍微特别的客户端无异；默认运行",
        ),
        Cost::Noisy => Text::new(
            "noisy: intrusion detection may raise an alarm; it runs with --noisy, or when named",
            "noisy：可能触发入侵检测告警；用 --noisy 或指名时才运行",
        ),
        Cost::Intrusive => Text::new(
            "intrusive: it may crash a weak target; it runs with --intrusive, which asks",
            "intrusive：可能使脆弱的目标崩溃；用 --intrusive 并确认后才运行",
        ),
        Cost::Slow => Text::new(
            "slow: it takes minutes; it runs with --slow, or when named",
            "slow：需要几分钟；用 --slow 或指名时才运行",
        ),
    }
}
