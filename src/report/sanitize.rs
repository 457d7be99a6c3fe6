//! Text from the network, from DNS and from the command line, made safe to print.
//!
//! What a peer sends may hold escape sequences that recolour, retitle or type into a terminal,
//! newlines that forge lines of a report, and bidirectional controls that make text read as other
//! than it is. All of it is written out as escapes in Rust's manner, and the backslash is doubled, so
//! that an escape is never mistaken for text.

use std::fmt::Write as _;

/// Whether the terminal may be given anything beyond ASCII.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charset {
    /// UTF-8: printable characters of every script stand as they are.
    Unicode,
    /// ASCII only: everything else is escaped.
    Ascii,
}

/// `text` with everything escaped that could act on a terminal or deceive its reader.
#[must_use]
pub fn text(text: &str, charset: Charset) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        push(&mut out, character, charset);
    }
    out
}

/// `bytes` read as UTF-8, escaped as [`text`] does; what is not UTF-8 is written as `\xNN`.
#[must_use]
pub fn bytes(bytes: &[u8], charset: Charset) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push(&mut out, character, charset);
        }
        for byte in chunk.invalid() {
            push_byte(&mut out, *byte);
        }
    }
    out
}

/// `text` for XML: as [`text()`] has it, and it ends no element and no attribute.
#[must_use]
pub fn xml(text: &str) -> String {
    self::text(text, Charset::Unicode)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn push(out: &mut String, character: char, charset: Charset) {
    match character {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        ' '..='~' => out.push(character),
        // Not `\x80`: that stands for a byte which is not UTF-8.
        '\0'..='\x7f' => push_byte(out, character as u8),
        _ if charset == Charset::Ascii || deceives(character) => {
            out.extend(character.escape_unicode());
        }
        _ => out.push(character),
    }
}

fn push_byte(out: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\x{byte:02x}");
}

/// Whether a character is invisible, reorders what stands around it, breaks the line, or has no
/// meaning that a reader could share.
const fn deceives(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}' // C1 controls: 0x9b is CSI on some terminals
            | '\u{ad}' // soft hyphen
            | '\u{34f}' // combining grapheme joiner
            | '\u{61c}' // Arabic letter mark
            | '\u{115f}'..='\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
            | '\u{17b4}'..='\u{17b5}' // Khmer inherent vowels
            | '\u{180b}'..='\u{180f}' // Mongolian selectors and separator
            | '\u{200b}'..='\u{200f}' // zero width, LRM, RLM
            | '\u{2028}'..='\u{202e}' // line and paragraph separators, bidi embeddings and overrides
            | '\u{2060}'..='\u{206f}' // word joiner, invisible operators, bidi isolates
            | '\u{e000}'..='\u{f8ff}' // private use
            | '\u{fe00}'..='\u{fe0f}' // variation selectors: they change a glyph's width
            | '\u{feff}' // byte order mark
            | '\u{fff0}'..='\u{fffb}' // specials: interlinear annotation
            | '\u{fffe}'..='\u{ffff}' // no characters
            | '\u{1d173}'..='\u{1d17a}' // musical formatting
            | '\u{e0000}'..='\u{10ffff}' // tags, selectors, private use
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_controls_are_written_out() {
        assert_eq!(
            text("\x1b[31mred\x07\r\n\u{9b}2J\t\\x", Charset::Unicode),
            "\\x1b[31mred\\x07\\r\\n\\u{9b}2J\\t\\\\x"
        );
        assert_eq!(
            text("a\u{202e}b\u{2066}c\u{200b}", Charset::Unicode),
            "a\\u{202e}b\\u{2066}c\\u{200b}"
        );
    }

    #[test]
    fn honest_scripts_stand_as_they_are_where_they_can_be_shown() {
        assert_eq!(text("bücher.例え", Charset::Unicode), "bücher.例え");
        assert_eq!(text("bü", Charset::Ascii), "b\\u{fc}");
    }

    #[test]
    fn bytes_that_are_no_text_keep_their_values() {
        assert_eq!(bytes(b"ok\xff\x00\xc3\xa9", Charset::Unicode), "ok\\xff\\x00é");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_on_a_terminal_passes(input in ".*", raw: Vec<u8>) {
            for shown in [text(&input, Charset::Unicode), bytes(&raw, Charset::Unicode)] {
                prop_assert!(!shown.chars().any(|c| c.is_control() || deceives(c)));
            }
            for shown in [text(&input, Charset::Ascii), bytes(&raw, Charset::Ascii)] {
                prop_assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
        }

        #[test]
        fn escaping_loses_nothing(left in ".*", right in ".*") {
            prop_assume!(left != right);
            prop_assert_ne!(text(&left, Charset::Unicode), text(&right, Charset::Unicode));
        }
    }
}
