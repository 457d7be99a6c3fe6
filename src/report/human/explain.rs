//! Explanations below the steps that they are about.

use super::ladder::{self, INDENT, interior};
use super::paint::{Paint, Span, blank};
use super::{Lines, Style};
use crate::report::explain::{Paragraph, prose};

/// The narrowest that an explanation is set.
const LEAST: usize = 20;
/// Columns of the mark before a paragraph.
const MARK: usize = 2;

/// Between the lifelines. What [`gap()`] draws behind it waits until it is known what comes next.
pub(super) fn in_ladder(paragraphs: &[Paragraph], style: &Style) -> Lines {
    if style.is_narrow() {
        return outside(paragraphs, style);
    }
    // As much room as the lines below an arrow have.
    ladder::between(set(paragraphs, interior(style) - INDENT - 1, style), style)
}

/// The empty row between an explained step and the next one.
pub(super) fn gap(style: &Style) -> Lines {
    let empty = vec![Vec::new()];
    if style.is_narrow() { empty } else { ladder::between(empty, style) }
}

/// Outside of a ladder, with an empty line behind.
pub(super) fn below(paragraphs: &[Paragraph], style: &Style) -> Lines {
    let mut lines = outside(paragraphs, style);
    lines.push(Vec::new());
    lines
}

fn outside(paragraphs: &[Paragraph], style: &Style) -> Lines {
    let columns = if style.is_narrow() { style.width.max(LEAST) } else { style.columns() };
    let mut lines = set(paragraphs, columns - 2, style);
    for line in &mut lines {
        line.insert(0, blank(2));
    }
    lines
}

fn set(paragraphs: &[Paragraph], columns: usize, style: &Style) -> Lines {
    paragraphs.iter().flat_map(|paragraph| lines(paragraph, columns, style)).collect()
}

/// One paragraph behind its mark: the step itself in plain print, the meaning of a term dimmed.
fn lines(paragraph: &Paragraph, columns: usize, style: &Style) -> Lines {
    let (mark, paint) = match (&paragraph.term, style.unicode) {
        (None, true) => ("» ", Paint::Plain),
        (None, false) => ("> ", Paint::Plain),
        (Some(_), true) => ("· ", Paint::Dim),
        (Some(_), false) => ("- ", Paint::Dim),
    };
    let is = style.explain.unwrap_or_default().is();
    let text = match &paragraph.term {
        Some(term) => format!("{term}{is}{}", paragraph.text),
        None => paragraph.text.clone(),
    };
    let mut lines = Vec::new();
    for (number, text) in prose::wrap(&text, columns - MARK).into_iter().enumerate() {
        let first = number == 0;
        let mut line = vec![if first { Span::new(mark, Paint::Dim) } else { blank(MARK) }];
        let name = paragraph.term.as_deref().filter(|_| first);
        match name.and_then(|name| text.strip_prefix(name).map(|rest| (name, rest))) {
            Some((name, rest)) => {
                line.extend([Span::new(name, Paint::Bold), Span::new(rest, paint)]);
            }
            None => line.push(Span::new(text, paint)),
        }
        lines.push(line);
    }
    lines
}
