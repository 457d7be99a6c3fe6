//! The header of a segment, bit by bit, as in figure 1 of RFC 9293.

use unicode_width::UnicodeWidthStr;

use super::page::{columns, item, rules, text};
use super::prose;
use super::terms::{self, Entry};
use super::text::{Lang, Text};
use crate::report::human::paint::{Paint, Span, blank};
use crate::report::human::{Lines, Style};

/// Bits in a row, and columns that a row takes: one for each bit, and one for each border.
const BITS: usize = 32;
const ROW: usize = 2 * BITS + 1;
/// Columns left of the drawing.
const MARGIN: usize = 2;

/// A field in the drawing.
struct Field {
    bits: usize,
    /// What stands in it, in lines.
    name: Text,
    entry: Option<&'static Entry>,
}

const fn field(bits: usize, name: Text, entry: &'static Entry) -> Field {
    Field { bits, name, entry: Some(entry) }
}

const fn flag(name: &'static str, entry: &'static Entry) -> Field {
    field(1, Text::new(name, name), entry)
}

/// The rows of the header. A flag's letters stand below each other, as does a name with `/`.
static ROWS: &[&[Field]] = &[
    &[
        field(16, Text::new("Source Port", "源端口"), &terms::SOURCE_PORT),
        field(16, Text::new("Destination Port", "目的端口"), &terms::DESTINATION_PORT),
    ],
    &[field(32, Text::new("Sequence Number", "序号"), &terms::SEQ)],
    &[field(32, Text::new("Acknowledgment Number", "确认号"), &terms::ACK_NUMBER)],
    &[
        field(4, Text::new("Data/Offset", "数据/偏移"), &terms::DATA_OFFSET),
        field(3, Text::new("Rsrvd", "保留"), &terms::RESERVED),
        flag("A/E", &terms::AE),
        flag("C/W/R", &terms::CWR),
        flag("E/C/E", &terms::ECE),
        flag("U/R/G", &terms::URG),
        flag("A/C/K", &terms::ACK),
        flag("P/S/H", &terms::PSH),
        flag("R/S/T", &terms::RST),
        flag("S/Y/N", &terms::SYN),
        flag("F/I/N", &terms::FIN),
        field(16, Text::new("Window", "窗口"), &terms::WINDOW),
    ],
    &[
        field(16, Text::new("Checksum", "校验和"), &terms::CHECKSUM),
        field(16, Text::new("Urgent Pointer", "紧急指针"), &terms::URGENT_POINTER),
    ],
    &[field(32, Text::new("Options (if there are any)", "选项（如果有）"), &terms::OPTIONS)],
    &[Field { bits: 32, name: Text::new("Data", "数据"), entry: None }],
];

/// Its fields in order: their bits, where these are always as many, and what explains them.
pub(super) fn fields() -> impl Iterator<Item = (Option<usize>, Option<&'static Entry>)> {
    ROWS.iter().copied().flatten().map(|field| {
        let fixed =
            field.entry.is_some_and(|entry| !std::ptr::eq(entry, &raw const terms::OPTIONS));
        (fixed.then_some(field.bits), field.entry)
    })
}

/// The header drawn, and what each of its fields means.
#[must_use]
pub fn segment_page(lang: Lang, style: &Style) -> String {
    text(&lines(lang, style), style)
}

/// Its lines: a table where the drawing does not fit.
pub(super) fn lines(lang: Lang, style: &Style) -> Lines {
    let title = Text::new("The header of a TCP segment", "TCP 报文段的首部");
    let mut lines = vec![vec![Span::new(title.lang(lang), Paint::Bold)], Vec::new()];
    if columns(style) >= ROW + MARGIN {
        let drawn = drawing(lang).into_iter();
        lines.extend(drawn.map(|line| vec![blank(MARGIN), Span::plain(line)]));
        lines.push(Vec::new());
    }
    let mut first = 0;
    for field in ROWS.iter().copied().flatten() {
        if let Some(entry) = field.entry {
            lines.extend(meaning(entry, (first, field.bits), lang, style));
        }
        first += field.bits;
    }
    lines.push(Vec::new());
    let note = Text::new(
        "Bits are counted from 0, the most significant first. Without options the header has 20 bytes.",
        "比特从 0 开始编号，最高位在前。没有选项时首部为 20 字节。",
    );
    for line in prose::wrap(note.lang(lang), columns(style) - 2) {
        lines.push(vec![blank(2), Span::plain(line)]);
    }
    lines.extend(rules(terms::SEGMENT.rules, lang, style));
    lines
}

/// `  0-15       source port = …`.
fn meaning(entry: &Entry, (first, bits): (usize, usize), lang: Lang, style: &Style) -> Lines {
    let last = first + bits - 1;
    let place = if bits == 1 { format!("{first}") } else { format!("{first}-{last}") };
    item(
        &place,
        &format!("{}{}{}", entry.full_name(lang), lang.is(), entry.short.lang(lang)),
        style,
    )
}

/// The drawing: every line as wide as every other.
pub(super) fn drawing(lang: Lang) -> Vec<String> {
    let digits = |digit: &dyn Fn(usize) -> String| -> String {
        (0..BITS).map(|bit| format!(" {}", digit(bit))).collect::<String>() + " "
    };
    let tens = digits(&|bit| if bit % 10 == 0 { (bit / 10).to_string() } else { " ".to_owned() });
    let ones = digits(&|bit| (bit % 10).to_string());
    let border = "+-".repeat(BITS) + "+";
    let mut lines = vec![tens, ones, border.clone()];
    for row in ROWS {
        lines.extend(drawn(row, lang));
        lines.push(border.clone());
    }
    lines
}

/// A row: as many lines as its highest field.
fn drawn(row: &[Field], lang: Lang) -> Vec<String> {
    let names: Vec<Vec<&str>> =
        row.iter().map(|field| field.name.lang(lang).split('/').collect()).collect();
    let height = names.iter().map(Vec::len).max().unwrap_or(1);
    (0..height)
        .map(|line| {
            let cells = row.iter().zip(&names).map(|(field, name)| {
                // A name of one line stands in the middle, one of several from the top on.
                let top = (height - name.len()) / 2;
                let text = line.checked_sub(top).and_then(|at| name.get(at)).copied();
                centred(text.unwrap_or_default(), 2 * field.bits - 1)
            });
            format!("|{}|", cells.collect::<Vec<_>>().join("|"))
        })
        .collect()
}

/// `text` in the middle of so many columns.
fn centred(text: &str, columns: usize) -> String {
    let left = columns.saturating_sub(text.width());
    format!("{}{text}{}", " ".repeat(left / 2), " ".repeat(left - left / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_32_bits_and_every_line_the_same_width() {
        for row in ROWS {
            assert_eq!(row.iter().map(|field| field.bits).sum::<usize>(), BITS);
        }
        for lang in Lang::ALL {
            for line in drawing(lang) {
                assert_eq!(line.width(), ROW, "{line}");
            }
        }
    }
}
