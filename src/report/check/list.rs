//! `--list`: the checks that there are.

use super::words::{self, home, text};
use crate::event::{CheckInfo, Cost, Group};
use crate::report::human::paint::{Paint, Span, blank, wrap, wrap_text};
use crate::report::human::{Lines, Style};

/// Columns of the longest id to which shorter ones are filled up.
const ID: usize = 24;

/// All of `checks`, group by group, with the groups that can be asked for below.
#[must_use]
pub fn list(checks: &[&CheckInfo], style: &Style) -> String {
    if style.color {
        colored::control::set_override(true);
    }
    let id = checks.iter().map(|info| info.id.len()).max().unwrap_or(0).clamp(5, ID);
    let heading = format!("  {:<id$}  {:<11}  {:<9}  TITLE", "CHECK", "LEVEL", "COST");
    let mut lines: Lines = vec![vec![Span::new(heading, Paint::Dim)]];
    for group in Group::ALL {
        let members: Vec<_> = checks.iter().filter(|info| home(info) == Some(group)).collect();
        if members.is_empty() {
            continue;
        }
        lines.push(vec![
            Span::new(group.title(), Paint::Bold),
            Span::new(format!("  ({})", group.name()), Paint::Dim),
        ]);
        lines.extend(members.into_iter().flat_map(|info| row(info, id, style)));
    }
    let mut names: Vec<Span> = Group::ALL
        .into_iter()
        .filter(|group| checks.iter().any(|info| info.groups.contains(group)))
        .map(|group| {
            let members = checks.iter().filter(|info| info.groups.contains(&group)).count();
            Span::plain(format!("{} {members}", group.name()))
        })
        .collect();
    if let Some(first) = names.first_mut() {
        first.text.insert_str(0, &format!("{} in all; by group: ", checks.len()));
        lines.push(Vec::new());
        lines.extend(wrap(names, ", ", style.columns()));
    }
    text(&lines, style)
}

fn row(info: &CheckInfo, id: usize, style: &Style) -> Lines {
    let paint = if info.cost == Cost::Safe { Paint::Dim } else { Paint::Warn };
    let mut margin = vec![
        blank(2),
        Span::plain(format!("{:<id$}  ", info.id)),
        Span::plain(format!("{:<11}  ", info.level.name())),
        Span::new(format!("{:<9}", info.cost.name()), paint),
        blank(2),
    ];
    let left = 2 + id + 2 + 11 + 2 + 9 + 2;
    let title = wrap_text(&words::safe(info.title, style), Paint::Plain, style.columns() - left);
    let rows = title.into_iter().map(|row| {
        let mut line = std::mem::take(&mut margin);
        if line.is_empty() {
            line.push(blank(left));
        }
        line.extend(row);
        line
    });
    rows.collect()
}
