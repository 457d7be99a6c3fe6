//! Sets running text in lines, in scripts with blanks between their words and in those without.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::report::human::paint::head_within;

/// What may not begin a line.
const CLOSING: &str = "。，、；：？！）」』】》”’％,.;:?!)]}";
/// What may not end a line.
const OPENING: &str = "（「『【《“‘([{";

/// A piece of text within which no line is broken.
#[derive(Debug, Default)]
struct Piece {
    text: String,
    /// A blank stands before it, unless a line begins with it.
    after_blank: bool,
}

/// `text` in lines of at most `columns`, which are two at least. A line is broken at a blank or beside
/// a wide character, but not within a formula such as `ack = x + 1`, never before a mark that closes nor behind one that opens; a piece that is wider
/// than a line is broken wherever the line ends.
pub(in crate::report) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in pieces(text) {
        let gap = usize::from(piece.after_blank && !line.is_empty());
        if !line.is_empty() && line.width() + gap + piece.text.width() > columns {
            lines.push(std::mem::take(&mut line));
        } else if gap > 0 {
            line.push(' ');
        }
        let mut rest = piece.text;
        while rest.width() > columns {
            let tail = rest.split_off(head_within(&rest, columns)).trim_start().to_owned();
            lines.push(std::mem::replace(&mut rest, tail).trim_end().to_owned());
        }
        line.push_str(&rest);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut after_blank = false;
    // Whether the next character belongs to the last piece, unless a blank stands between.
    let mut open = false;
    for character in text.chars() {
        if character == ' ' {
            after_blank = true;
            continue;
        }
        // The blanks around a sign belong to their formula.
        let is_sign = |character: char| "=+".contains(character);
        let behind_sign = pieces.last().is_some_and(|piece| piece.text.ends_with(is_sign));
        if after_blank
            && (is_sign(character) || behind_sign)
            && let Some(last) = pieces.last_mut()
        {
            last.text.extend([' ', character]);
            (after_blank, open) = (false, character.width().unwrap_or(0) < 2);
            continue;
        }
        let wide = character.width().unwrap_or(0) > 1;
        let closes = CLOSING.contains(character);
        let opens = OPENING.contains(character);
        let ends_open = pieces.last().is_some_and(|piece| piece.text.ends_with(opening));
        let joins = closes || open && !(wide || opens) || ends_open;
        match pieces.last_mut() {
            Some(last) if joins && !after_blank => last.text.push(character),
            _ => pieces.push(Piece { text: character.to_string(), after_blank }),
        }
        after_blank = false;
        // A Latin word goes on; behind a wide character a line may end.
        open = !wide;
    }
    pieces
}

fn opening(character: char) -> bool {
    OPENING.contains(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn latin_text_is_broken_at_blanks() {
        assert_eq!(wrap("the SYN bit is set", 8), ["the SYN", "bit is", "set"]);
        assert_eq!(wrap("then ack = x + 1 = 7, seq", 16), ["then", "ack = x + 1 = 7,", "seq"]);
        assert_eq!(wrap("half-open 1234567890", 6), ["half-o", "pen", "123456", "7890"]);
    }

    #[test]
    fn chinese_text_is_broken_between_characters_and_its_marks_stay_where_they_belong() {
        assert_eq!(wrap("三次握手：客户端", 8), ["三次握", "手：客户", "端"]);
        assert_eq!(wrap("确认。序号", 6), ["确认。", "序号"]);
        assert_eq!(wrap("确认号。序号", 6), ["确认", "号。序", "号"], "no line begins with a stop");
        assert_eq!(wrap("等待（半关闭）", 6), ["等待", "（半关", "闭）"]);
        assert_eq!(wrap("发出 SYN 后等待", 8), ["发出 SYN", "后等待"]);
        assert_eq!(wrap("状态SYN-SENT，等待", 10), ["状态", "SYN-SENT，", "等待"]);
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_nothing_is_lost(
            text in "[a-z=+.,() 三次握手。，、（）“”]{0,80}", columns in 2_usize..60,
        ) {
            let lines = wrap(&text, columns);
            for line in &lines {
                prop_assert!(line.width() <= columns, "{line:?}");
                prop_assert!(!line.is_empty() && line.trim() == line, "{line:?}");
            }
            let joined: String = lines.concat();
            let bare = |text: &str| text.replace(' ', "");
            prop_assert_eq!(bare(&joined), bare(&text));
        }

        #[test]
        fn marks_neither_begin_a_line_nor_end_one(
            words in proptest::collection::vec("[三次握手]{1,6}[。，、）]|（[确认号]{1,4}[）]|[a-z]{1,8}[,.]?", 1..20),
            columns in 16_usize..60,
        ) {
            for line in wrap(&words.concat(), columns) {
                // Only what is wider than a line is broken elsewhere.
                let first = line.chars().next().unwrap_or('x');
                let last = line.chars().last().unwrap_or('x');
                prop_assert!(!"。，、）".contains(first), "{line:?}");
                prop_assert!(last != '（', "{line:?}");
            }
        }
    }
}
