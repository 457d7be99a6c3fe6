//! Lines that stand on a terminal and are drawn again in their place.

use super::human::paint::{Span, cut, render, width};

/// What stands on the screen.
#[derive(Debug, Default)]
pub(in crate::report) struct Screen {
    /// Columns of each line.
    pub(in crate::report) drawn: Vec<usize>,
}

impl Screen {
    /// Lines that stand on the screen.
    pub(in crate::report) fn len(&self) -> usize {
        self.drawn.len()
    }

    /// What takes the lines off the screen and leaves the cursor where it began.
    pub(in crate::report) fn erasure(&mut self, columns: usize) -> String {
        // A terminal that became narrower has broken what was too long for it.
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        self.drawn.clear();
        if rows == 0 {
            return String::new();
        }
        // Row by row: a terminal that is told to clear its whole screen at once may keep what stood
        // there in its history, and there would be one more table with each drawing. The cursor's
        // own row may hold what the user typed.
        let up = format!("\x1b[{rows}A");
        format!("\r{up}{}\x1b[2K{up}", "\x1b[2K\x1b[1B".repeat(rows))
    }

    /// The lines as they go onto a screen with so many columns.
    pub(in crate::report) fn draw(
        &mut self,
        lines: Vec<Vec<Span>>,
        columns: usize,
        color: bool,
    ) -> String {
        let mut out = String::new();
        for line in lines {
            // The last column stays free: some terminals break there already.
            let line = cut(line, columns.saturating_sub(1).max(1));
            self.drawn.push(width(&line));
            out.push_str(&render(&line, color));
            out.push('\n');
        }
        out
    }
}

/// Synchronized update: a terminal that knows it shows the old screen or the new one, never half of
/// each; any other passes it over.
pub(in crate::report) fn framed(text: &str) -> String {
    format!("\x1b[?2026h{text}\x1b[?2026l")
}
