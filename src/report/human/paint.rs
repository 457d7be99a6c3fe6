//! Pieces of text that know what they mean; how that looks is decided when they are written.

use colored::Colorize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text means. Every meaning is also in the words or the drawing: colour only helps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::report) enum Paint {
    Plain,
    Bold,
    Dim,
    /// The arrow of a segment from us.
    Tx,
    /// The arrow of a segment to us.
    Rx,
    /// Opens: SYN.
    Opening,
    /// Closes: FIN.
    Closing,
    /// As wished, or proved.
    Good,
    /// Worth a second look, or not yet proved.
    Warn,
    /// Ends badly: RST, errors.
    Bad,
}

/// A piece of text without line breaks, and its meaning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::report) struct Span {
    pub(in crate::report) text: String,
    pub(in crate::report) paint: Paint,
}

impl Span {
    pub(in crate::report) fn new(text: impl Into<String>, paint: Paint) -> Self {
        Self { text: text.into(), paint }
    }

    pub(in crate::report) fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Paint::Plain)
    }

    /// Columns on a terminal.
    pub(in crate::report) fn width(&self) -> usize {
        self.text.width()
    }
}

/// Columns of a row of spans.
pub(in crate::report) fn width(spans: &[Span]) -> usize {
    spans.iter().map(Span::width).sum()
}

/// Blanks of a given width.
pub(in crate::report) fn blank(columns: usize) -> Span {
    Span::plain(" ".repeat(columns))
}

/// The spans as text, coloured or not.
pub(in crate::report) fn render(spans: &[Span], color: bool) -> String {
    let mut line = String::new();
    for alike in spans.chunk_by(|left, right| left.paint == right.paint) {
        let text: String = alike.iter().map(|span| span.text.as_str()).collect();
        line.push_str(&if color { colored(&text, alike[0].paint) } else { text });
    }
    // Nobody sees trailing blanks, and golden files and copied lines are better without.
    line.truncate(line.trim_end_matches(' ').len());
    line
}

fn colored(text: &str, paint: Paint) -> String {
    if text.trim().is_empty() {
        return text.to_owned();
    }
    let colored = match paint {
        Paint::Plain => return text.to_owned(),
        Paint::Bold => text.bold(),
        Paint::Dim => text.dimmed(),
        Paint::Tx => text.cyan(),
        Paint::Rx => text.bright_blue(),
        Paint::Opening | Paint::Good => text.green().bold(),
        Paint::Closing => text.magenta().bold(),
        Paint::Warn => text.yellow(),
        Paint::Bad => text.red().bold(),
    };
    colored.to_string()
}

/// Sets `items` in lines of at most `columns`, with `separator` between those on one line. An item
/// wider than a line is broken wherever the line ends.
pub(in crate::report) fn wrap(items: Vec<Span>, separator: &str, columns: usize) -> Vec<Vec<Span>> {
    let columns = columns.max(1);
    let mut lines: Vec<Vec<Span>> = Vec::new();
    let mut line: Vec<Span> = Vec::new();
    for item in items {
        let gap = if line.is_empty() { 0 } else { separator.width() };
        if !line.is_empty() && width(&line) + gap + item.width() > columns {
            // The separator's visible part stays at the end of the line where there is room for it.
            let visible = separator.trim_end();
            if !visible.is_empty() && width(&line) + visible.width() <= columns {
                line.push(Span::new(visible, Paint::Dim));
            }
            lines.push(std::mem::take(&mut line));
        } else if gap > 0 {
            line.push(Span::new(separator, Paint::Dim));
        }
        let mut rest = item;
        while rest.width() > columns {
            let tail = rest.text.split_off(head_within(&rest.text, columns));
            let paint = rest.paint;
            lines.push(vec![std::mem::replace(&mut rest, Span::new(tail, paint))]);
        }
        line.push(rest);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Sets a sentence in lines of at most `columns`.
pub(in crate::report) fn wrap_text(text: &str, paint: Paint, columns: usize) -> Vec<Vec<Span>> {
    wrap(text.split(' ').map(|word| Span::new(word, paint)).collect(), " ", columns)
}

/// The beginning of a row of spans that takes at most `columns`.
pub(in crate::report) fn cut(spans: Vec<Span>, columns: usize) -> Vec<Span> {
    let mut left = columns;
    let mut kept = Vec::new();
    for mut span in spans {
        if span.width() > left {
            let fits = span
                .text
                .char_indices()
                .find(|(at, character)| span.text[..at + character.len_utf8()].width() > left);
            let end = fits.map_or(span.text.len(), |(at, _)| at);
            span.text.truncate(end);
            kept.push(span);
            break;
        }
        left -= span.width();
        kept.push(span);
    }
    kept
}

/// Bytes of the longest beginning of `text` that takes at most `columns`; at least one character, so
/// that whoever breaks a line there gets on.
pub(in crate::report) fn head_within(text: &str, columns: usize) -> usize {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > columns && at > 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Vec<Span>]) -> Vec<String> {
        lines.iter().map(|line| render(line, false)).collect()
    }

    #[test]
    fn wraps_between_items_and_breaks_only_what_cannot_fit() {
        let items = ["mss 1460", "sackOK", "nop"].map(Span::plain).to_vec();
        assert_eq!(texts(&wrap(items.clone(), ", ", 16)), ["mss 1460, sackOK", "nop"]);
        assert_eq!(texts(&wrap(items.clone(), ", ", 40)), ["mss 1460, sackOK, nop"]);
        assert_eq!(texts(&wrap(items, ", ", 5)), ["mss 1", "460,", "sackO", "K,", "nop"]);
    }

    #[test]
    fn wide_characters_count_two_columns() {
        assert_eq!(texts(&wrap_text("例え.テスト ok", Paint::Plain, 6)), ["例え.", "テスト", "ok"]);
    }
}
