//! Text that keeps to one line.

use std::fmt::Write;

/// `text` with its control characters escaped, so that it can neither leave its line nor move the
/// cursor of a terminal.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() || is_bidi_control(char) {
            let _ = write!(line, "{}", char.escape_unicode());
        } else {
            line.push(char);
        }
    }
    line
}

/// Whether a character changes the direction of the text after it, which makes a line read as
/// something that it is not.
const fn is_bidi_control(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_line() {
        assert_eq!(escaped("a\u{1b}[2J\nb\u{9b}é\u{202e}"), "a\\u{1b}[2J\\u{a}b\\u{9b}é\\u{202e}");
    }
}
